"""Desired × observed, per account → steps in order, each with its reason.

The table of the design, one file a part: what Azure has in our words (`observed`), what is wanted
(`desired`), what follows for one deployment (`decide`), and, here, in what order an account's steps go.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from shared.model import (
    Account,
    Action,
    Demand,
    DeploymentConfig,
    Mode,
    Observed,
    Owner,
    RecordState,
)
from shared.planning.decide import UNWRITTEN, decide
from shared.planning.decision import Decision, Observation
from shared.planning.observed import is_ours
from shared.planning.picture import Picture
from shared.planning.slots import GIVES_WAY, giving_way, within_slots
from shared.timing import Timing

WINDOW_PATIENCE = timedelta(minutes=1)
"""A window's create lets deletes go first for this long; then its start is at risk."""

_LAST_BACKOFF = timedelta(hours=1)
_LAST_DELETE_BACKOFF = timedelta(minutes=10)

_HARMLESS = (Action.NOTHING, Action.WAIT, Action.SERVE, Action.FORGET)


def backoff(failures: int, name: str, timing: Timing) -> timedelta:
    """How long to wait after so many failed creations in a row: 30 s, doubling, an hour at most.

    Spread by up to a fifth by the deployment's name, so that neighbours do not retry in step.
    """
    pause = min(_LAST_BACKOFF, timing.first_backoff * (1 << min(max(failures - 1, 0), 12)))
    return pause * (1 + 0.2 * (zlib.crc32(f"{name}:{failures}".encode()) / 2**32))


def unanswered_backoff(runs: int, timing: Timing) -> timedelta:
    """How long to wait after so many generations in a row that answered nobody.

    As long as it was hosted for nothing, doubling, an hour at most: an outage is not paid for.
    """
    return min(_LAST_BACKOFF, timing.answer_limit * (1 << min(max(runs - 1, 0), 12)))


def delete_backoff(refusals: int, name: str, timing: Timing) -> timedelta:
    """How long to wait after so many refused deletes in a row: what stands costs money, so never long."""
    return min(_LAST_DELETE_BACKOFF, backoff(refusals, name, timing))


def plan(owner: Owner, account: Account, seen: Observation) -> tuple[Decision, ...]:
    """Every deployment's decision, in the order in which the steps are to be taken."""
    picture = seen.picture
    now, configured = picture.now, picture.configured
    names = set(configured)
    names |= {name for name, record in picture.records.items() if record.state is not RecordState.ABSENT}
    names |= {
        name for name, azure in seen.azure.items() if is_ours(azure, picture.record(name), owner, seen.timing)
    }
    wants = {name: picture.wanted(name) for name in names}

    def decided() -> list[Decision]:
        found = (decide(owner, name, wants[name], seen) for name in names)
        modes = (_in_mode(_unless_refused(now, one, seen), configured.get(one.deployment)) for one in found)
        return sorted(modes, key=lambda decision: _turn(decision, picture))

    decisions = decided()
    if spare := giving_way(account, decisions, seen):
        for name in spare:
            wants[name] = replace(wants[name], keep=False, reason=GIVES_WAY)
        decisions = decided()
    return within_slots(account, _paused(now, decisions, seen), seen)


def _paused(now: datetime, decisions: Sequence[Decision], seen: Observation) -> list[Decision]:
    """Creates wait for some seconds after a delete."""
    deletes = [
        at
        for record in seen.picture.records.values()
        if (at := record.generation.deleted_again_at or record.generation.deleted_at) is not None
    ]
    pause = seen.timing.after_delete
    free_at = max(deletes, default=now - pause) + pause
    reason = "Azure wants a pause between a delete and a create on one account"
    return [
        replace(each, action=Action.WAIT, reason=reason, again_at=free_at)
        if now < free_at and each.action is Action.CREATE
        else each
        for each in decisions
    ]


def _unless_refused(now: datetime, decision: Decision, seen: Observation) -> Decision:
    """A delete that Azure refused, or accepted without effect, is tried again after a pause."""
    record = seen.picture.record(decision.deployment)
    if decision.action is not Action.DELETE or record.generation.delete_not_before is None:
        return decision
    not_before = record.generation.delete_not_before
    if not_before is None or now >= not_before:
        return decision
    refused = record.delete_accepted_at is None
    what = "Azure refused to delete it" if refused else "Azure accepted its delete, and it still stands"
    reason = f"{what}; the delete is tried again: {decision.reason}"
    return replace(decision, action=Action.WAIT, reason=reason, again_at=not_before)


def _in_mode(decision: Decision, config: DeploymentConfig | None) -> Decision:
    """In observe mode the step is told and not taken; a probe of what exists anyway changes nothing."""
    if config is None or config.mode is Mode.ENFORCE or decision.action in _HARMLESS:
        return decision
    if decision.action is Action.PROBE and decision.observed is Observed.FOREIGN:
        return decision
    reason = f"{UNWRITTEN} {decision.action}: {decision.reason}"
    return replace(decision, action=Action.WAIT, reason=reason)


def _turn(decision: Decision, picture: Picture) -> tuple[int, datetime, str]:
    """The place of a step in the pass: our own records, then writes to Azure, then probes, then the rest."""
    now, opens_at = picture.now, decision.wanted.opens_at
    first = opens_at or picture.demand.get(decision.deployment, Demand()).oldest or now
    match decision.action:
        case Action.FORGET | Action.TAKE_UP | Action.ADOPT | Action.CLOSE | Action.REOPEN:
            turn = 0
        case Action.CREATE:
            lead = picture.outlooks[decision.deployment].lead
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
