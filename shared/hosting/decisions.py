"""Save decisions: in the deployment's record, and as a row of its history when they change."""

from __future__ import annotations

from dataclasses import replace

from shared.errors import StorageError
from shared.hosting.ledger import DecisionRow
from shared.hosting.observe import View
from shared.model import DeploymentRecord, LastDecision, RecordState
from shared.planning.decision import Decision

_LONGEST_REASON = 2000  # characters


async def keep_decision(step: Decision, view: View) -> bool:
    """Save a decision in the record, and as a row if it changed. Return whether it changed.

    If only its reasons or its time differ, update the record and write no row.
    """
    record = view.record(step.deployment)
    if _is_bookkeeping(record):
        return False
    changed = not _is_decided(record, step)
    decision = _last_decision(record, step)
    if decision != record.decision:
        await view.save(replace(record, decision=decision))
    if changed:
        await _save_decision(step, view)
    return changed


async def move(
    step: Decision,
    view: View,
    record: DeploymentRecord | None = None,
    *,
    state: RecordState,
    settled: bool = True,
) -> None:
    """Move a record to its next state by compare-and-swap, and save the decision that caused this."""
    before = view.record(step.deployment)
    after = replace(record or before, state=state, settled=settled, changed_at=view.context.clock.now())
    if _is_bookkeeping(before) or _is_bookkeeping(after):
        await view.save(after)
        return
    await view.save(replace(after, decision=_last_decision(after, step)))
    if not _is_decided(before, step):
        await _save_decision(step, view)


def _is_bookkeeping(record: DeploymentRecord) -> bool:
    """Return whether Azure refused the create: nothing existed, and the decision to create still holds."""
    return record.state is RecordState.DELETING and record.generation.seen_at is None


def _is_decided(record: DeploymentRecord, step: Decision) -> bool:
    """Return whether the record holds this decision already. Ignore the reason: it may count documents."""
    kept = record.decision
    return (kept.observed, kept.wanted, kept.action) == (step.observed, step.wanted.up, step.action)


def _last_decision(record: DeploymentRecord, step: Decision) -> LastDecision:
    return LastDecision(
        observed=step.observed,
        wanted=step.wanted.up,
        action=step.action,
        reason=step.reason[:_LONGEST_REASON],
        again_at=step.again_at,
        kept=step.wanted.reason[:_LONGEST_REASON] if step.wanted.scarce else "",
        count=record.decision.count + (not _is_decided(record, step)),
    )


async def _save_decision(step: Decision, view: View) -> None:
    record = view.record(step.deployment)
    row = DecisionRow(
        at=view.context.clock.now(),
        deployment=step.deployment,
        number=record.decision.count,
        generation=record.generation.number,
        observed=step.observed,
        wanted=step.wanted.up,
        action=step.action,
        reason=step.reason,
    )
    try:
        await view.context.ledger.save_decision(view.account.resource_id, row)
    except StorageError as error:
        # Only people read the row: the step continues without it, and the pass fails visibly at its end.
        view.problems.append(error)
