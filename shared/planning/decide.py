"""Decide about one deployment: observed × wanted state → a step and its reason.

Each observed state has its own function.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from shared.model import (
    Action,
    DeploymentConfig,
    DeploymentRecord,
    Hosted,
    Observed,
    Owner,
    RecordState,
)
from shared.planning.adoption import differences
from shared.planning.decision import Decision, Observation
from shared.planning.desired import Wanted, plural, span
from shared.planning.observed import (
    OWNER_TAG,
    STORAGE_TAG,
    absence_counts_from,
    is_twin,
    observe,
)
from shared.planning.unanswered import unanswered_for
from shared.timing import Timing

SILENT_PROBES = 3
"""Failed probes required before giving up: the app may have been down until the time limit was over."""
WINDOW_RETRY = timedelta(minutes=5)
"""The longest pause between two attempts to create a deployment for a window."""

_SESSION_OVER = "its longest session is over (max_session)"
UNWRITTEN = "observe mode, nothing is written; it would"
TRIED_AGAIN = "; the delete is tried again: "
_THEN_DELETED = "; then deleted: "
_BEFORE_THE_CAUSE = (f"{UNWRITTEN} {Action.DELETE}: ", TRIED_AGAIN, _THEN_DELETED)
"""What reasons of deletes put before their cause."""


@dataclass(frozen=True)
class _Case:
    """All facts on which the decision about one deployment depends."""

    now: datetime
    began_at: datetime  # when the LIST began
    name: str
    config: DeploymentConfig | None
    want: Wanted
    azure: Hosted | None
    record: DeploymentRecord
    observed: Observed
    working: int  # live work leases
    waiting_since: datetime | None  # when the oldest unfinished document arrived
    timing: Timing

    def step(self, action: Action, reason: str, again_at: datetime | None = None) -> Decision:
        """Return the decision to take this step."""
        return Decision(self.name, action, reason, self.observed, self.want, again_at)

    def delete(self, reason: str, *, failed: bool = False) -> Decision:
        """Return the decision to delete it, or to wait while workers use it, in any state of its record."""
        if self.working:
            answering = f"{self.working} worker{plural(self.working)} still answering"
            return self.step(Action.WAIT, f"{answering}{_THEN_DELETED}{reason}")
        return replace(self.step(Action.DELETE, reason), failed=failed)


def decide(owner: Owner, name: str, want: Wanted, observation: Observation) -> Decision:
    """Decide what to do about one deployment now."""
    azure, picture = observation.azure.get(name), observation.picture
    record = picture.record(name)
    observed = observe(azure, record, owner, observation.timing)
    case = _Case(
        now=picture.now,
        began_at=observation.began_at,
        name=name,
        config=picture.configured.get(name),
        want=want,
        azure=azure,
        record=record,
        observed=observed,
        working=observation.working.get(name, 0),
        waiting_since=picture.demand_of(name).oldest,
        timing=observation.timing,
    )
    match observed:
        case Observed.ABSENT:
            return _absent(case)
        case Observed.FOREIGN:
            assert azure is not None
            return _foreign(case, azure, twin=is_twin(owner, azure.spec.tags))
        case Observed.DELETING:
            return case.step(Action.WAIT, "Azure is deleting it")
        case Observed.UNKNOWN:
            assert azure is not None
            return case.step(Action.WAIT, f"Azure says {azure.said!r}, which nobody here knows")
        case Observed.CREATING | Observed.SUCCEEDED | Observed.FAILED if record.state is RecordState.ABSENT:
            return _unrecorded(case)
        case Observed.CREATING:
            later = "" if want.up or want.scarce else f"; then it is deleted: {want.reason}"
            return case.step(Action.WAIT, f"Azure is creating it{later}")
        case Observed.SUCCEEDED:
            return _succeeded(case)
        case Observed.READY:
            return _ready(case)
        case Observed.FAILED:
            assert azure is not None
            return _failed(case, azure)
        case _:
            assert_never(observed)


def _absent(case: _Case) -> Decision:
    record, want, state = case.record, case.want, case.record.state
    if state is not RecordState.ABSENT:
        gone_at = absence_counts_from(record, case.began_at, case.timing)
        if case.began_at >= gone_at:
            return case.step(Action.FORGET, f"it is gone; the record said {state}")
        late_news = "Azure does not list it, which may be late news"
        if state is RecordState.OPEN:
            return case.step(Action.PROBE, f"{late_news}: a request tells whether it exists", gone_at)
        return case.step(Action.WAIT, late_news, gone_at)
    if not want.up:
        return case.step(Action.NOTHING, want.reason)
    not_before = _not_before(record, want, case.timing)
    if not_before is not None and case.now < not_before:
        return case.step(Action.WAIT, f"the last try to host it failed: {record.backoff.problem}", not_before)
    return case.step(Action.CREATE, want.reason)


def _foreign(case: _Case, azure: Hosted, *, twin: bool) -> Decision:
    record, want, state = case.record, case.want, case.record.state
    generation = record.generation
    if state is not RecordState.ABSENT and (generation.owned or generation.created_at != azure.created_at):
        gone_at = absence_counts_from(record, case.began_at, case.timing)
        if case.began_at >= gone_at:
            return case.step(Action.FORGET, "somebody else's deployment stands in its place")
        return case.step(Action.WAIT, "somebody else's deployment seems to stand in its place", gone_at)
    if twin:
        # Its owner knows nothing of our work leases, and would cut our requests.
        whose = (
            f"it belongs to the copy of this app whose storage account is {azure.spec.tags[STORAGE_TAG][:64]}"
        )
        return case.step(Action.WAIT if want.up else Action.NOTHING, f"{want.reason}; {whose}")
    if case.config is not None and case.config.adopt and OWNER_TAG not in azure.spec.tags:
        differs = differences(case.config.spec, azure.spec)
        shown = f"; it keeps what differs from the file: {'; '.join(differs)}" if differs else ""
        return case.step(Action.ADOPT, f"deployments.yaml says adopt{shown}")
    if not want.up:
        return case.step(Action.NOTHING, f"{want.reason}; it is somebody else's and is left alone")
    if state is RecordState.OPEN and generation.silent_since is None:
        return case.step(Action.SERVE, f"{want.reason}; somebody else's deployment is used as it is")
    if azure.status is Observed.SUCCEEDED:
        return case.step(Action.PROBE, f"{want.reason}; somebody else's deployment may answer")
    return case.step(Action.WAIT, f"somebody else's deployment is {azure.said}")


def _unrecorded(case: _Case) -> Decision:
    """Decide about a deployment of ours whose record is absent.

    It was never recorded, or it was forgotten, or it still exists although Azure reported it deleted.
    """
    record = case.record
    if is_same_generation(record, case.azure) and record.generation.last_deleted_at is not None:
        late_until = record.generation.last_deleted_at + case.timing.list_lag
        if case.now < late_until:
            return case.step(
                Action.WAIT, "it was deleted; that Azure still lists it may be late news", late_until
            )
    return case.step(Action.TAKE_UP, "a deployment of ours that the records had lost sight of")


def is_same_generation(record: DeploymentRecord, azure: Hosted | None) -> bool:
    """Return whether a deployment is the one that an absent record described last."""
    created_at = record.generation.created_at
    return azure is not None and created_at is not None and azure.created_at == created_at


def _succeeded(case: _Case) -> Decision:
    record, want, limit = case.record, case.want, case.timing.ready_limit
    generation = record.generation
    if want.scarce and not _is_session_over(case):
        return case.step(Action.PROBE, f"{want.reason}; waiting for the first answer")
    if not want.up:
        return case.delete(_SESSION_OVER if want.scarce else want.reason)
    overdue = case.now - (generation.succeeded_at or case.now)
    # After an error other than 404 it exists: a window keeps it, but documents do not pay for both waits.
    exists = generation.unanswered_since is not None and not want.for_documents
    if overdue > limit and generation.silent_probes >= SILENT_PROBES and not exists:
        return case.delete(f"it said Succeeded {span(overdue)} ago and never answered", failed=True)
    if (reason := _unanswered(case)) is not None:
        return case.delete(reason, failed=True)
    return case.step(Action.PROBE, f"{want.reason}; waiting for the first answer")


def _ready(case: _Case) -> Decision:
    record, want, state, limit = case.record, case.want, case.record.state, case.timing.silent_limit
    generation = record.generation
    stay, reason, failed = want.up or want.keep, want.reason, False
    if _is_session_over(case):
        stay, reason = False, _SESSION_OVER
    silent = case.now - generation.silent_since if generation.silent_since else None
    given_up = silent is not None and silent > limit and generation.silent_probes >= SILENT_PROBES
    if silent is not None and given_up and not want.scarce:
        stay, reason, failed = False, f"it has said for {span(silent)} that it does not exist", want.up
    elif (unanswered := _unanswered(case)) is not None:
        stay, reason, failed = False, unanswered, True
    if state is RecordState.DELETING:
        return case.delete(_cause(record) or want.reason)
    if state is RecordState.OPEN and stay and silent is not None:
        return case.step(Action.PROBE, f"{reason}; it has stopped answering and is asked again")
    if state is RecordState.OPEN:
        return case.step(Action.SERVE if stay else Action.CLOSE, reason)
    if stay:
        return case.step(Action.REOPEN, reason)
    return case.delete(reason, failed=failed)


def _cause(record: DeploymentRecord) -> str:
    """Return why the recorded delete was decided, without what later passes put before that."""
    reason = record.decision.reason
    for prefix in _BEFORE_THE_CAUSE:
        reason = reason.rpartition(prefix)[2]
    return reason


def _is_session_over(case: _Case) -> bool:
    deadline = case.record.generation.delete_after
    return deadline is not None and case.now >= deadline - case.timing.session_margin


def _unanswered(case: _Case) -> str | None:
    """Return why it is not worth its cost, if it is hosted only for documents and answers none."""
    record, want = case.record, case.want
    if not (want.up and want.for_documents):
        return None
    unanswered = unanswered_for(record.generation, case.now)
    if case.waiting_since is not None:  # documents that came later have not been tried for so long
        unanswered = min(unanswered, case.now - case.waiting_since)
    if unanswered <= case.timing.answer_limit:
        return None
    trouble = record.generation.trouble
    return f"it is hosted for documents, and has answered nobody for {span(unanswered)}: {trouble}"


def _failed(case: _Case, azure: Hosted) -> Decision:
    reason = f"Azure says {azure.said}"
    if case.record.state is RecordState.OPEN:
        return case.step(Action.CLOSE, reason)
    return case.delete(reason, failed=case.want.up)


def _not_before(record: DeploymentRecord, want: Wanted, timing: Timing) -> datetime | None:
    """Return when the next create may start.

    For a window: soon after the first failure, also of a deployment that answered nobody, as creating it anew
    may be all that it needs; then at least every five minutes.
    """
    backoff = record.backoff
    if backoff.not_before is None or want.opens_at is None or record.changed_at is None:
        return backoff.not_before
    is_first = backoff.failures + backoff.unanswered_runs <= 1
    longest = timing.first_backoff if is_first else WINDOW_RETRY
    return min(backoff.not_before, record.changed_at + longest)
