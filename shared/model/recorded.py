"""What Azure has, what the app records of it, and what people ask for until a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.model.configured import DeploymentSpec


class Observed(StrEnum):
    """What a provider has, in the words of the planner."""

    ABSENT = "absent"
    CREATING = "creating"
    SUCCEEDED = "succeeded"  # its provider says that it is ready; no request has succeeded in this generation
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


@dataclass(frozen=True)
class Hosted:
    """A deployment as its provider lists it. `spec` recreates it exactly, with the tags that it has.

    `status`: CREATING, SUCCEEDED, DELETING, FAILED or UNKNOWN; `said`: the provider's own word, for people.
    The limits are those that the provider gives it; None where it says nothing.
    """

    spec: DeploymentSpec
    status: Observed
    said: str
    created_at: datetime | None = None
    tokens_per_minute: int | None = None
    requests_per_minute: int | None = None


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
