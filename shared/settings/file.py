"""Define the shape of deployments.yaml: its sections and keys.

Scalars arrive as strings and are converted by `values`; the files that a task names are read from the folder
in the validation's context. Checks that involve several sections are in `mistakes`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.model import BillingStart, BillingUnit, Mode, UploadStart
from shared.model.azure_openai import DEVELOPER_TIER, DEVELOPER_TIER_LIFE
from shared.schedule.windows import DAY
from shared.settings.receivers import MOST_RECEIVERS, ReceiverSection
from shared.settings.sources import SourceSection
from shared.settings.task_section import Section, TaskSection
from shared.settings.values import (
    AccountId,
    Date,
    Days,
    Duration,
    Instant,
    Moment,
    Name,
    Positive,
    Price,
    Region,
    Span,
    Tags,
    Text,
    Zone,
)

SKUS = ("Standard", "GlobalStandard", "DataZoneStandard", "DeveloperTier", "ProvisionedManaged")

_SHORTEST_SESSION = timedelta(minutes=30)


def _session(value: timedelta) -> timedelta:
    if value < _SHORTEST_SESSION:
        raise ValueError("must be 30m or more")
    return value


# --- sections --------------------------------------------------------------------------------------


class _Defaults(Section):
    time_zone: Zone = "UTC"
    lead: Span | None = None  # None: learned
    mode: Mode = Mode.ENFORCE


class _TokenPrices(Section):
    input: Price
    output: Price
    embeddings: Price | None = None


class PricesSection(Section):
    currency: Text = "USD"
    hosting_per_hour: dict[Literal[SKUS], Price]  # type: ignore[valid-type]
    tokens_per_million: _TokenPrices
    billing_unit: BillingUnit = BillingUnit.MINUTE
    billing_starts: BillingStart = BillingStart.CREATE


class _Limits(Section):
    max_document_bytes: Positive = 50_000_000


class AccountSection(Section):
    resource_id: AccountId
    fine_tuned_slots: Annotated[int, Field(ge=1, le=1000)] = 10


class _Model(Section):
    name: Text
    version: Text
    source: AccountId | None = None


class _Sku(Section):
    name: Literal[SKUS]  # type: ignore[valid-type]
    capacity: Positive
    minimum_capacity: Positive | None = None

    @model_validator(mode="after")
    def _least_below_full(self) -> Self:
        if self.minimum_capacity is not None and self.minimum_capacity > self.capacity:
            raise ValueError("minimum_capacity is above capacity")
        return self


_WEEKLY_ONLY = ("days", "time_zone", "skip_holidays", "skip_dates", "also_on", "starting", "until")


class WindowSection(Section):
    days: Days | None = None
    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    time_zone: Zone | None = None
    stop_when_empty: bool = False
    close_grace: Span = timedelta(0)
    skip_holidays: Region | None = None
    skip_dates: list[Date] = Field(default_factory=list)
    also_on: list[Date] = Field(default_factory=list)
    starting: Date | None = None
    until: Date | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        """Check that it is weekly or one-off, has only the keys of its kind, and is not empty."""
        if isinstance(self.start, datetime) is not isinstance(self.end, datetime):
            raise ValueError("from and to must both be HH:MM, or both ISO times")
        if isinstance(self.start, timedelta) and self.days is None:
            raise ValueError("days is missing: write daily, mon-fri or mon,wed,sat")
        if isinstance(self.start, datetime) and self.model_fields_set.intersection(_WEEKLY_ONLY):
            raise ValueError(f"{', '.join(_WEEKLY_ONLY)} do not go with a one-off window: remove them")
        if self.start == DAY:
            raise ValueError("from is 24:00: write 00:00 of the next day")
        if not timedelta(0) < self.length:
            raise ValueError("is empty: to must come after from (a whole day is 00:00 to 24:00)")
        return self

    @model_validator(mode="after")
    def _dates_agree(self) -> Self:
        """Check that no date is both skipped and added, and that every date can have an effect."""
        if self.starting and self.until and self.until < self.starting:
            raise ValueError(f"until ({self.until}) comes before starting ({self.starting})")
        if both := sorted({*self.skip_dates} & {*self.also_on}):
            raise ValueError(f"{both[0]} is in skip_dates and in also_on: remove one")
        for day in self.also_on:
            if (self.starting and day < self.starting) or (self.until and day > self.until):
                raise ValueError(f"also_on has {day}, which is not between starting and until: remove it")
        return self

    @property
    def length(self) -> timedelta:
        """Return how long it is open, on a day without a change of the clocks."""
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            return self.end - self.start
        assert isinstance(self.start, timedelta) and isinstance(self.end, timedelta)
        return self.end - self.start + (DAY if self.end < self.start else timedelta(0))


class ClosureSection(Section):
    date: Date | None = None
    start: Instant | None = Field(alias="from", default=None)
    end: Instant | None = Field(alias="to", default=None)
    time_zone: Zone | None = None
    reason: Text | None = None

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        """Check that it is a date in a zone, or two instants in order."""
        given = [instant for instant in (self.start, self.end) if instant is not None]
        if len(given) != (2 if self.date is None else 0):
            raise ValueError("write either date, or from and to")
        if self.start is not None and self.time_zone is not None:
            raise ValueError("time_zone goes with date only: remove it")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("is empty: to must come after from")
        return self


class _Uploads(Section):
    start: UploadStart = UploadStart.ON_DEMAND
    start_within: Span = timedelta(0)


class DeploymentSection(Section):
    account: str
    mode: Mode | None = None
    adopt: bool = False
    keep_if_scarce: bool = False
    model: _Model
    sku: _Sku
    rai_policy_name: Text | None = None
    version_upgrade_option: (
        Literal["OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"] | None
    ) = None
    spillover_deployment_name: Text | None = None
    tags: Tags = Field(default_factory=dict)
    cost_center: Text | None = None
    always: bool = False
    schedule: list[WindowSection] = Field(default_factory=list)
    closures: list[ClosureSection] = Field(default_factory=list)
    uploads: _Uploads = _Uploads()
    max_session: Annotated[Duration, AfterValidator(_session)] = timedelta(hours=12)
    notify: list[ReceiverSection] = Field(default_factory=list, max_length=MOST_RECEIVERS)
    source: SourceSection | None = None
    task: TaskSection

    @model_validator(mode="after")
    def _notifies_once(self) -> Self:
        keys = [section.receiver.key for section in self.notify]
        if len(set(keys)) < len(keys):
            raise ValueError("notify names a receiver twice, which would get each event twice: remove one")
        return self

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


class DeploymentsFile(Section):
    installation: Name
    defaults: _Defaults = _Defaults()
    prices: PricesSection
    limits: _Limits = _Limits()
    accounts: dict[Name, AccountSection] = Field(min_length=1)
    deployments: dict[Name, DeploymentSection] = Field(min_length=1)
