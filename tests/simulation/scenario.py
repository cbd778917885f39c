"""A scenario of the simulation: its uploads, its configuration and its faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from shared.model import BillingUnit, DeploymentConfig
from tests.fakes.world import ACCOUNT

START = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)  # the clocks in Berlin change an hour later
OTHER_ACCOUNT = replace(ACCOUNT, name="second", resource_id=f"{ACCOUNT.resource_id}-2")

HOPELESS = ("[[limited]]", "[[refused]]", "[[broken]]")
"""Azure always refuses these and never says that the document is the cause: they may wait forever."""
KILLS, KILLS_READING = "[[kills]]", "[[kills-reading]]"
"""A process that sends, or reads, such a document dies."""
REFUSALS: dict[str, tuple[int, str]] = {
    "paused": (423, "DeploymentPaused"),
    "retired": (410, "ModelDeprecated"),
    "method": (405, "MethodNotAllowed"),
    "operation": (400, "OperationNotSupported"),
    "dependency": (424, "FailedDependency"),
    "teapot": (418, "SomethingNew"),
    "unauthorized": (401, "PermissionDenied"),
    "firewall": (403, "Firewall"),
}
"""Status and code of refusals that are not the fault of a document."""
LARGE = "[[large]]"
"""The document fits the configured capacity, but not the minimum one."""


@dataclass(frozen=True)
class Upload:
    """A file that a person drops. `then`: overwritten or deleted, `after` seconds later."""

    at: float
    deployment: str
    name: str
    text: str
    then: str = ""
    after: float = 0.0

    @property
    def blob(self) -> str:
        return f"{self.deployment}/{self.name}"


_MAKE_CREATES_FAIL = ("full", "silent", "strange", "outage", "refusing", "reduced")
_OF_ACCOUNTS = ("account_outage", "readonly", "moved", "lingering")


@dataclass(frozen=True)
class Happening:
    """An action of a person or of Azure on a deployment, for `seconds`.

    `vanish`: deleted from outside. `foreign`: another app creates one with its name. `second`: another
    installation uses the account. `up`, `down`: a hold. `remove`: removed from the file. `silent`: it stops
    answering. `locked`: deletes are refused. `full`: no capacity. `strange`: an unknown state. `requeue`:
    dead letters are requeued. `outage`: requests fail, as `how` says; `refusing`: they get that 4xx.
    `account_outage`: requests to every deployment of its account fail. `readonly`: Azure refuses every write
    to its account. `missed`: LISTs leave it out, as `how` says. `ignored`: the next deletes do nothing.
    `lingering`: it stays Deleting for that long. `reduced`: only the minimum capacity is available. `moved`:
    its account is deleted and created again with another endpoint.
    """

    at: float
    what: str
    deployment: str
    seconds: float = 0.0
    how: str = ""


@dataclass(frozen=True)
class Twin:
    """A copy of the app with the same installation and file, but its own storage."""

    begins: float
    ends: float
    leaves: float  # seconds after its end until its deployments are deleted
    uploads: tuple[Upload, ...]


@dataclass(frozen=True)
class Scenario:
    """The drawn scenario of a seed. Times are virtual seconds since the start."""

    seed: int
    configs: tuple[DeploymentConfig, ...]
    slots: int
    hosts: int
    uploads: tuple[Upload, ...]
    happenings: tuple[Happening, ...]
    storms: tuple[tuple[float, float], ...]
    outages: tuple[tuple[float, float], ...]  # in which no timer fires
    lasts: float  # faults happen until then; after that all is calm
    intensity: float
    lost_events: float  # share of events that never arrive
    refused: frozenset[str] = frozenset()  # deployments that Azure always refuses
    bad_outcomes: float = 0.0  # share of creations that fail or never become ready
    tagless: float = 0.0  # share of creations whose tags Azure forgets
    provision_median: float = 150.0
    billing: BillingUnit = BillingUnit.MINUTE
    skew: float = 4.0  # largest error of a host's clock in seconds
    list_lag: float = 40.0  # longest delay of a LIST in seconds
    omissions: bool = False  # a LIST in a storm may leave out an entry
    storage_hangs: bool = False  # storage in a storm may hang until the adapters give up
    phantoms: bool = False  # storage may claim that a missing result exists
    rows_a_page: int = 1000
    blobs_a_page: int = 4  # so few that walks take several pages
    quick: bool = False  # the model answers within a second
    twin: Twin | None = None
    deaf: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    """Receivers of events by URL, and when they are down."""

    @property
    def requeues(self) -> bool:
        """Return whether documents get a next run, which asks everything anew."""
        return any(happening.what == "requeue" for happening in self.happenings)

    def queries_of(self, deployment: str) -> tuple[str, ...]:
        """Return what each document of a deployment is asked by itself."""
        return next((each.task.queries for each in self.configs if each.name == deployment), ())

    def create_may_fail(self, deployment: str) -> bool:
        """Return whether creating it may fail, so that the next attempt is delayed."""
        troubles = {happening.what for happening in self.happenings if happening.deployment == deployment}
        refused = deployment in self.refused or not troubles.isdisjoint(_MAKE_CREATES_FAIL)
        on_accounts = {happening.what for happening in self.happenings}
        return refused or self.bad_outcomes > 0 or not on_accounts.isdisjoint(_OF_ACCOUNTS)
