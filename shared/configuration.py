"""The shape of deployments.yaml: its sections, keys and scalars, and what each of them may be.

Scalars arrive as strings and are converted here; files that a task names are read from the folder that is
the validation's context. What takes more than one section to tell is in `settings`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    model_validator,
)

from shared.domain import BillingStart, BillingUnit, Mode, UploadStart
from shared.planning.plan import DELETE_AFTER_TAG, DEVELOPER_TIER, DEVELOPER_TIER_LIFE, OWNER_TAG
from shared.task_files import read_prompt, read_schema

DAY = timedelta(days=1)
SKUS = ("Standard", "GlobalStandard", "DataZoneStandard", "DeveloperTier", "ProvisionedManaged")

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])\s*", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST_DURATION = timedelta(days=30)
_SHORTEST_SESSION = timedelta(minutes=30)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_ACCOUNT_ID = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.CognitiveServices/accounts/[^/]+",
    re.IGNORECASE,
)
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_OUR_TAGS = (OWNER_TAG, DELETE_AFTER_TAG)


# --- scalars: each raises ValueError with the remedy ---------------------------------------------


def _text(value: str) -> str:
    if value.strip() in ("", "~", "null"):
        raise ValueError("has no value: write one, or remove the key")
    return value


def _duration(value: Any) -> timedelta:
    parts = _DURATION.findall(str(value))
    if not parts or _DURATION.sub("", str(value)):
        raise ValueError("write a duration such as 90s, 15m, 12h or 1h30m")
    total: timedelta = sum((timedelta(**{_UNITS[unit]: float(n)}) for n, unit in parts), timedelta())
    if total > _LONGEST_DURATION:
        raise ValueError(f"is too long: {_LONGEST_DURATION.days} days at most")
    return total


def _day_at_most(value: timedelta) -> timedelta:
    if value > DAY:
        raise ValueError("is too long: a day at most")
    return value


def _session(value: timedelta) -> timedelta:
    if value < _SHORTEST_SESSION:
        raise ValueError("must be 30m or more")
    return value


def _nothing(value: timedelta) -> timedelta:
    if value:
        raise ValueError("above zero is not supported yet: remove it")
    return value


def _zone(value: str) -> str:
    zones = available_timezones()
    if value in zones:
        return value
    close = difflib.get_close_matches(value, zones, n=1)
    hint = f": did you mean {close[0]!r}?" if close else "; write an IANA name such as 'Europe/Berlin'"
    raise ValueError(f"unknown time zone {value[:80]!r}{hint}")


def _account_id(value: str) -> str:
    if not _ACCOUNT_ID.fullmatch(value.rstrip("/")):
        raise ValueError(
            "write the account's resource id: /subscriptions/…/resourceGroups/…/providers/"
            "Microsoft.CognitiveServices/accounts/NAME"
        )
    return value.rstrip("/")


def _days(value: Any) -> frozenset[int]:
    found: set[int] = set()
    for part in str(value).lower().replace("daily", "mon-sun").split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if first not in _DAYS or last not in _DAYS:
            raise ValueError("write days as daily, mon-fri or mon,wed,sat")
        begin, end = _DAYS.index(first), _DAYS.index(last)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(found)


def _moment(value: Any) -> datetime | timedelta:
    """HH:MM as the time since midnight, or the instant of a one-off window."""
    text = str(value)
    if _TIME.fullmatch(text):
        return timedelta(hours=int(text[:2]), minutes=int(text[3:]))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "write HH:MM, or for a one-off window an ISO time such as 2026-11-22T14:00:00Z"
        ) from None
    if at.tzinfo is None:
        local = at.isoformat()
        raise ValueError(f"names no zone: write {local}Z for UTC, or an offset such as {local}+01:00")
    if not 2000 <= at.year < 2100:
        raise ValueError("write a year from 2000 to 2099")
    return at.astimezone(UTC)


def _tags(value: Mapping[str, str]) -> Mapping[str, str]:
    if ours := [name for name in value if name.lower() in _OUR_TAGS]:
        raise ValueError(f"the tag {ours[0]} is set by Lamplighter itself: remove it")
    return value


def _prompt(value: str, info: ValidationInfo) -> str:
    return read_prompt(_beside(info, value))


def _schema(value: Any, info: ValidationInfo) -> Mapping[str, Any]:
    return read_schema(_beside(info, _text(str(value))))


def _beside(info: ValidationInfo, name: str) -> Path:
    assert isinstance(info.context, Path)
    return info.context / name


Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, Field(pattern=_NAME)]
Zone = Annotated[str, AfterValidator(_zone)]
AccountId = Annotated[str, AfterValidator(_account_id)]
Duration = Annotated[timedelta, PlainValidator(_duration)]
Span = Annotated[Duration, AfterValidator(_day_at_most)]
Days = Annotated[frozenset[int], PlainValidator(_days)]
Moment = Annotated[datetime | timedelta, PlainValidator(_moment)]
Positive = Annotated[int, Field(gt=0, lt=10**9)]
Price = Annotated[float, Field(ge=0, lt=10**9)]
Tags = Annotated[dict[Text, Text], Field(max_length=40), AfterValidator(_tags)]
Prompt = Annotated[Text, AfterValidator(_prompt)]
Schema = Annotated[Mapping[str, Any], PlainValidator(_schema)]


# --- sections --------------------------------------------------------------------------------------


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Defaults(_Section):
    time_zone: Zone = "UTC"
    lead: Span = timedelta(minutes=15)
    mode: Mode = Mode.ENFORCE


class _TokenPrices(_Section):
    input: Price
    output: Price


class PricesSection(_Section):
    currency: Text = "USD"
    hosting_per_hour: dict[Literal[SKUS], Price]  # type: ignore[valid-type]
    tokens_per_million: _TokenPrices
    billing_unit: BillingUnit = BillingUnit.MINUTE
    billing_starts: BillingStart = BillingStart.CREATE


class _Limits(_Section):
    max_document_bytes: Positive = 50_000_000


class AccountSection(_Section):
    resource_id: AccountId
    fine_tuned_slots: Annotated[int, Field(ge=1, le=1000)] = 10


class _Model(_Section):
    name: Text
    version: Text
    source: AccountId | None = None


class _Sku(_Section):
    name: Literal[SKUS]  # type: ignore[valid-type]
    capacity: Positive
    minimum_capacity: Positive | None = None

    @model_validator(mode="after")
    def _least_below_full(self) -> Self:
        if self.minimum_capacity is not None and self.minimum_capacity > self.capacity:
            raise ValueError("minimum_capacity is above capacity")
        return self


class WindowSection(_Section):
    days: Days | None = None
    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    time_zone: Zone | None = None
    stop_when_empty: bool = False
    close_grace: Span = timedelta(0)

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        """Weekly or one-off, with what goes with it, and not empty."""
        if isinstance(self.start, datetime) is not isinstance(self.end, datetime):
            raise ValueError("from and to must both be HH:MM, or both ISO times")
        if isinstance(self.start, timedelta) and self.days is None:
            raise ValueError("days is missing: write daily, mon-fri or mon,wed,sat")
        if isinstance(self.start, datetime) and (self.days is not None or self.time_zone is not None):
            raise ValueError("days and time_zone do not go with a one-off window: remove them")
        if self.start == DAY:
            raise ValueError("from is 24:00: write 00:00 of the next day")
        if not timedelta(0) < self.length:
            raise ValueError("is empty: to must come after from (a whole day is 00:00 to 24:00)")
        return self

    @property
    def length(self) -> timedelta:
        """How long it is open, on a day without a change of the clocks."""
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            return self.end - self.start
        assert isinstance(self.start, timedelta) and isinstance(self.end, timedelta)
        return self.end - self.start + (DAY if self.end < self.start else timedelta(0))


class _Uploads(_Section):
    start: UploadStart = UploadStart.ON_DEMAND
    start_within: Annotated[Duration, AfterValidator(_nothing)] = timedelta(0)


class TaskSection(_Section):
    system_prompt: Prompt
    response_schema: Schema | None = None
    max_output_tokens: Positive
    max_cost_per_document: Price | None = None


class DeploymentSection(_Section):
    account: str
    mode: Mode | None = None
    adopt: bool = False
    model: _Model
    sku: _Sku
    rai_policy_name: Text | None = None
    version_upgrade_option: (
        Literal["OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"] | None
    ) = None
    spillover_deployment_name: Text | None = None
    tags: Tags = Field(default_factory=dict)
    cost_center: Text | None = None
    schedule: list[WindowSection] = Field(default_factory=list)
    uploads: _Uploads = _Uploads()
    max_session: Annotated[Duration, AfterValidator(_session)] = timedelta(hours=12)
    task: TaskSection

    @model_validator(mode="after")
    def _can_answer(self) -> Self:
        limit = (self.sku.minimum_capacity or self.sku.capacity) * 1000
        if self.task.max_output_tokens >= limit:
            raise ValueError(
                f"task.max_output_tokens is {self.task.max_output_tokens:,}, and sku.capacity admits "
                f"{limit:,} tokens a minute, prompt included: no request could ever be sent"
            )
        if self.sku.name == DEVELOPER_TIER and self.max_session > DEVELOPER_TIER_LIFE:
            raise ValueError(
                f"max_session is {self.max_session}, and Azure deletes a DeveloperTier deployment after "
                "24 h: say 24h at most"
            )
        return self


class DeploymentsFile(_Section):
    installation: Name
    defaults: _Defaults = _Defaults()
    prices: PricesSection
    limits: _Limits = _Limits()
    accounts: dict[Name, AccountSection] = Field(min_length=1)
    deployments: dict[Name, DeploymentSection] = Field(min_length=1)
