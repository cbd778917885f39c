"""What Azure has, what the app records of it, and what people ask for until a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


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
    kept: str = ""  # why it may stay although nothing needs it, as capacity is scarce in the region
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
