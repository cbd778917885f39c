"""Steps of a plan, carried out. Every write to Azure is preceded by its intent in the record.

A crash at any point leaves an intent from which the next pass goes on; nothing waits here for Azure, whose
provisioning state is the durable state of a long operation.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from shared.alerts import Alert, alert, event
from shared.domain import (
    Action,
    AzureDeployment,
    DeploymentRecord,
    DeploymentSpec,
    ModelRequest,
    Observed,
    RecordState,
)
from shared.errors import (
    AccessDenied,
    ArmConflict,
    ArmError,
    ArmRefused,
    DeploymentNotFound,
    ModelError,
    StorageError,
)
from shared.hosting.ledger import DecisionRow
from shared.hosting.observe import View
from shared.planning import estimates, uploads
from shared.planning.adoption import properties_of, to_create, to_text
from shared.planning.plan import (
    DELETE_AFTER_TAG,
    OWNER_TAG,
    READY_LIMIT,
    Decision,
    backoff,
    delete_backoff,
    succeeded_for,
)
from shared.planning.uploads import Batch

PROBE_SECONDS = 10.0
ARM_SECONDS = 15.0
"""The longest that a call to Azure Resource Manager may take, and the least that a write must have left."""

PROBE = ModelRequest(system_prompt="Answer with one word.", text="ready?", max_output_tokens=16)
_LONGEST_REASON = 2000  # characters
_TAG_TIME = "%Y-%m-%dT%H:%M:%SZ"


class ArmBusy(Exception):
    """Azure took no write now, or left its outcome open: no further write in this pass."""


async def take(step: Decision, view: View, deadline: float) -> None:
    """Carry out one step; no call to Azure begins after the monotonic `deadline`, nor lasts beyond it.

    Raises ArmBusy when this pass should write to Azure no more, StorageError when records cannot be kept.
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
            await _create(step, view, deadline)
        case Action.DELETE:
            await _delete(step, view, deadline)
        case Action.PROBE:
            await _probe(step, view)
        case Action.CLOSE:
            await _move(step, view, state=RecordState.CLOSING)
            # The fence: only after closing is written do the work leases and the demand count.
            await view.count_workers(step.deployment)
            await view.count_demand(step.deployment)
        case Action.REOPEN:
            await _move(step, view, state=RecordState.OPEN)
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


async def keep_decision(step: Decision, view: View) -> bool:
    """Write a decision to the record and as a row when it changed, not every minute; whether it did.

    Of the same decision the record follows the reason and the time, which may be others now.
    """
    record = view.record(step.deployment)
    if _is_bookkeeping(record):
        return False
    changed = not _is_decided(record, step)
    if changed or (record.reason, record.again_at) != (step.reason[:_LONGEST_REASON], step.again_at):
        await view.save(_with_decision(record, step))
    if changed:
        await _save_decision(step, view)
    return changed


async def _create(step: Decision, view: View, deadline: float) -> None:
    name, now = step.deployment, view.control.clock.now()
    hosting, record = view.hosted[name], view.record(name)
    properties = to_create(hosting.spec, adopt=hosting.adopt, adopted=record.adopted)
    delete_after = now + hosting.max_session
    intent = DeploymentRecord(
        account=view.account.resource_id,
        deployment=name,
        generation=record.generation + 1,
        intent_at=now,
        delete_after=delete_after,
        deleted_at=record.deleted_at,
        doubted_at=record.doubted_at,
        create_seconds=record.create_seconds,
        batches=_with_batch(record, step, view),
        failures=record.failures,
        problem=record.problem,
        sku=properties.sku,
        capacity=properties.capacity,
        adopted=record.adopted if hosting.adopt else "",
        observed=record.observed,
        wanted=record.wanted,
        action=record.action,
        decisions=record.decisions,
        etag=record.etag,
    )
    await _move(step, view, intent, state=RecordState.CREATING, settled=False)
    tags = {
        **properties.tags,
        OWNER_TAG: view.control.installation,
        DELETE_AFTER_TAG: delete_after.strftime(_TAG_TIME),
    }
    try:
        view.azure[name] = await _put(replace(properties, tags=tags), view, deadline)
    except ArmConflict as error:
        again_at = view.control.clock.now() + timedelta(seconds=error.retry_after or 0)
        record = _without_intent(view.record(name))
        busy = replace(record, not_before=again_at, again_at=again_at, problem=str(error)[:500])
        await _move(step, view, busy, state=RecordState.DELETING)
        raise ArmBusy from error
    except ArmRefused as error:
        nowhere = _without_intent(_led_nowhere(name, str(error), view))
        await _move(step, view, nowhere, state=RecordState.DELETING)
    except ArmError as error:
        # The record stays at creating, unsettled: the create may still take effect.
        await view.save(_led_nowhere(name, str(error), view))
        raise ArmBusy from error
    else:
        await view.save(replace(view.record(name), settled=True))
        await view.note(name)


def _with_batch(record: DeploymentRecord, step: Decision, view: View) -> str:
    """What documents that start a deployment teach of those that follow."""
    demand = view.demand(step.deployment)
    if not demand.arrivals or step.wanted.opens_at is not None:
        return record.batches
    return uploads.to_text((*uploads.from_text(record.batches), Batch.of(demand.arrivals, view.now)))


def _without_intent(record: DeploymentRecord) -> DeploymentRecord:
    """After a create that surely had no effect: what stands under its name by now is somebody else's."""
    return replace(record, intent_at=None)


def _write_seconds(view: View, deadline: float) -> float:
    """Seconds that a write to Azure may take. Raises ArmConflict (nothing happened, wait) if none may begin.

    Looked at again after the intent was written: that may have taken long, and the lease is not renewed.
    """
    left = deadline - view.control.clock.monotonic()
    if left < ARM_SECONDS:
        raise ArmConflict("this pass has no time left for a write to Azure; the next one goes on")
    return min(left, ARM_SECONDS)


async def _put(spec: DeploymentSpec, view: View, deadline: float) -> AzureDeployment:
    """The PUT; where its capacity is refused, one more with the least that was configured.

    Deleting releases quota, and somebody else may have taken it since.
    """
    seconds = _write_seconds(view, deadline)
    try:
        return await view.control.arm.put(view.account.resource_id, spec, timeout=seconds)
    except ArmRefused as error:
        least = spec.minimum_capacity
        if error.code != "InsufficientQuota" or least is None or least >= spec.capacity:
            raise
    smaller = replace(spec, capacity=least)
    seconds = _write_seconds(view, deadline)
    found = await view.control.arm.put(view.account.resource_id, smaller, timeout=seconds)
    remedy = f"it was created with {least} instead of {spec.capacity}: others use the quota of this region"
    alert(Alert.CAPACITY_REDUCED, remedy, account=view.account.name, deployment=spec.name)
    return found


async def _delete(step: Decision, view: View, deadline: float) -> None:
    name = step.deployment
    before = view.record(name)
    # Counted once, however often the delete has to be repeated.
    counts = step.failed and before.state is not RecordState.DELETING and not before.refusals
    record = _led_nowhere(name, step.reason, view) if counts else before
    if before.state is RecordState.DELETING and not before.settled:
        record = replace(record, uncertain_at=before.changed_at)
    await _move(step, view, record, state=RecordState.DELETING, settled=False)
    try:
        seconds = _write_seconds(view, deadline)
        await view.control.arm.delete(view.account.resource_id, name, timeout=seconds)
    except ArmConflict as error:
        # Nothing happened, and by the time that Azure is free somebody may need it again.
        await _still_there(step, view, view.record(name))
        raise ArmBusy from error
    except ArmRefused as error:
        # Likewise; but it concerns this deployment only, and the others of the account go on.
        refusals = view.record(name).refusals + 1
        again_at = view.control.clock.now() + delete_backoff(refusals, name)
        refused = replace(view.record(name), refusals=refusals, delete_not_before=again_at)
        await _still_there(step, view, refused)
        remedy = f"Azure refuses to delete {name}, which goes on costing money: {error}"
        alert(Alert.DELETE_REFUSED, remedy, account=view.account.name, deployment=name)
        return
    except ArmError as error:
        raise ArmBusy from error
    await view.save(replace(view.record(name), settled=True, deleted_at=view.control.clock.now()))
    view.azure[name] = replace(view.azure[name], provisioning_state="Deleting")
    await view.save_session(name)


async def _still_there(step: Decision, view: View, record: DeploymentRecord) -> None:
    """After a delete that had no effect: back to where it may open (again), should somebody need it.

    Not while an earlier delete was never answered: that may still take effect, and nobody may work on it.
    """
    if record.uncertain_at is not None or step.failed:
        await view.save(replace(record, settled=True))
        return
    state = RecordState.CREATING if record.opened_at is None else RecordState.CLOSING
    await _move(step, view, record, state=state)


async def _probe(step: Decision, view: View) -> None:
    """The one request that is allowed before the record is open. Only its success makes it open."""
    name, control = step.deployment, view.control
    try:
        await control.model.ask(view.endpoint, name, PROBE, timeout=PROBE_SECONDS)
    except ModelError as error:
        event("not_ready", account=view.account.name, deployment=name, code=error.code)
        if isinstance(error, AccessDenied):
            remedy = "grant the app's identity the role Cognitive Services OpenAI User on the account"
            alert(Alert.MODEL_ACCESS_DENIED, remedy, account=view.account.name, deployment=name)
        record = view.record(name)
        silent = isinstance(error, DeploymentNotFound) and record.silent_since is not None
        if silent or succeeded_for(record, control.clock.now()) > READY_LIMIT:
            await view.save(replace(record, silent_probes=record.silent_probes + 1))
        return
    record = view.record(name)
    if record.state is RecordState.OPEN:
        await view.save(replace(record, silent_since=None, silent_probes=0))
        return
    now = control.clock.now()
    opened = replace(record, opened_at=now, silent_probes=0, failures=0, not_before=None, problem="")
    if step.observed is Observed.SUCCEEDED and record.intent_at and record.intent_at != record.created_at:
        took = (now - record.intent_at).total_seconds()
        samples = (*estimates.from_text(record.create_seconds), took)
        opened = replace(opened, create_seconds=estimates.to_text(samples))
    if step.observed is Observed.FOREIGN:
        opened = _as_foreign(opened, view.azure[name])
    await _move(step, view, opened, state=RecordState.OPEN)
    await view.save_session(name)


def _as_foreign(record: DeploymentRecord, azure: AzureDeployment) -> DeploymentRecord:
    return replace(
        record,
        owned=False,
        generation=record.generation + 1,
        intent_at=None,
        created_at=azure.created_at,
        delete_after=None,
        sku=azure.sku,
        capacity=azure.capacity,
        tokens_per_minute=azure.tokens_per_minute,
        requests_per_minute=azure.requests_per_minute,
    )


async def _adopt(step: Decision, view: View) -> None:
    """From now on it is ours, by the record: nothing is written to Azure, its properties are kept."""
    record, azure = view.record(step.deployment), view.azure[step.deployment]
    in_use = record.state is RecordState.OPEN
    adopted = replace(
        record,
        generation=record.generation + (not in_use),
        owned=True,
        intent_at=view.now,
        created_at=azure.created_at,
        succeeded_at=None,
        opened_at=record.opened_at if in_use else None,
        seen_at=None,
        delete_after=view.now + view.hosted[step.deployment].max_session,
        adopted=to_text(properties_of(azure)),
    )
    # Workers of ours may be using it already: then it stays open, and goes through the fence.
    await _move(step, view, adopted, state=RecordState.OPEN if in_use else RecordState.CREATING)
    await view.note(step.deployment)
    alert(Alert.ADOPTED, step.reason, account=view.account.name, deployment=step.deployment)


async def _take_up(step: Decision, view: View) -> None:
    record, azure = view.record(step.deployment), view.azure[step.deployment]
    found = replace(
        record,
        generation=record.generation + 1,
        owned=True,
        intent_at=azure.created_at or view.now,
        created_at=azure.created_at,
        succeeded_at=None,
        opened_at=None,
        seen_at=None,
        delete_after=_tagged_deadline(azure),
    )
    await _move(step, view, found, state=RecordState.CREATING)
    await view.note(step.deployment)


def _tagged_deadline(azure: AzureDeployment) -> datetime | None:
    try:
        deadline = datetime.fromisoformat(azure.tags.get(DELETE_AFTER_TAG, ""))
    except ValueError:
        return None
    return deadline if deadline.tzinfo else None


async def _forget(step: Decision, view: View) -> None:
    record = view.record(step.deployment)
    if record.owned and record.state in (RecordState.OPEN, RecordState.CLOSING):
        remedy = f"{step.deployment} was deleted by somebody or something else; it comes back when needed"
        alert(Alert.DELETED_FROM_OUTSIDE, remedy, account=view.account.name, deployment=step.deployment)
    await view.save_session(step.deployment, gone=True)
    if record.state is RecordState.CREATING and not record.settled:
        record = replace(record, doubted_at=record.changed_at)
    await _move(step, view, record, state=RecordState.ABSENT)


def _led_nowhere(name: str, problem: str, view: View) -> DeploymentRecord:
    """The record with one more creation that led nowhere: the next one waits longer."""
    record, now = view.record(name), view.control.clock.now()
    failures = record.failures + 1
    not_before = now + backoff(failures, name)
    remedy = f"{problem.rstrip('. ')}. Its documents wait; the next try is at {not_before:%H:%M:%S} UTC."
    alert(Alert.CREATE_LED_NOWHERE, remedy, account=view.account.name, deployment=name)
    return replace(
        record, failures=failures, problem=problem[:500], not_before=not_before, again_at=not_before
    )


async def _move(
    step: Decision,
    view: View,
    record: DeploymentRecord | None = None,
    *,
    state: RecordState,
    settled: bool = True,
) -> None:
    """Move a record to its next state by compare-and-swap, with the decision that moved it."""
    before = view.record(step.deployment)
    after = replace(record or before, state=state, settled=settled, changed_at=view.control.clock.now())
    if _is_bookkeeping(before) or _is_bookkeeping(after):
        await view.save(after)
        return
    await view.save(_with_decision(after, step))
    if not _is_decided(before, step):
        await _save_decision(step, view)


def _is_bookkeeping(record: DeploymentRecord) -> bool:
    """A create that Azure refused: nothing ever existed, and the decision to create still stands."""
    return record.state is RecordState.DELETING and record.seen_at is None


def _is_decided(record: DeploymentRecord, step: Decision) -> bool:
    """Whether the record holds this decision already; its reason may count documents and does not matter."""
    return (record.observed, record.wanted, record.action) == (step.observed, step.wanted.up, step.action)


def _with_decision(record: DeploymentRecord, step: Decision) -> DeploymentRecord:
    return replace(
        record,
        observed=step.observed,
        wanted=step.wanted.up,
        action=step.action,
        reason=step.reason[:_LONGEST_REASON],
        again_at=step.again_at,
        decisions=record.decisions + (not _is_decided(record, step)),
    )


async def _save_decision(step: Decision, view: View) -> None:
    record = view.record(step.deployment)
    row = DecisionRow(
        at=view.control.clock.now(),
        deployment=step.deployment,
        number=record.decisions,
        generation=record.generation,
        observed=step.observed,
        wanted=step.wanted.up,
        action=step.action,
        reason=step.reason,
    )
    try:
        await view.control.ledger.save_decision(view.account.resource_id, row)
    except StorageError as error:
        # It is for people to read: the step goes on without it, and the pass fails visibly at its end.
        view.problems.append(error)
