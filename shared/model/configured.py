"""What is configured: deployments, their windows and tasks, accounts and prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias

from shared.errors import SettingProblem, UnknownDeployment
from shared.model import azure_openai


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

    @property
    def takes_slot(self) -> bool:
        """Whether it takes one of its account's slots."""
        return azure_openai.is_fine_tuned(self.model_name)

    @property
    def longest_life(self) -> timedelta | None:
        """The age at which its provider deletes it; None: never."""
        return azure_openai.longest_life(self.sku)

    @property
    def tokens_per_minute(self) -> int:
        """The tokens that it admits, if its provider gives it the whole capacity."""
        return self.capacity * azure_openai.TOKENS_PER_UNIT

    @property
    def requests_per_minute(self) -> int:
        """The requests that it admits, if its provider gives it the whole capacity."""
        return self.capacity * azure_openai.REQUESTS_PER_UNIT


@dataclass(frozen=True)
class Account:
    """An Azure OpenAI account."""

    name: str  # the name in deployments.yaml, for people
    resource_id: str  # its identity
    fine_tuned_slots: int


@dataclass(frozen=True)
class HostedId:
    """Identify what is hosted: a deployment and its placement. Each deployment has one placement for now."""

    placement: str  # the resource id of the account
    deployment: str  # its name


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
    def hosted_id(self) -> HostedId:
        """What identifies its record, its leases and its sessions."""
        return HostedId(self.account, self.name)

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
    unused: tuple[SettingProblem, ...] = ()  # what the file says and nothing heeds

    @cached_property
    def _by_lower_name(self) -> Configs:
        return {name.lower(): config for name, config in self.deployments.items()}

    def get(self, name: str) -> DeploymentConfig | None:
        """The deployment of that name, in whatever case; None if there is none."""
        return self._by_lower_name.get(name.lower())

    def find(self, name: str) -> DeploymentConfig:
        """The deployment of that name, in whatever case. Raises UnknownDeployment with the likely name."""
        found = self.get(name)
        if found is None:
            raise UnknownDeployment(name, self.deployments)
        return found
