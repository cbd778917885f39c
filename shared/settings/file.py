"""Define the shape of deployments.yaml: its sections and keys.

Scalars arrive as strings and are converted by `values`; the files that a task names are read from the folder
in the validation's context. Checks that involve several sections are in `mistakes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.json_schema.subschemas import subschemas
from shared.model import BillingStart, BillingUnit, Large, Mode, Slot, Template, UploadStart, prompt
from shared.model.azure_openai import DEVELOPER_TIER, DEVELOPER_TIER_LIFE
from shared.schedule.windows import DAY
from shared.settings.receivers import MOST_RECEIVERS, ReceiverSection
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
    Prompt,
    Region,
    Schema,
    Span,
    Tags,
    Text,
    Zone,
)

SKUS = ("Standard", "GlobalStandard", "DataZoneStandard", "DeveloperTier", "ProvisionedManaged")

_SLOT = re.compile("|".join(map(re.escape, Slot)))
_SHORTEST_SESSION = timedelta(minutes=30)


def _session(value: timedelta) -> timedelta:
    if value < _SHORTEST_SESSION:
        raise ValueError("must be 30m or more")
    return value


# --- sections --------------------------------------------------------------------------------------


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Defaults(_Section):
    time_zone: Zone = "UTC"
    lead: Span | None = None  # None: learned
    mode: Mode = Mode.ENFORCE


class _TokenPrices(_Section):
    input: Price
    output: Price
    embeddings: Price | None = None


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


_WEEKLY_ONLY = ("days", "time_zone", "skip_holidays", "skip_dates", "also_on", "starting", "until")


class WindowSection(_Section):
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


class ClosureSection(_Section):
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


class _Uploads(_Section):
    start: UploadStart = UploadStart.ON_DEMAND
    start_within: Span = timedelta(0)


class MessageSection(_Section):
    role: Literal["system", "developer", "user", "assistant"]
    content: str


class _Evidence(_Section):
    quotes: Annotated[list[Text], Field(min_length=1)]
    require: bool = False


class TaskSection(_Section):
    system_prompt: Prompt | None = None
    messages: list[MessageSection] = Field(default_factory=list)
    response_schema: Schema | None = None
    max_output_tokens: Positive
    max_cost_per_document: Price | None = None
    queries: list[Text] = Field(default_factory=list)
    ask: Literal["one_by_one", "together"] = "one_by_one"
    large: Large = Large.WHOLE
    context_tokens: Positive | None = None
    not_found: Text | None = None
    evidence: _Evidence | None = None
    embeddings: Name | None = None

    @model_validator(mode="after")
    def _asks_about_the_document(self) -> Self:
        if (self.system_prompt is None) is not bool(self.messages):
            raise ValueError("write either system_prompt or messages")
        slots = [(each.role, slot) for each in self.messages for slot in _SLOT.findall(each.content)]
        if self.messages and [role for role, slot in slots if slot == Slot.DOCUMENT] != ["user"]:
            raise ValueError(f"write {Slot.DOCUMENT} once, in a message of the user, for the document's text")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the last message must be the user's, as the model answers it")
        asked = sum(slot == Slot.QUERY for _, slot in slots)
        if self.messages and asked != bool(self.queries):
            raise ValueError(
                f"write {Slot.QUERY} once, for each of the queries"
                if self.queries
                else f"{Slot.QUERY} has no meaning without queries: write the question itself, or queries"
            )
        return self

    @model_validator(mode="after")
    def _can_be_large(self) -> Self:
        if self.large is Large.RETRIEVE and not self.queries:
            raise ValueError("large: retrieve looks for passages by queries: write queries, or map_reduce")
        if self.large is Large.RETRIEVE and self.not_found is None and self.response_schema is None:
            raise ValueError("large: retrieve needs not_found: the answer that says that nothing was found")
        if self.large is Large.RETRIEVE and self.ask == "together":
            raise ValueError("large: retrieve asks each query by itself: remove ask: together")
        if self.ask == "together" and not self.queries:
            raise ValueError("ask: together has no meaning without queries: write queries, or remove it")
        if len(set(self.queries)) < len(self.queries):
            raise ValueError("queries has one twice, which would be asked and paid twice: remove it")
        if self.context_tokens is not None and self.context_tokens <= self.max_output_tokens:
            raise ValueError(
                "context_tokens holds prompt and answer, so it must be above max_output_tokens: write the "
                "model's context size"
            )
        return self

    @model_validator(mode="after")
    def _quotes_what_it_answers(self) -> Self:
        if self.evidence is None:
            return self
        if self.response_schema is None:
            raise ValueError("evidence names fields of an answer with a schema: write response_schema")
        known = {name for _, part in subschemas(self.response_schema) for name in _properties_of(part)}
        if unknown := [name for name in self.evidence.quotes if name not in known]:
            raise ValueError(
                f"evidence.quotes has {unknown[0]!r}, and the schema has no such property: write one of "
                f"{', '.join(sorted(known))}"
            )
        return self

    @property
    def templates(self) -> tuple[Template, ...]:
        """Return the messages of every request."""
        if self.system_prompt is not None:
            return prompt(self.system_prompt, queries=bool(self.queries))
        return tuple(Template(each.role, _pieces(each.content)) for each in self.messages)


def _properties_of(part: Any) -> Iterable[str]:
    return part.get("properties", {}) if isinstance(part, dict) else ()


def _pieces(content: str) -> tuple[str, ...]:
    """Return the literal pieces of a message, and the slots between them."""
    literal = _SLOT.split(content)
    slots = [*map(Slot, _SLOT.findall(content)), ""]
    return tuple(piece for pair in zip(literal, slots, strict=True) for piece in pair if piece)


class DeploymentSection(_Section):
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


class DeploymentsFile(_Section):
    installation: Name
    defaults: _Defaults = _Defaults()
    prices: PricesSection
    limits: _Limits = _Limits()
    accounts: dict[Name, AccountSection] = Field(min_length=1)
    deployments: dict[Name, DeploymentSection] = Field(min_length=1)
