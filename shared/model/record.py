"""The record of one deployment across passes. Its parts are valid for different times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from shared.model.configured import DeploymentConfig, DeploymentSpec, HostedId
from shared.model.recorded import Action, Hosted, Observed, RecordState


@dataclass(frozen=True)
class Generation:
    """The facts about one creation of a deployment. `next_generation` begins the next one."""

    number: int = 0
    owned: bool = True  # False: another owner's deployment, used and never changed
    intent_at: datetime | None = None  # when its create was decided
    created_at: datetime | None = None  # Azure's own createdAt
    earlier_created_at: datetime | None = None  # of the generation before; see `is_past`
    succeeded_at: datetime | None = None  # when Azure was first seen to say Succeeded
    opened_at: datetime | None = None  # when the first request succeeded
    seen_at: datetime | None = None  # when a pass last saw a change in Azure
    missed_since: datetime | None = None  # since when LISTs do not show it
    silent_since: datetime | None = None  # since when an open one needs a probe before any other request
    silent_probes: int = 0  # failed probes since it was created, or since it became silent
    unanswered_since: datetime | None = None  # since when no request was answered
    unanswered_at: datetime | None = None  # when a request was last not answered
    trouble: str = ""  # why it does not answer: Azure's code, and the remedy
    delete_after: datetime | None = None  # its hard deadline
    deleted_at: datetime | None = None  # when Azure first accepted a delete, of this or an earlier generation
    deleted_again_at: datetime | None = None  # when Azure last accepted one after the first had no effect
    uncertain_at: datetime | None = None  # when the last delete with an unknown outcome was sent
    refusals: int = 0  # deletes in a row that Azure refused for good, or that had no effect
    delete_not_before: datetime | None = None  # no delete earlier than this
    sku: str = ""
    capacity: int = 0
    tokens_per_minute: int | None = None
    requests_per_minute: int | None = None
    token_renewal: float = 60.0  # seconds over which Azure counts the tokens
    request_renewal: float = 60.0  # and the requests

    @property
    def last_deleted_at(self) -> datetime | None:
        """Return when Azure last accepted a delete."""
        return self.deleted_again_at or self.deleted_at


@dataclass(frozen=True)
class Backoff:
    """The wait before the next create, and its reason. The counts continue over generations."""

    failures: int = 0  # failed creations in a row
    unanswered_runs: int = 0  # generations in a row that were deleted because no request was answered
    not_before: datetime | None = None  # no create earlier than this
    problem: str = ""  # why the last attempt to host it failed


@dataclass(frozen=True)
class Batch:
    """The documents that waited together when a create began."""

    documents: int
    seconds: int  # since the first of them arrived
    lately: int  # of them, those that arrived in the second half of that time


@dataclass(frozen=True)
class ModelContext:
    """The tokens that a model takes in one request, with its answer, as its provider shows them."""

    model: str
    version: str
    tokens: int


@dataclass(frozen=True)
class History:
    """The facts that stay known over generations, the latest last."""

    create_seconds: tuple[int, ...] = ()  # from the create's request to the first answer
    gathered: tuple[Batch, ...] = ()  # see planning/uploads.py
    adopted: DeploymentSpec | None = None  # the properties of a deployment that was taken over
    context: ModelContext | None = None  # of the model that showed it last

    def seeing(self, azure: Hosted) -> History:
        """Return it with the context size that a deployment shows. What was known stays if it shows none."""
        if azure.context_tokens is None:
            return self
        spec = azure.spec
        return replace(self, context=ModelContext(spec.model_name, spec.model_version, azure.context_tokens))


@dataclass(frozen=True)
class LastDecision:
    """The decision that was saved last."""

    observed: Observed = Observed.ABSENT
    wanted: bool = False
    action: Action = Action.NOTHING
    reason: str = ""
    again_at: datetime | None = None  # when the decided wait ends, if that is known
    kept: str = ""  # why it may stay although nothing needs it, as capacity is scarce in the region
    count: int = 0  # of the decisions that were saved


@dataclass(frozen=True)
class DeploymentRecord:
    """The record of one deployment across passes. It is changed only by compare-and-swap."""

    account: str
    deployment: str
    state: RecordState = RecordState.ABSENT
    changed_at: datetime | None = None  # when `state` last changed
    settled: bool = True  # False: the outcome of the last ARM write is unknown
    doubted_at: datetime | None = None  # when the last create with an unknown outcome was given up
    generation: Generation = Generation()
    backoff: Backoff = Backoff()
    history: History = History()
    decision: LastDecision = LastDecision()
    etag: str | None = None  # None: the row does not exist yet

    @property
    def hosted_id(self) -> HostedId:
        """Return the identity of its deployment."""
        return HostedId(self.account, self.deployment)

    def sized(self, config: DeploymentConfig) -> DeploymentConfig:
        """Return the configuration with its model's context size, if the task names none and it is known."""
        known, task, spec = self.history.context, config.task, config.spec
        if known is None or task.context_tokens is not None:
            return config
        if (known.model, known.version) != (spec.model_name, spec.model_version):
            return config  # the model was changed
        return replace(config, task=replace(task, context_tokens=known.tokens))

    @property
    def delete_accepted_at(self) -> datetime | None:
        """Return when Azure first accepted a delete of this generation."""
        began, accepted = self.started_at, self.generation.deleted_at
        return accepted if accepted is not None and (began is None or accepted > began) else None

    @property
    def started_at(self) -> datetime | None:
        """Return when this generation's session began, by Azure's clock if that is known.

        An adopted deployment is ours from its adoption on, not from its creation by another owner.
        """
        times = (self.generation.created_at, self.generation.intent_at)
        known = [at for at in times if at is not None]
        return max(known, default=None) if self.history.adopted else next(iter(known), None)
