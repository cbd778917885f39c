"""The configuration: deployments, their windows and tasks, accounts and prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias

from shared.errors import SettingProblem, UnknownDeployment
from shared.model import azure_openai
from shared.model.inference import Template
from shared.model.notify import Receiver
from shared.model.records import Records
from shared.model.sources import Source


class UploadStart(StrEnum):
    """The rule that starts a deployment for waiting documents: on their arrival, or only by schedule."""

    ON_DEMAND = "on_demand"
    SCHEDULED = "scheduled"


class Mode(StrEnum):
    """The use of the plan: carry it out, or only make, log and show it."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class BillingUnit(StrEnum):
    """The unit in which hosting is charged. Azure documents none, so it is a setting."""

    MINUTE = "minute"
    HOUR = "hour"


class BillingStart(StrEnum):
    """The instant from which hosting is charged. Azure documents none, so it is a setting."""

    CREATE = "create"
    READY = "ready"


@dataclass(frozen=True)
class WeeklyWindow:
    """A window on local days and times. `end` at or before `start` means the next day; None is 24:00.

    Its dates are local dates in its zone. A window belongs to the date on which it starts.
    """

    days: frozenset[int]  # Monday is 0
    start: time
    end: time | None
    time_zone: str  # IANA name
    stop_when_empty: bool = False
    close_grace: timedelta = timedelta(0)
    skip_holidays: str | None = None  # public holidays of a country, or of a subdivision: DE, DE-BE
    skip_dates: frozenset[date] = frozenset()
    also_on: frozenset[date] = frozenset()  # on any weekday, and on holidays
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
"""The window of a deployment that is hosted round the clock."""


@dataclass(frozen=True)
class Closure:
    """A time in which no window of a deployment is open."""

    start: datetime
    end: datetime
    time_zone: str  # in which it was written, and is shown
    reason: str | None = None


class Large(StrEnum):
    """What becomes of a document that does not fit into one request."""

    WHOLE = "whole"  # it is refused
    MAP_REDUCE = "map_reduce"  # each piece is asked about, and the answers are combined
    RETRIEVE = "retrieve"  # each query takes the passages that fit best; the rest before a negative answer


@dataclass(frozen=True)
class Task:
    """What the model is asked about each document, which stands in one of the messages.

    `queries`: each is asked by itself, or all `together`; without any, there is one request.
    `context_tokens`: the most that the model takes in one request, with the answer; None if only the
    deployment's limit counts.
    `not_found`: the answer that says that the document does not have what a query asks for. `quotes`: the
    fields of an answer that quote the document; with `require_quotes` an answer with another quote fails.
    `embeddings`: the deployment on the same account that ranks passages; None: they are ranked by words.
    `records`: how rows become requests; None: a file is one document.
    """

    messages: tuple[Template, ...]
    max_output_tokens: int
    response_schema: Mapping[str, Any] | None = None
    max_cost_per_document: float | None = None  # in the currency of the prices, over all runs
    queries: tuple[str, ...] = ()
    together: bool = False
    large: Large = Large.WHOLE
    context_tokens: int | None = None
    not_found: str | None = None
    quotes: tuple[str, ...] = ()
    require_quotes: bool = False
    embeddings: str | None = None
    records: Records | None = None
    max_cost_per_file: float | None = None  # of a file of records, in the currency of the prices


@dataclass(frozen=True)
class Prices:
    """Dollars per hour of hosting by SKU, and dollars per million tokens."""

    currency: str
    hosting_per_hour: Mapping[str, float]
    input_per_million: float
    output_per_million: float
    billing_unit: BillingUnit
    billing_starts: BillingStart
    embeddings_per_million: float = 0.0  # required if a task uses embeddings


@dataclass(frozen=True)
class DeploymentSpec:
    """All properties that Azure needs to create a deployment, except the tags that the pass adds."""

    name: str
    model_name: str
    model_version: str
    model_source: str | None  # ARM id of the account that owns the model, if it is another one
    sku: str
    capacity: int
    rai_policy_name: str | None = None
    version_upgrade_option: str | None = None
    spillover_deployment_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    minimum_capacity: int | None = None  # requested if Azure refuses the full capacity

    @property
    def takes_slot(self) -> bool:
        """Return whether it takes one of its account's slots."""
        return azure_openai.is_fine_tuned(self.model_name)

    @property
    def longest_life(self) -> timedelta | None:
        """Return the age at which its provider deletes it; None: never."""
        return azure_openai.longest_life(self.sku)

    @property
    def tokens_per_minute(self) -> int:
        """Return the tokens that it admits per minute, if its provider grants the whole capacity."""
        return self.capacity * azure_openai.TOKENS_PER_UNIT

    @property
    def requests_per_minute(self) -> int:
        """Return the requests that it admits per minute, if its provider grants the whole capacity."""
        return self.capacity * azure_openai.REQUESTS_PER_UNIT


@dataclass(frozen=True)
class Account:
    """An Azure OpenAI account."""

    name: str  # the name in deployments.yaml, for people
    resource_id: str  # its identity
    fine_tuned_slots: int


@dataclass(frozen=True)
class HostedId:
    """The identity of a hosted deployment: its placement and its name. For now it has one placement."""

    placement: str  # the resource id of the account
    deployment: str  # its name


@dataclass(frozen=True)
class DeploymentConfig:
    """One entry of `deployments`: what to host, when to host it, and the task for each document."""

    account: str  # resource id
    spec: DeploymentSpec
    windows: tuple[WeeklyWindow | OneOffWindow, ...]
    uploads: UploadStart
    lead: timedelta | None  # time before a window to begin the create; None: learned from history
    max_session: timedelta
    task: Task
    cost_center: str | None = None
    mode: Mode = Mode.ENFORCE
    adopt: bool = False  # take over an existing deployment of this name
    keep_if_scarce: bool = False  # do not delete it while that could lose its capacity
    closures: tuple[Closure, ...] = ()
    start_within: timedelta = timedelta(0)  # how long a document may wait for the deployment to start
    notify: tuple[Receiver, ...] = ()  # where its events are sent to
    source: Source | None = None  # where its documents or records are taken from, beside the inbox

    @property
    def name(self) -> str:
        """Return the deployment's name in Azure, which is also the name of its inbox folder."""
        return self.spec.name

    @property
    def hosted_id(self) -> HostedId:
        """Return the identity of its record, its leases and its sessions."""
        return HostedId(self.account, self.name)

    @property
    def always(self) -> bool:
        """Return whether it is hosted round the clock. Then its sessions have no limit."""
        return ALWAYS in self.windows

    def session_end(self, start: datetime) -> datetime | None:
        """Return the hard deadline of a generation that starts then; None: it has none."""
        return None if self.always else start + self.max_session


Configs: TypeAlias = Mapping[str, DeploymentConfig]
"""Deployments by name."""


@dataclass(frozen=True)
class Owner:
    """Our identity in Azure: an installation, and the storage account that holds its records.

    A copy of the app with its own storage (a test, a slot swap) has the same installation but other records.
    """

    installation: str
    storage: str


@dataclass(frozen=True)
class Settings:
    """The validated content of deployments.yaml."""

    installation: str
    accounts: Mapping[str, Account]  # by resource id
    deployments: Mapping[str, DeploymentConfig]  # by name
    prices: Prices
    max_document_bytes: int
    doubts: tuple[SettingProblem, ...] = ()  # what is in the file, and likely not meant

    @cached_property
    def _by_lower_name(self) -> Configs:
        return {name.lower(): config for name, config in self.deployments.items()}

    def get(self, name: str) -> DeploymentConfig | None:
        """Return the deployment of that name in any case; None if there is none."""
        return self._by_lower_name.get(name.lower())

    def find(self, name: str) -> DeploymentConfig:
        """Return the deployment of that name in any case. Raises UnknownDeployment with a likely name."""
        found = self.get(name)
        if found is None:
            raise UnknownDeployment(name, self.deployments)
        return found
