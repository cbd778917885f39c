"""Carry out the steps of a plan. The record gets the intent before each write to Azure.

After a crash at any point, the next pass continues from that intent. Nothing here waits for Azure, because
Azure's provisioning state is the durable state of a long operation.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from shared.alerts import Alert, alert, event
from shared.hosting.create import create
from shared.hosting.decisions import move
from shared.hosting.delete import delete
from shared.hosting.observe import View
from shared.hosting.probe import probe
from shared.model import Action, Hosted, RecordState
from shared.planning.decide import is_same_generation
from shared.planning.decision import Decision
from shared.planning.generations import next_generation, without_intent
from shared.planning.observed import DELETE_AFTER_TAG


async def take(step: Decision, view: View, deadline: float) -> None:
    """Carry out one step. No call to Azure starts after the monotonic `deadline` or lasts beyond it.

    Raises NoMoreWrites if this pass must not write to Azure again, StorageError if records cannot be saved.
    """
    event(
        "step",
        account=view.account.name,
        deployment=step.deployment,
        action=step.action,
        observed=step.observed,
        reason=step.reason,
    )
    match step.action:
        case Action.CREATE:
            await create(step, view, deadline)
        case Action.DELETE:
            await delete(step, view, deadline)
        case Action.PROBE:
            await probe(step, view)
        case Action.CLOSE:
            await move(step, view, state=RecordState.CLOSING)
            # The fence: write the closing state first, then read the work leases and the demand.
            await view.count_workers(step.deployment)
            await view.count_demand(step.deployment)
        case Action.REOPEN:
            await move(step, view, state=RecordState.OPEN)
        case Action.TAKE_UP:
            await _take_up(step, view)
        case Action.ADOPT:
            await _adopt(step, view)
        case Action.FORGET:
            await _forget(step, view)
        case Action.NOTHING | Action.WAIT | Action.SERVE:
            raise AssertionError(f"{step.action} is not a step")
        case _:
            assert_never(step.action)


async def _adopt(step: Decision, view: View) -> None:
    """Record a deployment as ours from now on. Write nothing to Azure, and keep its properties."""
    record, azure = view.record(step.deployment), view.azure[step.deployment]
    in_use = record.state is RecordState.OPEN
    found = replace(record, history=replace(record.history, adopted=azure.spec))
    session_end = view.configured[step.deployment].session_end(view.now)
    if in_use:
        ours = replace(
            record.generation,
            owned=True,
            intent_at=view.now,
            created_at=azure.created_at,
            seen_at=None,
            delete_after=session_end,
        )
        adopted = replace(found, generation=ours)
    else:
        adopted = next_generation(
            found, intent_at=view.now, created_at=azure.created_at, delete_after=session_end
        )
    # Our workers may already use it. Then it stays open, and its delete goes through the fence.
    await move(step, view, adopted, state=RecordState.OPEN if in_use else RecordState.CREATING)
    await view.note(step.deployment)
    alert(Alert.ADOPTED, step.reason, account=view.account.name, deployment=step.deployment)


async def _take_up(step: Decision, view: View) -> None:
    record, azure = view.record(step.deployment), view.azure[step.deployment]
    if is_same_generation(record, azure):
        # LISTs left it out, or Azure accepted a delete without effect: its session has not ended.
        state = RecordState.CREATING if record.delete_accepted_at is None else RecordState.DELETING
        again = replace(
            record.generation, succeeded_at=None, silent_since=None, silent_probes=0, missed_since=None
        )
        found = replace(record, generation=again)
        await move(step, view, found, state=state)
        await view.save_session(step.deployment)
        await view.count_workers(step.deployment)
        return
    found = next_generation(
        record,
        intent_at=azure.created_at or view.now,
        created_at=azure.created_at,
        delete_after=_tagged_deadline(azure),
    )
    await move(step, view, found, state=RecordState.CREATING)
    await view.note(step.deployment)
    await view.count_workers(step.deployment)


def _tagged_deadline(azure: Hosted) -> datetime | None:
    try:
        deadline = datetime.fromisoformat(azure.spec.tags.get(DELETE_AFTER_TAG, ""))
    except ValueError:
        return None
    return deadline if deadline.tzinfo else None


async def _forget(step: Decision, view: View) -> None:
    record = view.record(step.deployment)
    if record.generation.owned and record.state in (RecordState.OPEN, RecordState.CLOSING):
        remedy = f"{step.deployment} was deleted by somebody or something else; it comes back when needed"
        alert(Alert.DELETED_FROM_OUTSIDE, remedy, account=view.account.name, deployment=step.deployment)
    await view.save_session(step.deployment, gone=True)
    if record.state is RecordState.CREATING and not record.settled:
        record = replace(record, doubted_at=record.changed_at)
        if record.generation.created_at is None:
            # Nothing shows that it ever existed. LISTs may have left out the one before, which is seen again.
            record = without_intent(record)
    record = replace(record, generation=replace(record.generation, missed_since=None))
    await move(step, view, record, state=RecordState.ABSENT)
