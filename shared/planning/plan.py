"""Plan one account: desired × observed state → ordered steps, each with its reason.

This is the table of the design, with one file for each part: the observed state (`observed`), the wanted
state (`desired`), the decision about one deployment (`decide`) and, here, the order of an account's steps.
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
    DeploymentConfig,
    Mode,
    Observed,
    Owner,
    RecordState,
)
from shared.planning.decide import TRIED_AGAIN, UNWRITTEN, decide
from shared.planning.decision import Decision, Observation
from shared.planning.observed import is_ours
from shared.planning.picture import Picture
from shared.planning.slots import GIVES_WAY, giving_way, within_slots
from shared.timing import Timing

WINDOW_PATIENCE = timedelta(minutes=1)
"""The time for which deletes go before the create of a window; after that, its start is at risk."""

_LAST_BACKOFF = timedelta(hours=1)
_LAST_DELETE_BACKOFF = timedelta(minutes=10)

_HARMLESS = (Action.NOTHING, Action.WAIT, Action.SERVE, Action.FORGET)


def backoff(failures: int, name: str, timing: Timing) -> timedelta:
    """Return the pause after this many failed creates in a row: 30 s, then doubled, at most an hour.

    The deployment's name adds up to a fifth, so that deployments do not retry at the same time.
    """
    pause = min(_LAST_BACKOFF, timing.first_backoff * (1 << min(max(failures - 1, 0), 12)))
    return pause * (1 + 0.2 * (zlib.crc32(f"{name}:{failures}".encode()) / 2**32))


def unanswered_backoff(runs: int, timing: Timing) -> timedelta:
    """Return the pause after this many generations in a row without an answer.

    The first pause is as long as the time without an answer. It doubles up to an hour, so that an outage
    costs little.
    """
    return min(_LAST_BACKOFF, timing.answer_limit * (1 << min(max(runs - 1, 0), 12)))


def delete_backoff(refusals: int, name: str, timing: Timing) -> timedelta:
    """Return the pause after this many refused deletes in a row. It is short, as hosting costs money."""
    return min(_LAST_DELETE_BACKOFF, backoff(refusals, name, timing))


def plan(owner: Owner, account: Account, observation: Observation) -> tuple[Decision, ...]:
    """Return the decision about every deployment, in the order in which the steps must be taken."""
    picture = observation.picture
    now, configured = picture.now, picture.configured
    names = set(configured)
    names |= {name for name, record in picture.records.items() if record.state is not RecordState.ABSENT}
    names |= {
        name
        for name, azure in observation.azure.items()
        if is_ours(azure, picture.record(name), owner, observation.timing)
    }
    wants = {name: picture.wanted(name) for name in names}

    def decide_one(name: str) -> Decision:
        decision = decide(owner, name, wants[name], observation)
        return _in_mode(_unless_refused(now, decision, observation), configured.get(name))

    def decide_all() -> list[Decision]:
        return sorted(map(decide_one, names), key=lambda decision: _turn(decision, picture))

    decisions = decide_all()
    if spare := giving_way(account, decisions, observation):
        for name in spare:
            wants[name] = replace(wants[name], keep=False, reason=GIVES_WAY)
        decisions = decide_all()
    return within_slots(account, _paused(now, decisions, observation), observation)


def _paused(now: datetime, decisions: Sequence[Decision], observation: Observation) -> list[Decision]:
    """Turn creates into waits for some seconds after a delete."""
    deletes = [
        at
        for record in observation.picture.records.values()
        if (at := record.generation.last_deleted_at) is not None
    ]
    pause = observation.timing.after_delete
    free_at = max(deletes, default=now - pause) + pause
    reason = "Azure wants a pause between a delete and a create on one account"
    return [
        replace(decision, action=Action.WAIT, reason=reason, again_at=free_at)
        if now < free_at and decision.action is Action.CREATE
        else decision
        for decision in decisions
    ]


def _unless_refused(now: datetime, decision: Decision, observation: Observation) -> Decision:
    """Turn a delete into a wait if Azure has recently refused it, or accepted it without effect."""
    record = observation.picture.record(decision.deployment)
    if decision.action is not Action.DELETE or record.generation.delete_not_before is None:
        return decision
    not_before = record.generation.delete_not_before
    if not_before is None or now >= not_before:
        return decision
    refused = record.delete_accepted_at is None
    what = "Azure refused to delete it" if refused else "Azure accepted its delete, and it still stands"
    reason = f"{what}{TRIED_AGAIN}{decision.reason}"
    return replace(decision, action=Action.WAIT, reason=reason, again_at=not_before)


def _in_mode(decision: Decision, config: DeploymentConfig | None) -> Decision:
    """Turn a step into a wait in observe mode. A probe of another owner's deployment is still allowed."""
    if config is None or config.mode is Mode.ENFORCE or decision.action in _HARMLESS:
        return decision
    if decision.action is Action.PROBE and decision.observed is Observed.FOREIGN:
        return decision
    reason = f"{UNWRITTEN} {decision.action}: {decision.reason}"
    return replace(decision, action=Action.WAIT, reason=reason)


def _turn(decision: Decision, picture: Picture) -> tuple[int, datetime, str]:
    """Return the sort key of a step: our own records, then writes to Azure, then probes, then the rest."""
    now, opens_at = picture.now, decision.wanted.opens_at
    first = opens_at or picture.demand_of(decision.deployment).oldest or now
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
