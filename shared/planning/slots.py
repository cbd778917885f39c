"""Assign an account's slots for fine-tuned models: some creates wait, some deployments give way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.model import Account, Action, Mode, Observed, RecordState
from shared.planning.decision import Decision, Observation

GIVES_WAY = "nothing needs it, and another waits for its slot"
"""The reason to delete a deployment before its paid hour ends."""
_LEAVING = (Action.CLOSE, Action.DELETE, Action.FORGET)


def within_slots(
    account: Account, decisions: Sequence[Decision], observation: Observation
) -> tuple[Decision, ...]:
    """Turn creates beyond the account's slots into waits. The first decisions get the free slots."""
    free = account.fine_tuned_slots - len(_holders(observation))
    result = []
    for decision in decisions:
        if _takes_slot(decision, observation):
            free -= 1
            if free < 0:
                reason = f"the account's {account.fine_tuned_slots} slots for fine-tuned models are taken"
                decision = replace(decision, action=Action.WAIT, reason=reason)
        result.append(decision)
    return tuple(result)


def giving_way(account: Account, decisions: Sequence[Decision], observation: Observation) -> frozenset[str]:
    """Return the deployments that only use up their paid hour and must free their slots for creates.

    There are as many as creates lack slots, and those whose hour ends first come first. Slots that become
    free anyway count as free. If no create would get a slot, no deployment gives way.
    """
    creates = sum(_takes_slot(decision, observation) for decision in decisions)
    if not creates:
        return frozenset()
    leaving = {decision.deployment for decision in decisions if _is_leaving(decision, observation)}
    holders = _holders(observation) - leaving
    spare = sorted(
        (until, decision.deployment)
        for decision in decisions
        if decision.deployment in holders
        and (until := decision.wanted.paid_until) is not None
        and _may_go(decision, observation)
    )
    free = account.fine_tuned_slots - len(holders)
    lacking = creates - free
    if lacking <= 0 or free + len(spare) <= 0:
        return frozenset()
    return frozenset(name for _, name in spare[:lacking])


def _is_leaving(decision: Decision, observation: Observation) -> bool:
    record = observation.picture.records.get(decision.deployment)
    if decision.observed is Observed.ABSENT:
        return record is not None and record.state is RecordState.DELETING
    return decision.action in _LEAVING or decision.observed is Observed.DELETING


def _may_go(decision: Decision, observation: Observation) -> bool:
    """Return whether it can be deleted now: Azure may have refused it, or observe mode forbids it."""
    refused_until = observation.picture.records[decision.deployment].generation.delete_not_before
    return (
        decision.observed is Observed.READY
        and observation.picture.configured[decision.deployment].mode is Mode.ENFORCE
        and (refused_until is None or refused_until <= observation.began_at)
    )


def _takes_slot(decision: Decision, observation: Observation) -> bool:
    if decision.action is not Action.CREATE:
        return False
    return observation.picture.configured[decision.deployment].spec.takes_slot


def _holders(observation: Observation) -> set[str]:
    """Return the deployments that take a slot. A create of ours takes one before a LIST shows it."""
    configured = observation.picture.configured
    listed = {name for name, hosted in observation.azure.items() if hosted.spec.takes_slot}
    begun = {
        name
        for name, record in observation.picture.records.items()
        if record.state is not RecordState.ABSENT and name in configured and configured[name].spec.takes_slot
    }
    return listed | begun
