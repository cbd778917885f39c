"""The state of deployments in Azure, the app's records of it, and the holds that people set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.model.configured import DeploymentSpec


class Observed(StrEnum):
    """The state of a deployment at its provider, in the planner's terms."""

    ABSENT = "absent"
    CREATING = "creating"
    SUCCEEDED = "succeeded"  # its provider says that it is ready, but no request has succeeded yet
    READY = "ready"
    DELETING = "deleting"
    FAILED = "failed"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"


class RecordState(StrEnum):
    """The state of a deployment's record: absent → creating → open → closing → deleting → absent."""

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
    ADOPT = "adopt"  # treat it as ours from now on, and keep its properties
    TAKE_UP = "take_up"  # record a deployment of ours that the record no longer contained
    FORGET = "forget"  # record that a deployment is gone


@dataclass(frozen=True)
class Hosted:
    """A deployment as its provider lists it. `spec` recreates it exactly, with its tags.

    `status`: CREATING, SUCCEEDED, DELETING, FAILED or UNKNOWN; `said`: the provider's own word, for people.
    The limits are those that the provider shows, None if it shows none, and the seconds over which it counts.
    `context_tokens`: the most that the model takes in one request, with its answer; None if not shown.
    """

    spec: DeploymentSpec
    status: Observed
    said: str
    created_at: datetime | None = None
    tokens_per_minute: int | None = None
    requests_per_minute: int | None = None
    token_renewal: float = 60.0
    request_renewal: float = 60.0
    context_tokens: int | None = None


@dataclass(frozen=True)
class AccountRecord:
    """The record of one account across passes."""

    account: str
    endpoint: str | None = None
    listed_at: datetime | None = None
    busy: str = ""  # why Azure took no more writes in the last pass
    problem: str = ""  # why the account could not be read by the last pass, with the remedy
    problem_at: datetime | None = None
    etag: str | None = None


@dataclass(frozen=True)
class HostingSession:
    """One generation of a deployment, for the bill. An end that was not observed is an interval."""

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
        """Return when it was gone, or else when Azure accepted its delete; None: it still exists."""
        return self.ended_by or self.ended_after


@dataclass(frozen=True)
class Hold:
    """A person's request to keep a deployment up or down until a time. It overrides all other needs."""

    deployment: str
    up: bool
    until: datetime
    owner: str
    reason: str
    made_at: datetime
