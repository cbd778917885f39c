"""Desired × observed, per account → steps in order, each with its reason.

The table of the design, one function a part: what is wanted (`wanted`), what Azure has in our words
(`observe`), what follows for one deployment (`_decide`), and in what order an account's steps go (`plan`).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from shared.domain import (
    Account,
    Action,
    AzureDeployment,
    Demand,
    DeploymentRecord,
    Hold,
    Hosting,
    Mode,
    Observed,
    RecordState,
    UploadStart,
)
from shared.planning.adoption import differences, properties_of
from shared.planning.windows import intervals

OWNER_TAG = "lamplighter"  # value: our installation
DELETE_AFTER_TAG = "delete-after"

READY_LIMIT = timedelta(minutes=15)
"""Some deployments say Succeeded and never answer until they are created anew (field reports)."""
SILENT_LIMIT = timedelta(minutes=5)
"""An open deployment that says for so long, and to so many probes, that it does not exist is created anew."""
SILENT_PROBES = 3
SETTLE = timedelta(minutes=1)
"""A LIST may lag behind a write: absence counts only when the LIST began this long after our last change."""
QUARANTINE = timedelta(minutes=2)
"""A write whose outcome is unknown may take effect this late."""
AFTER_DELETE = timedelta(seconds=20)
"""Azure wants 15 to 20 s on an account between a delete and the next create."""
SESSION_MARGIN = timedelta(minutes=10)
"""No request ends later than this before the `delete-after` of its generation."""
WINDOW_PATIENCE = timedelta(minutes=1)
"""A window's create lets deletes go first for this long; then its start is at risk."""
CLOCK_SKEW = timedelta(minutes=2)

DEVELOPER_TIER, DEVELOPER_TIER_LIFE = "DeveloperTier", timedelta(hours=24)
"""Azure deletes such a deployment at that age, whatever it is doing."""

_FIRST_BACKOFF, _LAST_BACKOFF = timedelta(seconds=30), timedelta(hours=1)
_LAST_DELETE_BACKOFF = timedelta(minutes=10)

_UNWRITTEN = "observe mode, nothing is written; it would"
_HARMLESS = (Action.NOTHING, Action.WAIT, Action.SERVE, Action.FORGET)

# Azure's words are extensible strings: what is not in this table is UNKNOWN.
_PROVISIONING_STATES = {
    "accepted": Observed.CREATING,
    "creating": Observed.CREATING,
    "succeeded": Observed.SUCCEEDED,
    "deleting": Observed.DELETING,
    "failed": Observed.FAILED,
    "canceled": Observed.FAILED,
    "disabled": Observed.FAILED,
    "moving": Observed.UNKNOWN,
}


@dataclass(frozen=True)
class Wanted:
    """What should be, at an instant."""

    up: bool
    reason: str
    keep: bool = False  # not wanted up, but if it is open it may stay
    changes_at: datetime | None = None  # when the schedule next changes this
    opens_at: datetime | None = None  # the start of the window that wants it


@dataclass(frozen=True)
class Observation:
    """One account at an instant: the records, read first, then the LIST that began at `began_at`."""

    began_at: datetime
    azure: Mapping[str, AzureDeployment]
    records: Mapping[str, DeploymentRecord]
    demand: Mapping[str, Demand] = field(default_factory=dict)
    working: Mapping[str, int] = field(default_factory=dict)  # live work leases
    holds: Mapping[str, Hold] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What to do about one deployment now, and why."""

    deployment: str
    action: Action
    reason: str
    observed: Observed
    wanted: Wanted
    again_at: datetime | None = None  # when a wait is known to end
    failed: bool = False  # a DELETE because the creation led nowhere


def wanted(hosting: Hosting | None, demand: Demand, now: datetime, hold: Hold | None = None) -> Wanted:
    """What should be: a hold, else schedule windows ∪ unfinished documents. None: no longer configured."""
    if hosting is None:
        return Wanted(False, "it is no longer in deployments.yaml")
    if hold is not None and now < hold.until:
        way = "up" if hold.up else "down"
        reason = f"held {way} by {hold.owner} until {_clock_time(hold.until)}: {hold.reason}"
        return Wanted(hold.up, reason, changes_at=hold.until)
    ahead = intervals(hosting.windows, now - timedelta(days=1), now + timedelta(days=8), hosting.closures)
    waiting = (
        f"{demand.unfinished}{'+' if demand.more else ''} unfinished document{_plural(demand.unfinished)}"
    )
    edges = [edge for each in ahead for edge in (each.start - hosting.lead, each.end) if edge > now]
    changes_at = min(edges, default=None)
    for each in ahead:
        if not each.start - hosting.lead <= now < each.end:
            continue
        if each.stop_when_empty and not demand.unfinished:
            continue
        what = f"batch window with {waiting}" if each.stop_when_empty else "window"
        return Wanted(
            True,
            f"{what}, {_clock_time(each.start)} to {_clock_time(each.end)}",
            changes_at=changes_at,
            opens_at=each.start,
        )
    if demand.unfinished and hosting.uploads is UploadStart.ON_DEMAND:
        return Wanted(True, waiting, changes_at=changes_at)
    for each in ahead:
        if each.end <= now < each.keep_until:
            return Wanted(False, "close grace for outside callers", keep=True, changes_at=each.keep_until)
    if demand.unfinished:
        return Wanted(False, f"{waiting} to wait for the next window", changes_at=changes_at)
    return Wanted(False, "no window and no unfinished document", changes_at=changes_at)


def is_ours(azure: AzureDeployment, record: DeploymentRecord, installation: str) -> bool:
    """Our tag, or an intent in our records whose time fits Azure's createdAt; either alone is enough."""
    if OWNER_TAG in azure.tags:
        return azure.tags[OWNER_TAG] == installation
    if record.state is RecordState.ABSENT or not record.owned or record.intent_at is None:
        return False
    if azure.created_at is None:
        return True
    if record.created_at is not None:
        return azure.created_at == record.created_at
    return azure.created_at >= record.intent_at - CLOCK_SKEW


def observe(azure: AzureDeployment | None, record: DeploymentRecord, installation: str) -> Observed:
    """What Azure has, in our words."""
    if azure is None:
        return Observed.ABSENT
    if not is_ours(azure, record, installation):
        return Observed.FOREIGN
    observed = _PROVISIONING_STATES.get(azure.provisioning_state.lower(), Observed.UNKNOWN)
    proven = record.state not in (RecordState.ABSENT, RecordState.CREATING)
    return Observed.READY if observed is Observed.SUCCEEDED and proven else observed


def backoff(failures: int, name: str) -> timedelta:
    """How long to wait after so many creations in a row that led nowhere: 30 s, doubling, an hour at most.

    Spread by up to a fifth by the deployment's name, so that neighbours do not retry in step.
    """
    pause = min(_LAST_BACKOFF, _FIRST_BACKOFF * (1 << min(max(failures - 1, 0), 12)))
    return pause * (1 + 0.2 * (zlib.crc32(f"{name}:{failures}".encode()) / 2**32))


def delete_backoff(refusals: int, name: str) -> timedelta:
    """How long to wait after so many refused deletes in a row: what stands costs money, so never long."""
    return min(_LAST_DELETE_BACKOFF, backoff(refusals, name))


def plan(
    now: datetime,
    installation: str,
    account: Account,
    hosted: Mapping[str, Hosting],
    seen: Observation,
) -> tuple[Decision, ...]:
    """Every deployment's decision, in the order in which the steps are to be taken."""
    names = set(hosted)
    names |= {name for name, record in seen.records.items() if record.state is not RecordState.ABSENT}
    names |= {name for name, azure in seen.azure.items() if azure.tags.get(OWNER_TAG) == installation}
    decided = (_decide(now, installation, account, name, hosted.get(name), seen) for name in names)
    decisions = sorted(
        (
            _in_mode(_unless_refused(now, decision, seen), hosted.get(decision.deployment))
            for decision in decided
        ),
        key=lambda decision: _turn(now, decision, hosted, seen),
    )
    return _within_slots(account, decisions, hosted, seen)


def _unless_refused(now: datetime, decision: Decision, seen: Observation) -> Decision:
    """A delete that Azure refused is tried again after a pause."""
    record = seen.records.get(decision.deployment)
    if decision.action is not Action.DELETE or record is None or record.delete_not_before is None:
        return decision
    if now >= record.delete_not_before:
        return decision
    reason = f"Azure refused to delete it, which is tried again: {decision.reason}"
    return replace(decision, action=Action.WAIT, reason=reason, again_at=record.delete_not_before)


def _in_mode(decision: Decision, hosting: Hosting | None) -> Decision:
    """In observe mode the step is told and not taken; a probe of what exists anyway changes nothing."""
    if hosting is None or hosting.mode is Mode.ENFORCE or decision.action in _HARMLESS:
        return decision
    if decision.action is Action.PROBE and decision.observed is Observed.FOREIGN:
        return decision
    reason = f"{_UNWRITTEN} {decision.action}: {decision.reason}"
    return replace(decision, action=Action.WAIT, reason=reason)


def _decide(
    now: datetime, installation: str, account: Account, name: str, hosting: Hosting | None, seen: Observation
) -> Decision:
    azure = seen.azure.get(name)
    record = seen.records.get(name) or DeploymentRecord(account.resource_id, name)
    want = wanted(hosting, seen.demand.get(name, Demand()), now, seen.holds.get(name))
    observed = observe(azure, record, installation)
    working = seen.working.get(name, 0)
    state = record.state

    def decision(action: Action, reason: str, again_at: datetime | None = None) -> Decision:
        return Decision(name, action, reason, observed, want, again_at)

    match observed:
        case Observed.ABSENT:
            if state is not RecordState.ABSENT:
                gone_at = _absence_counts_from(record)
                if seen.began_at >= gone_at:
                    return decision(Action.FORGET, f"it is gone; the record said {state}")
                return decision(Action.WAIT, "Azure does not list it, which may be late news", gone_at)
            if not want.up:
                return decision(Action.NOTHING, want.reason)
            if record.not_before is not None and now < record.not_before:
                reason = f"the last creation led nowhere: {record.problem}"
                return decision(Action.WAIT, reason, record.not_before)
            deletes = [each.deleted_at for each in seen.records.values() if each.deleted_at is not None]
            free_at = max(deletes, default=now - AFTER_DELETE) + AFTER_DELETE
            if now < free_at:
                reason = "Azure wants a pause between a delete and a create on one account"
                return decision(Action.WAIT, reason, free_at)
            return decision(Action.CREATE, want.reason)
        case Observed.FOREIGN:
            assert azure is not None
            if state is not RecordState.ABSENT and (record.owned or record.created_at != azure.created_at):
                gone_at = _absence_counts_from(record)
                if seen.began_at >= gone_at:
                    return decision(Action.FORGET, "somebody else's deployment stands in its place")
                return decision(
                    Action.WAIT, "somebody else's deployment seems to stand in its place", gone_at
                )
            if hosting is not None and hosting.adopt and OWNER_TAG not in azure.tags:
                differs = differences(hosting.spec, properties_of(azure))
                shown = f"; it keeps what differs from the file: {'; '.join(differs)}" if differs else ""
                return decision(Action.ADOPT, f"deployments.yaml says adopt{shown}")
            if not want.up:
                return decision(Action.NOTHING, f"{want.reason}; it is somebody else's and is left alone")
            if state is RecordState.OPEN and record.silent_since is None:
                return decision(Action.SERVE, f"{want.reason}; somebody else's deployment is used as it is")
            if azure.provisioning_state.lower() == "succeeded":
                return decision(Action.PROBE, f"{want.reason}; somebody else's deployment may answer")
            return decision(Action.WAIT, f"somebody else's deployment is {azure.provisioning_state}")
        case Observed.CREATING | Observed.SUCCEEDED | Observed.FAILED if state is RecordState.ABSENT:
            return decision(Action.TAKE_UP, "a deployment of ours that the records had lost sight of")
        case Observed.CREATING:
            later = "" if want.up else f"; then it is deleted: {want.reason}"
            return decision(Action.WAIT, f"Azure is creating it{later}")
        case Observed.SUCCEEDED:
            if not want.up:
                return decision(Action.DELETE, want.reason)
            if record.succeeded_at is not None and now - record.succeeded_at > READY_LIMIT:
                reason = f"it said Succeeded {_span(now - record.succeeded_at)} ago and never answered"
                return replace(decision(Action.DELETE, reason), failed=True)
            return decision(Action.PROBE, f"{want.reason}; waiting for the first answer")
        case Observed.READY:
            stay, reason = want.up or want.keep, want.reason
            if record.delete_after is not None and now >= record.delete_after - SESSION_MARGIN:
                stay, reason = False, "its longest session is over (max_session)"
            silent = now - record.silent_since if record.silent_since else None
            if silent is not None and silent > SILENT_LIMIT and record.silent_probes >= SILENT_PROBES:
                stay, reason = False, f"it has said for {_span(silent)} that it does not exist"
            if state is RecordState.DELETING:
                # As it was decided: in observe mode, or after it, without what that put in front.
                told = record.reason.removeprefix(f"{_UNWRITTEN} {Action.DELETE}: ")
                return decision(Action.DELETE, told or want.reason)
            if state is RecordState.OPEN and stay and silent is not None:
                return decision(Action.PROBE, f"{reason}; it has stopped answering and is asked again")
            if state is RecordState.OPEN:
                return decision(Action.SERVE if stay else Action.CLOSE, reason)
            if stay:
                return decision(Action.REOPEN, reason)
            if working:
                return decision(
                    Action.WAIT, f"{working} worker{_plural(working)} still answering; then deleted: {reason}"
                )
            return replace(decision(Action.DELETE, reason), failed=silent is not None and want.up)
        case Observed.DELETING:
            return decision(Action.WAIT, "Azure is deleting it")
        case Observed.FAILED:
            assert azure is not None
            reason = f"Azure says {azure.provisioning_state}"
            if state is RecordState.OPEN:
                return decision(Action.CLOSE, reason)
            if state is RecordState.CLOSING and working:
                return decision(Action.WAIT, f"{reason}; {working} worker{_plural(working)} still answering")
            return replace(decision(Action.DELETE, reason), failed=want.up)
        case Observed.UNKNOWN:
            assert azure is not None
            return decision(Action.WAIT, f"Azure says {azure.provisioning_state!r}, which nobody here knows")
        case _:
            assert_never(observed)


def _absence_counts_from(record: DeploymentRecord) -> datetime:
    """From when on a LIST without the deployment proves that it is gone."""
    assert record.changed_at is not None
    if not record.settled:
        return record.changed_at + QUARANTINE
    if record.state is not RecordState.DELETING:
        return record.changed_at + SETTLE
    # A later delete that was answered says nothing of an earlier one that was not.
    uncertain = record.uncertain_at + QUARANTINE if record.uncertain_at else record.changed_at
    return max(record.changed_at, uncertain)


def _turn(
    now: datetime, decision: Decision, hosted: Mapping[str, Hosting], seen: Observation
) -> tuple[int, datetime, str]:
    """The place of a step in the pass: our own records, then writes to Azure, then probes, then the rest."""
    opens_at = decision.wanted.opens_at
    first = opens_at or seen.demand.get(decision.deployment, Demand()).oldest or now
    match decision.action:
        case Action.FORGET | Action.TAKE_UP | Action.ADOPT | Action.CLOSE | Action.REOPEN:
            turn = 0
        case Action.CREATE:
            hosting = hosted[decision.deployment]
            at_risk = opens_at is not None and now >= opens_at - hosting.lead + WINDOW_PATIENCE
            turn = 1 if at_risk else 3 if opens_at is not None else 4
        case Action.DELETE:
            turn = 2
        case Action.PROBE:
            turn = 5
        case Action.SERVE | Action.WAIT | Action.NOTHING:
            turn = 6
        case _:
            assert_never(decision.action)
    return (turn, first, decision.deployment)


def _within_slots(
    account: Account, decisions: list[Decision], hosted: Mapping[str, Hosting], seen: Observation
) -> tuple[Decision, ...]:
    """Creates beyond the account's slots wait: windows come first, then the oldest document."""
    models = {name: each.spec.model_name for name, each in hosted.items()}
    listed = {name for name, each in seen.azure.items() if is_fine_tuned(each.model_name)}
    # A LIST may lag behind a create of ours, which takes its slot all the same.
    begun = {
        name
        for name, record in seen.records.items()
        if record.state is not RecordState.ABSENT and is_fine_tuned(models.get(name, ""))
    }
    free = account.fine_tuned_slots - len(listed | begun)
    result = []
    for decision in decisions:
        if decision.action is Action.CREATE:
            free -= 1
            if free < 0:
                reason = f"the account's {account.fine_tuned_slots} slots for fine-tuned models are taken"
                decision = replace(decision, action=Action.WAIT, reason=reason)
        result.append(decision)
    return tuple(result)


def is_fine_tuned(model_name: str) -> bool:
    """Whether a deployed model takes one of the account's slots for fine-tuned models."""
    return ".ft-" in model_name or model_name.startswith("ftchkpt-")


def _clock_time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + " UTC"


def _plural(count: int) -> str:
    return "" if count == 1 else "s"


def _span(length: timedelta) -> str:
    return f"{round(length.total_seconds() / 60)} min"
