"""The shape of deployments.yaml: its sections, keys and scalars, checked one by one.

Scalars arrive as strings and are converted here. Checks that need more than one key are in `settings`.
"""

from __future__ import annotations

import difflib
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from shared.domain import BillingStart, BillingUnit, UploadStart

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_ACCOUNT_ID = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.CognitiveServices/accounts/[^/]+",
    re.IGNORECASE,
)
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_SKUS = ("Standard", "GlobalStandard", "DataZoneStandard", "DeveloperTier", "ProvisionedManaged")


def _refuse(message: str) -> PydanticCustomError:
    return PydanticCustomError("lamplighter", "{message}", {"message": message})


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    parts = _DURATION.findall(str(value))
    if not parts or _DURATION.sub("", str(value)).strip():
        raise _refuse("write a duration such as 90s, 15m, 12h or 1h30m")
    total: timedelta = sum((timedelta(**{_UNITS[unit]: float(n)}) for n, unit in parts), timedelta())
    return total


def _zone(value: str) -> str:
    zones = available_timezones()
    if value in zones:
        return value
    close = difflib.get_close_matches(value, zones, n=1)
    hint = f": did you mean {close[0]!r}?" if close else "; write an IANA name such as 'Europe/Berlin'"
    raise _refuse(f"unknown time zone {value!r}{hint}")


def _account_id(value: str) -> str:
    if not _ACCOUNT_ID.fullmatch(value.rstrip("/")):
        raise _refuse(
            "write the account's resource id: /subscriptions/…/resourceGroups/…/providers/"
            "Microsoft.CognitiveServices/accounts/NAME"
        )
    return value.rstrip("/")


def _days(value: str) -> frozenset[int]:
    if value == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for part in value.lower().split(","):
        first, _, last = part.strip().partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise _refuse("write days as daily, mon-fri or mon,wed,sat")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(found)


def _moment(value: str) -> datetime | str:
    """A one-off instant, or HH:MM as it stands."""
    if _TIME.fullmatch(value):
        return value
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise _refuse(
            "write HH:MM, or for a one-off window an ISO time such as 2026-11-22T14:00:00Z"
        ) from None
    if at.tzinfo is None:
        raise _refuse(f"the time names no zone: write {value}Z for UTC, or an offset such as {value}+01:00")
    return at.astimezone(UTC)


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Zone = Annotated[str, AfterValidator(_zone)]
AccountId = Annotated[str, AfterValidator(_account_id)]
Name = Annotated[str, Field(pattern=_NAME)]
Moment = Annotated[Any, BeforeValidator(str), AfterValidator(_moment)]
Days = Annotated[Any, BeforeValidator(str), AfterValidator(_days)]
Positive = Annotated[int, Field(gt=0, lt=10**9)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Defaults(_Section):
    time_zone: Zone = "UTC"
    lead: Duration = timedelta(minutes=15)


class _TokenPrices(_Section):
    input: Price
    output: Price


class PricesSection(_Section):
    currency: str = "USD"
    hosting_per_hour: dict[Literal[_SKUS], Price]  # type: ignore[valid-type]
    tokens_per_million: _TokenPrices
    billing_unit: BillingUnit = BillingUnit.MINUTE
    billing_starts: BillingStart = BillingStart.CREATE


class _Limits(_Section):
    max_document_bytes: Positive = 50_000_000


class AccountSection(_Section):
    resource_id: AccountId
    fine_tuned_slots: Annotated[int, Field(ge=1, le=1000)] = 10


class _Model(_Section):
    name: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]
    source: AccountId | None = None


class _Sku(_Section):
    name: Literal[_SKUS]  # type: ignore[valid-type]
    capacity: Positive


class WindowSection(_Section):
    days: Days = None
    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    time_zone: Zone | None = None
    stop_when_empty: bool = False
    close_grace: Duration = timedelta(0)


class _Uploads(_Section):
    start: UploadStart = UploadStart.ON_DEMAND
    start_within: Duration = timedelta(0)


class TaskSection(_Section):
    system_prompt: str
    response_schema: str | None = None
    max_output_tokens: Positive
    max_cost_per_document: Price | None = None


class DeploymentSection(_Section):
    account: str
    model: _Model
    sku: _Sku
    rai_policy_name: str | None = None
    version_upgrade_option: (
        Literal["OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"] | None
    ) = None
    spillover_deployment_name: str | None = None
    tags: dict[str, str] = Field(default_factory=dict, max_length=40)
    cost_center: str | None = None
    schedule: list[WindowSection] = Field(default_factory=list)
    uploads: _Uploads = _Uploads()
    max_session: Duration = timedelta(hours=12)
    task: TaskSection


class DeploymentsFile(_Section):
    installation: Annotated[str, Field(pattern=_NAME)]
    defaults: _Defaults = _Defaults()
    prices: PricesSection
    limits: _Limits = _Limits()
    accounts: dict[Name, AccountSection] = Field(min_length=1)
    deployments: dict[Name, DeploymentSection] = Field(min_length=1)
