"""An account's slots for fine-tuned models: who waits for one, and who gives way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain import Account, Action, Hosting, Observed, RecordState

if TYPE_CHECKING:
    from shared.planning.plan import Decision, Observation

GIVES_WAY = "nothing needs it, and another waits for its slot"
"""Why a deployment is deleted before its paid hour ends."""
_LEAVING = (Action.CLOSE, Action.DELETE, Action.FORGET)


def is_fine_tuned(model_name: str) -> bool:
    """Whether a deployed model takes one of the account's slots for fine-tuned models."""
    return ".ft-" in model_name or model_name.startswith("ftchkpt-")


def within_slots(
    account: Account, decisions: Sequence[Decision], hosted: Mapping[str, Hosting], seen: Observation
) -> tuple[Decision, ...]:
    """Creates beyond the account's slots wait: who comes first in the order of decisions gets one."""
    free = account.fine_tuned_slots - len(_holders(hosted, seen))
    result = []
    for decision in decisions:
        if decision.action is Action.CREATE:
            free -= 1
            if free < 0:
                reason = f"the account's {account.fine_tuned_slots} slots for fine-tuned models are taken"
                decision = replace(decision, action=Action.WAIT, reason=reason)
        result.append(decision)
    return tuple(result)


def giving_way(
    account: Account, decisions: Sequence[Decision], hosted: Mapping[str, Hosting], seen: Observation
) -> frozenset[str]:
    """Those that only use up their paid hour, as many as creates lack a slot: work goes before money.

    First whose hour ends first. Slots that become free anyway are waited for.
    """
    holders = _holders(hosted, seen)
    held = [each for each in decisions if each.deployment in holders]
    leaving = sum(each.action in _LEAVING or each.observed is Observed.DELETING for each in held)
    creates = sum(each.action is Action.CREATE for each in decisions)
    lacking = creates + len(holders) - leaving - account.fine_tuned_slots
    spare = sorted((each.wanted.paid_until, each.deployment) for each in held if each.wanted.paid_until)
    return frozenset(name for _, name in spare[: max(0, lacking)])


def _holders(hosted: Mapping[str, Hosting], seen: Observation) -> set[str]:
    """Who takes a slot. A LIST may lag behind a create of ours, which takes its slot all the same."""
    models = {name: each.spec.model_name for name, each in hosted.items()}
    listed = {name for name, each in seen.azure.items() if is_fine_tuned(each.model_name)}
    begun = {
        name
        for name, record in seen.records.items()
        if record.state is not RecordState.ABSENT and is_fine_tuned(models.get(name, ""))
    }
    return listed | begun
