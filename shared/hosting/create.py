"""A create: the intent in the record, then the PUT, then what Azure made of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.alerts import Alert, alert
from shared.errors import ArmConflict, ArmError, ArmRefused
from shared.hosting.arm_writes import ArmBusy, write_seconds
from shared.hosting.decisions import move
from shared.hosting.observe import View
from shared.model import AzureDeployment, DeploymentRecord, DeploymentSpec, Owner, RecordState
from shared.planning import uploads
from shared.planning.adoption import to_create
from shared.planning.decision import Decision
from shared.planning.observed import DELETE_AFTER_TAG, OWNER_TAG, STORAGE_TAG
from shared.planning.plan import backoff, unanswered_backoff
from shared.planning.uploads import Batch

TAG_TIME = "%Y-%m-%dT%H:%M:%SZ"


async def create(step: Decision, view: View, deadline: float) -> None:
    """Begin a new generation; no call to Azure begins after the monotonic `deadline`.

    Raises ArmBusy when this pass should write to Azure no more, StorageError when records cannot be kept.
    """
    name, now = step.deployment, view.context.clock.now()
    config, record = view.configured[name], view.record(name)
    properties = to_create(config.spec, adopt=config.adopt, adopted=record.adopted)
    delete_after = config.session_end(now)
    intent = DeploymentRecord(
        account=view.account.resource_id,
        deployment=name,
        generation=record.generation + 1,
        intent_at=now,
        delete_after=delete_after,
        deleted_at=record.deleted_again_at or record.deleted_at,
        earlier_created_at=record.created_at,
        unanswered_runs=record.unanswered_runs,
        doubted_at=record.doubted_at,
        create_seconds=record.create_seconds,
        gathered=_with_batch(record, step, view),
        failures=record.failures,
        problem=record.problem,
        sku=properties.sku,
        capacity=properties.capacity,
        adopted=record.adopted if config.adopt else "",
        observed=record.observed,
        wanted=record.wanted,
        action=record.action,
        decisions=record.decisions,
        etag=record.etag,
    )
    await move(step, view, intent, state=RecordState.CREATING, settled=False)
    tags = {
        **properties.tags,
        **our_tags(view.context.owner),
        **({DELETE_AFTER_TAG: delete_after.strftime(TAG_TIME)} if delete_after else {}),
    }
    try:
        view.azure[name] = await _put(replace(properties, tags=tags), view, deadline)
    except ArmConflict as error:
        again_at = view.context.clock.now() + timedelta(seconds=error.retry_after or 0)
        record = _without_intent(view.record(name))
        busy = replace(record, not_before=again_at, again_at=again_at, problem=str(error)[:500])
        await move(step, view, busy, state=RecordState.DELETING)
        raise ArmBusy from error
    except ArmRefused as error:
        refused = _without_intent(with_failure(name, str(error), view, code=error.code))
        await move(step, view, refused, state=RecordState.DELETING)
    except ArmError as error:
        # The record stays at creating, unsettled: the create may still take effect.
        await view.save(with_failure(name, str(error), view, code=error.code))
        raise ArmBusy from error
    else:
        created = replace(view.record(name), settled=True)
        if record.created_at is not None and view.azure[name].created_at == record.created_at:
            # LISTs had missed it, and it was never gone: its session never ended.
            created = replace(
                created,
                generation=record.generation,
                created_at=record.created_at,  # with tags dropped, nothing else proves it ours
                earlier_created_at=None,
            )
        await view.save(created)
        await view.note(name)


def our_tags(owner: Owner) -> dict[str, str]:
    """The tags by which we and others know whose a deployment is."""
    return {OWNER_TAG: owner.installation, **({STORAGE_TAG: owner.storage} if owner.storage else {})}


def _with_batch(record: DeploymentRecord, step: Decision, view: View) -> str:
    """What documents that start a deployment teach of those that follow."""
    demand = view.demand(step.deployment)
    if not demand.arrivals or step.wanted.opens_at is not None:
        return record.gathered
    return uploads.to_text((*uploads.from_text(record.gathered), Batch.of(demand.arrivals, view.now)))


def _without_intent(record: DeploymentRecord) -> DeploymentRecord:
    """After a create that surely had no effect: what stands there is older, or others'."""
    return replace(
        record,
        generation=record.generation - 1,
        intent_at=None,
        created_at=record.earlier_created_at,
        earlier_created_at=None,
    )


async def _put(spec: DeploymentSpec, view: View, deadline: float) -> AzureDeployment:
    """The PUT; where its capacity is refused, one more with the least that was configured.

    Deleting releases quota, and somebody else may have taken it since.
    """
    seconds = write_seconds(view, deadline)
    try:
        return await view.context.arm.put(view.account.resource_id, spec, timeout=seconds)
    except ArmRefused as error:
        least = spec.minimum_capacity
        if error.code != "InsufficientQuota" or least is None or least >= spec.capacity:
            raise
    smaller = replace(spec, capacity=least)
    seconds = write_seconds(view, deadline)
    found = await view.context.arm.put(view.account.resource_id, smaller, timeout=seconds)
    remedy = f"it was created with {least} instead of {spec.capacity}: others use the quota of this region"
    alert(Alert.CAPACITY_REDUCED, remedy, account=view.account.name, deployment=spec.name)
    return found


def with_failure(
    name: str, problem: str, view: View, *, unanswered: bool = False, code: str | None = None
) -> DeploymentRecord:
    """The record with one more failed try to host it: the next create waits longer, and an alert says why.

    `unanswered`: it was hosted and nobody was answered. This is counted until somebody is answered, not only
    until the next probe is.
    """
    record, now, timing = view.record(name), view.context.clock.now(), view.context.timing
    failures = record.failures + (not unanswered)
    runs = record.unanswered_runs + unanswered
    not_before = now + (unanswered_backoff(runs, timing) if unanswered else backoff(failures, name, timing))
    remedy = f"{problem.rstrip('. ')}. Its documents wait; the next try is at {not_before:%H:%M:%S} UTC."
    alert_name = Alert.NOT_ANSWERING if unanswered else Alert.CREATE_LED_NOWHERE
    alert(alert_name, remedy, account=view.account.name, deployment=name, code=code)
    return replace(
        record,
        failures=failures,
        unanswered_runs=runs,
        problem=problem[:500],
        not_before=not_before,
        again_at=not_before,
    )
