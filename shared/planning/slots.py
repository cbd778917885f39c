"""An account's slots for fine-tuned models: who waits for one, and who gives way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.model import Account, Action, Mode, Observed, RecordState
from shared.planning.decision import Decision, Observation

GIVES_WAY = "nothing needs it, and another waits for its slot"
"""Why a deployment is deleted before its paid hour ends."""
_LEAVING = (Action.CLOSE, Action.DELETE, Action.FORGET)


def within_slots(account: Account, decisions: Sequence[Decision], seen: Observation) -> tuple[Decision, ...]:
    """Creates beyond the account's slots wait: who comes first in the order of decisions gets one."""
    free = account.fine_tuned_slots - len(_holders(seen))
    result = []
    for decision in decisions:
        if _takes_one(decision, seen):
            free -= 1
            if free < 0:
                reason = f"the account's {account.fine_tuned_slots} slots for fine-tuned models are taken"
                decision = replace(decision, action=Action.WAIT, reason=reason)
        result.append(decision)
    return tuple(result)


def giving_way(account: Account, decisions: Sequence[Decision], seen: Observation) -> frozenset[str]:
    """Those that only use up their paid hour, as many as creates lack a slot: work goes before money.

    First whose hour ends first. Slots that become free anyway are waited for, and nobody gives way in vain.
    """
    creates = sum(_takes_one(each, seen) for each in decisions)
    holders = _holders(seen) - {each.deployment for each in decisions if _is_leaving(each, seen)}
    spare = sorted(
        (each.wanted.paid_until, each.deployment)
        for each in decisions
        if each.deployment in holders and each.wanted.paid_until is not None and _may_go(each, seen)
    )
    free = account.fine_tuned_slots - len(holders)
    lacking = creates - free
    if not creates or lacking <= 0 or free + len(spare) <= 0:
        return frozenset()
    return frozenset(name for _, name in spare[:lacking])


def _is_leaving(decision: Decision, seen: Observation) -> bool:
    record = seen.picture.records.get(decision.deployment)
    if decision.observed is Observed.ABSENT:
        return record is not None and record.state is RecordState.DELETING
    return decision.action in _LEAVING or decision.observed is Observed.DELETING


def _may_go(decision: Decision, seen: Observation) -> bool:
    """Whether it can be deleted now: Azure may have refused, or nothing is to be written."""
    refused_until = seen.picture.records[decision.deployment].generation.delete_not_before
    return (
        decision.observed is Observed.READY
        and seen.picture.configured[decision.deployment].mode is Mode.ENFORCE
        and (refused_until is None or refused_until <= seen.began_at)
    )


def _takes_one(decision: Decision, seen: Observation) -> bool:
    if decision.action is not Action.CREATE:
        return False
    return seen.picture.configured[decision.deployment].spec.takes_slot


def _holders(seen: Observation) -> set[str]:
    """Who takes a slot. A LIST may lag behind a create of ours, which takes its slot all the same."""
    configured = seen.picture.configured
    listed = {name for name, hosted in seen.azure.items() if hosted.spec.takes_slot}
    begun = {
        name
        for name, record in seen.picture.records.items()
        if record.state is not RecordState.ABSENT and name in configured and configured[name].spec.takes_slot
    }
    return listed | begun
