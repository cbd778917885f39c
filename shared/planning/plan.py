"""Desired × observed, per account → steps in order, each with its reason.

The table of the design, one function a part: what Azure has in our words (`observe`), what follows for one
deployment (`_decide`), and in what order an account's steps go (`plan`). What is wanted: `desired.wanted`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
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
)
from shared.planning.adoption import differences, properties_of
from shared.planning.desired import Outlook, Wanted, planned_lead, plural, span, wanted
from shared.planning.slots import GIVES_WAY, giving_way, within_slots

OWNER_TAG = "lamplighter"  # value: our installation
DELETE_AFTER_TAG = "delete-after"

READY_LIMIT = timedelta(minutes=15)
"""Some deployments say Succeeded and never answer until they are created anew (field reports)."""
SILENT_LIMIT = timedelta(minutes=5)
"""An open deployment that says for so long that it does not exist is created anew."""
SILENT_PROBES = 3
"""So often it is asked in vain first: the app may have been down until such a limit was over."""
SETTLE = timedelta(minutes=1)
"""A LIST may lag behind a write: absence counts only when the LIST began this long after our last change."""
QUARANTINE = timedelta(minutes=2)
"""A write whose outcome is unknown may take effect this late."""
DOUBT = timedelta(minutes=30)
"""For so long after a create was given up, its outcome unknown, its account is looked at each minute."""
AFTER_DELETE = timedelta(seconds=20)
"""Azure wants 15 to 20 s on an account between a delete and the next create."""
SESSION_MARGIN = timedelta(minutes=10)
"""No request ends later than this before the `delete-after` of its generation."""
WINDOW_PATIENCE = timedelta(minutes=1)
"""A window's create lets deletes go first for this long; then its start is at risk."""
WINDOW_RETRY = timedelta(minutes=5)
"""The longest pause between tries to create a deployment before its window's start."""
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
class Observation:
    """One account at an instant: the records, read first, then the LIST that began at `began_at`."""

    began_at: datetime
    azure: Mapping[str, AzureDeployment]
    records: Mapping[str, DeploymentRecord]
    demand: Mapping[str, Demand] = field(default_factory=dict)
    working: Mapping[str, int] = field(default_factory=dict)  # live work leases
    holds: Mapping[str, Hold] = field(default_factory=dict)
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)


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
    latest = record.intent_at + QUARANTINE + CLOCK_SKEW
    return record.intent_at - CLOCK_SKEW <= azure.created_at <= latest


def observe(azure: AzureDeployment | None, record: DeploymentRecord, installation: str) -> Observed:
    """What Azure has, in our words."""
    if azure is None:
        return Observed.ABSENT
    if not is_ours(azure, record, installation):
        return Observed.FOREIGN
    observed = _PROVISIONING_STATES.get(azure.provisioning_state.lower(), Observed.UNKNOWN)
    proven = record.state not in (RecordState.ABSENT, RecordState.CREATING)
    return Observed.READY if observed is Observed.SUCCEEDED and proven else observed


def succeeded_for(record: DeploymentRecord, now: datetime) -> timedelta:
    """How long ago Azure was first seen to say Succeeded of this generation."""
    return now - (record.succeeded_at or now)


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
    demand, holds, ahead = seen.demand, seen.holds, seen.outlooks
    wants = {
        name: wanted(hosted.get(name), demand.get(name, Demand()), now, holds.get(name), ahead.get(name))
        for name in names
    }

    def decided() -> list[Decision]:
        each = (
            _decide(now, installation, account, name, hosted.get(name), wants[name], seen) for name in names
        )
        modes = (_in_mode(_unless_refused(now, one, seen), hosted.get(one.deployment)) for one in each)
        return sorted(modes, key=lambda decision: _turn(now, decision, hosted, seen))

    decisions = decided()
    if spare := giving_way(account, decisions, hosted, seen):
        for name in spare:
            wants[name] = replace(wants[name], keep=False, reason=GIVES_WAY)
        decisions = decided()
    return within_slots(account, _paused(now, decisions, seen), hosted, seen)


def _paused(now: datetime, decisions: Sequence[Decision], seen: Observation) -> list[Decision]:
    """Creates wait for some seconds after a delete."""
    deletes = [each.deleted_at for each in seen.records.values() if each.deleted_at is not None]
    free_at = max(deletes, default=now - AFTER_DELETE) + AFTER_DELETE
    reason = "Azure wants a pause between a delete and a create on one account"
    return [
        replace(each, action=Action.WAIT, reason=reason, again_at=free_at)
        if now < free_at and each.action is Action.CREATE
        else each
        for each in decisions
    ]


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
    now: datetime,
    installation: str,
    account: Account,
    name: str,
    hosting: Hosting | None,
    want: Wanted,
    seen: Observation,
) -> Decision:
    azure = seen.azure.get(name)
    record = seen.records.get(name) or DeploymentRecord(account.resource_id, name)
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
            not_before = _not_before(record, want, now)
            if not_before is not None and now < not_before:
                reason = f"the last creation led nowhere: {record.problem}"
                return decision(Action.WAIT, reason, not_before)
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
            overdue = succeeded_for(record, now)
            if overdue > READY_LIMIT and record.silent_probes >= SILENT_PROBES:
                reason = f"it said Succeeded {span(overdue)} ago and never answered"
                return replace(decision(Action.DELETE, reason), failed=True)
            return decision(Action.PROBE, f"{want.reason}; waiting for the first answer")
        case Observed.READY:
            stay, reason = want.up or want.keep, want.reason
            if record.delete_after is not None and now >= record.delete_after - SESSION_MARGIN:
                stay, reason = False, "its longest session is over (max_session)"
            silent = now - record.silent_since if record.silent_since else None
            if silent is not None and silent > SILENT_LIMIT and record.silent_probes >= SILENT_PROBES:
                stay, reason = False, f"it has said for {span(silent)} that it does not exist"
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
                    Action.WAIT, f"{working} worker{plural(working)} still answering; then deleted: {reason}"
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
                return decision(Action.WAIT, f"{reason}; {working} worker{plural(working)} still answering")
            return replace(decision(Action.DELETE, reason), failed=want.up)
        case Observed.UNKNOWN:
            assert azure is not None
            return decision(Action.WAIT, f"Azure says {azure.provisioning_state!r}, which nobody here knows")
        case _:
            assert_never(observed)


def _not_before(record: DeploymentRecord, want: Wanted, now: datetime) -> datetime | None:
    """When a create may be tried (again). Through the lead of a window often enough to be in time."""
    if record.not_before is None or want.opens_at is None or now >= want.opens_at or not record.changed_at:
        return record.not_before
    return min(record.not_before, record.changed_at + WINDOW_RETRY)


def _absence_counts_from(record: DeploymentRecord) -> datetime:
    """From when on a LIST without the deployment proves that it is gone."""
    assert record.changed_at is not None
    if not record.settled:
        # A create may take effect late, and then a LIST may still lag behind that.
        lag = SETTLE if record.state is RecordState.CREATING else timedelta(0)
        return record.changed_at + QUARANTINE + lag
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
            outlook = seen.outlooks.get(decision.deployment)
            lead = outlook.lead if outlook else planned_lead(hosted[decision.deployment])
            at_risk = opens_at is not None and now >= opens_at - lead + WINDOW_PATIENCE
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
