"""The vocabulary of Lamplighter: frozen data, no logic.

Times are aware UTC datetimes, durations timedeltas, money US dollars unless `Prices.currency`
says otherwise, capacity thousands of tokens per minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, TypeAlias


class Observed(StrEnum):
    """What Azure has, in the words of the planner. Every provisioning state maps to one of these."""

    ABSENT = "absent"
    CREATING = "creating"
    SUCCEEDED = "succeeded"  # Azure says Succeeded, but no request has succeeded in this generation
    READY = "ready"
    DELETING = "deleting"
    FAILED = "failed"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"


class RecordState(StrEnum):
    """Where a deployment's record stands: absent → creating → open → closing → deleting → absent."""

    ABSENT = "absent"
    CREATING = "creating"
    OPEN = "open"
    CLOSING = "closing"
    DELETING = "deleting"


class Action(StrEnum):
    """A step of the plan. Only CREATE and DELETE write to Azure; PROBE sends one tiny request."""

    NOTHING = "nothing"
    WAIT = "wait"
    SERVE = "serve"
    CREATE = "create"
    PROBE = "probe"
    CLOSE = "close"
    REOPEN = "reopen"
    DELETE = "delete"
    ADOPT = "adopt"  # from now on ours, keeping its properties
    TAKE_UP = "take_up"  # the record follows a deployment of ours that it had lost sight of
    FORGET = "forget"  # the record follows a deployment that is gone


class DocumentState(StrEnum):
    """The life of an upload. The last four are final."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


class UploadStart(StrEnum):
    """Whether waiting documents start their deployment themselves."""

    ON_DEMAND = "on_demand"
    SCHEDULED = "scheduled"


class Mode(StrEnum):
    """Whether the plan is carried out, or only made, logged and shown."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class BillingUnit(StrEnum):
    """The granularity in which hosting is charged: Azure documents none, so it is a setting."""

    MINUTE = "minute"
    HOUR = "hour"


class BillingStart(StrEnum):
    """The instant from which hosting is charged: Azure documents none, so it is a setting."""

    CREATE = "create"
    READY = "ready"


# --- what is configured ----------------------------------------------------------------------


@dataclass(frozen=True)
class WeeklyWindow:
    """A window on local days and times. `end` at or before `start` means the next day; None is 24:00.

    Its dates are local ones of its zone, and those on which it starts.
    """

    days: frozenset[int]  # Monday is 0
    start: time
    end: time | None
    time_zone: str  # IANA name
    stop_when_empty: bool = False
    close_grace: timedelta = timedelta(0)
    skip_holidays: str | None = None  # public holidays of a country, or of a subdivision: DE, DE-BE
    skip_dates: frozenset[date] = frozenset()
    also_on: frozenset[date] = frozenset()  # whatever the weekday is, and holidays
    starting: date | None = None  # its first date
    until: date | None = None  # its last date


@dataclass(frozen=True)
class OneOffWindow:
    """A window that happens once."""

    start: datetime
    end: datetime
    stop_when_empty: bool = False
    close_grace: timedelta = timedelta(0)


ALWAYS = OneOffWindow(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
"""The window of what is hosted round the clock."""


@dataclass(frozen=True)
class Closure:
    """A time in which no window of a deployment is open."""

    start: datetime
    end: datetime
    time_zone: str  # in which people think of it
    reason: str | None = None


@dataclass(frozen=True)
class Task:
    """What to ask of each document."""

    system_prompt: str
    max_output_tokens: int
    response_schema: Mapping[str, Any] | None = None
    max_cost_per_document: float | None = None  # in the currency of the prices, over all runs


@dataclass(frozen=True)
class Prices:
    """Dollars per hour of hosting by SKU, and dollars per million tokens."""

    currency: str
    hosting_per_hour: Mapping[str, float]
    input_per_million: float
    output_per_million: float
    billing_unit: BillingUnit
    billing_starts: BillingStart


@dataclass(frozen=True)
class DeploymentSpec:
    """Everything that Azure needs to create a deployment, but for the tags that the pass adds."""

    name: str
    model_name: str
    model_version: str
    model_source: str | None  # ARM id of the account that owns the model, when it is another one
    sku: str
    capacity: int
    rai_policy_name: str | None = None
    version_upgrade_option: str | None = None
    spillover_deployment_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    minimum_capacity: int | None = None  # tried when the full capacity is refused


@dataclass(frozen=True)
class Account:
    """An Azure OpenAI account."""

    name: str  # the name in deployments.yaml, for people
    resource_id: str  # its identity
    fine_tuned_slots: int


@dataclass(frozen=True)
class DeploymentConfig:
    """One entry of `deployments`: what to host, when, and what to ask of each document."""

    account: str  # resource id
    spec: DeploymentSpec
    windows: tuple[WeeklyWindow | OneOffWindow, ...]
    uploads: UploadStart
    lead: timedelta | None  # before a window's start; None: as learned from how long creating takes
    max_session: timedelta
    task: Task
    cost_center: str | None = None
    mode: Mode = Mode.ENFORCE
    adopt: bool = False  # take over an existing deployment of this name
    keep_if_scarce: bool = False  # not deleted while its capacity could be lost by that
    closures: tuple[Closure, ...] = ()
    start_within: timedelta = timedelta(0)  # how long a document may wait for the deployment to start

    @property
    def name(self) -> str:
        """The deployment's name in Azure, which is the inbox folder's name too."""
        return self.spec.name

    @property
    def always(self) -> bool:
        """Whether it is hosted round the clock: then no session of it is too long."""
        return ALWAYS in self.windows

    def session_end(self, start: datetime) -> datetime | None:
        """The hard deadline of a generation that starts then; None: it has none."""
        return None if self.always else start + self.max_session


Configs: TypeAlias = Mapping[str, DeploymentConfig]
"""Deployments by name."""


@dataclass(frozen=True)
class Owner:
    """Who we are to Azure: an installation, and the storage account in which its records are.

    A copy of the app with storage of its own (a test, a slot swap) has the same installation, and other
    records.
    """

    installation: str
    storage: str


@dataclass(frozen=True)
class Settings:
    """deployments.yaml, validated."""

    installation: str
    accounts: Mapping[str, Account]  # by resource id
    deployments: Mapping[str, DeploymentConfig]  # by name
    prices: Prices
    max_document_bytes: int


# --- what is observed and recorded ------------------------------------------------------------


@dataclass(frozen=True)
class AzureDeployment:
    """A deployment as ARM lists it. `provisioning_state` is Azure's own word, possibly unknown to us."""

    name: str
    provisioning_state: str
    sku: str
    capacity: int
    model_name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    tokens_per_minute: int | None = None
    requests_per_minute: int | None = None
    model_version: str = ""
    model_source: str | None = None
    rai_policy_name: str | None = None
    version_upgrade_option: str | None = None
    spillover_deployment_name: str | None = None


@dataclass(frozen=True)
class DeploymentRecord:
    """What the app knows of one deployment across passes. Changed by compare-and-swap only."""

    account: str
    deployment: str
    state: RecordState = RecordState.ABSENT
    generation: int = 0
    changed_at: datetime | None = None  # when `state` last changed
    settled: bool = True  # False: the outcome of the last ARM write is unknown
    uncertain_at: datetime | None = None  # the last delete of this generation whose outcome is unknown
    doubted_at: datetime | None = None  # the last create that was given up without knowing its outcome
    owned: bool = True  # False: somebody else's deployment, used and never changed
    intent_at: datetime | None = None  # when this generation's create was decided
    created_at: datetime | None = None  # Azure's own createdAt of this generation
    succeeded_at: datetime | None = None  # when Azure was first seen to say Succeeded
    opened_at: datetime | None = None  # when the first request succeeded
    missed_since: datetime | None = None  # LISTs do not show it since then
    earlier_created_at: datetime | None = None  # createdAt of the generation before: a stale LIST may show it
    silent_since: datetime | None = None  # it is open, and since then a probe is due before any other request
    silent_probes: int = 0  # failed probes of this generation, or since it became silent
    unanswered_since: datetime | None = None  # nobody who asked it was answered since then
    unanswered_at: datetime | None = None  # the last time that somebody asked it and was not answered
    unanswered_runs: int = 0  # generations in a row that were closed because nobody was answered
    trouble: str = ""  # why it does not answer: Azure's code, and the remedy
    deleted_at: datetime | None = None  # when Azure first accepted a delete of this generation
    deleted_again_at: datetime | None = None  # when it last did so, as the first had no effect
    seen_at: datetime | None = None  # the last time that a change was seen in Azure
    delete_after: datetime | None = None  # hard deadline of this generation
    failures: int = 0  # failed creations in a row
    not_before: datetime | None = None  # no create earlier than this
    problem: str = ""  # why the last try to host it failed
    refusals: int = 0  # deletes in a row that Azure refused for good
    delete_not_before: datetime | None = None  # no delete earlier than this
    sku: str = ""
    capacity: int = 0
    tokens_per_minute: int | None = None
    requests_per_minute: int | None = None
    create_seconds: str = ""  # the latest create times, from the request to the first answer
    gathered: str = ""  # what had come at the latest creates, see planning/uploads.py
    adopted: str = ""  # the properties of a deployment that was taken over, as JSON
    observed: Observed = Observed.ABSENT
    wanted: bool = False
    action: Action = Action.NOTHING
    reason: str = ""
    again_at: datetime | None = None  # when the wait that was decided is known to end
    decisions: int = 0  # how many were kept
    etag: str | None = None  # None: the row does not exist yet

    @property
    def delete_accepted_at(self) -> datetime | None:
        """When Azure first accepted a delete of this generation."""
        began, accepted = self.started_at, self.deleted_at
        return accepted if accepted is not None and (began is None or accepted > began) else None

    @property
    def started_at(self) -> datetime | None:
        """When this generation's session began: by Azure's clock once that is known.

        What was adopted is ours from then on, not from when somebody else created it.
        """
        known = [at for at in (self.created_at, self.intent_at) if at is not None]
        return max(known, default=None) if self.adopted else next(iter(known), None)


NO_RECORD = DeploymentRecord("", "")
"""Stands for the record of a deployment that was never recorded."""


@dataclass(frozen=True)
class AccountRecord:
    """What the app knows of one account across passes."""

    account: str
    endpoint: str | None = None
    listed_at: datetime | None = None
    busy: str = ""  # why Azure took no more writes in the last pass
    problem: str = ""  # why the account could not be read by the last pass, with the remedy
    problem_at: datetime | None = None
    etag: str | None = None


@dataclass(frozen=True)
class HostingSession:
    """One generation of a deployment, for the bill. An end that was not seen is an interval."""

    account: str
    deployment: str
    generation: int
    started_at: datetime
    ready_at: datetime | None
    ended_after: datetime | None  # it still existed then
    ended_by: datetime | None  # it was gone then
    sku: str
    capacity: int
    price_per_hour: float

    @property
    def likely_end(self) -> datetime | None:
        """When it was gone, or else when Azure accepted its delete; None: it stands."""
        return self.ended_by or self.ended_after


@dataclass(frozen=True)
class Hold:
    """Somebody wants a deployment up or down until a time, whatever schedule and documents say."""

    deployment: str
    up: bool
    until: datetime
    owner: str
    reason: str
    made_at: datetime


@dataclass(frozen=True)
class Demand:
    """The unfinished documents of one deployment: a page of them, and whether there are more."""

    unfinished: int = 0
    more: bool = False
    arrivals: tuple[datetime, ...] = ()  # of that page, oldest first

    @property
    def oldest(self) -> datetime | None:
        """When the first of them arrived."""
        return self.arrivals[0] if self.arrivals else None


@dataclass(frozen=True)
class Document:
    """An upload: container, name and ETag, and how far it has come."""

    id: str
    deployment: str
    name: str  # blob name in the inbox, folder included
    source_etag: str
    size: int  # bytes
    arrived_at: datetime
    state: DocumentState = DocumentState.WAITING
    run: int = 1
    reason: str = ""
    attempts: int = 0  # failures, not hand-overs or crashes
    crashes: int = 0  # claims that ran out: the app died, or stood still
    lone_crashes: int = 0  # of these, with no other document in work in that process
    alone: bool = False  # the claim in force is of a document that is worked on alone
    unanswered: int = 0  # times in a row that it was handed back after an error that blames no document
    claimed_by: str = ""
    claimed_until: datetime | None = None
    not_before: datetime | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0  # in the currency of the prices, over all attempts and runs
    result: str = ""  # blob name in `results`
    moved_to: str = ""  # container/name of the finished source; a requeued document is read from there
    finished_at: datetime | None = None
    etag: str | None = None


# --- inference --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelRequest:
    """One question to the model."""

    system_prompt: str
    text: str
    max_output_tokens: int
    response_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ModelAnswer:
    """What the model said. Untrusted."""

    text: str
    finish_reason: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    remaining_tokens: int | None = None  # from the response's rate limit headers
