"""Create a deployment: save the intent in the record, send the PUT, then record the outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.alerts import Alert, alert
from shared.errors import CapacityRefused, ProviderBusy, ProviderError, ProviderRefused
from shared.hosting.decisions import move
from shared.hosting.observe import View
from shared.hosting.writes import NoMoreWrites, write_seconds
from shared.model import Backoff, Batch, DeploymentRecord, DeploymentSpec, Hosted, Owner, RecordState
from shared.planning import uploads
from shared.planning.adoption import to_create
from shared.planning.decision import Decision
from shared.planning.generations import next_generation, without_intent
from shared.planning.observed import DELETE_AFTER_TAG, OWNER_TAG, STORAGE_TAG
from shared.planning.plan import backoff, unanswered_backoff

TAG_TIME = "%Y-%m-%dT%H:%M:%SZ"


async def create(step: Decision, view: View, deadline: float) -> None:
    """Start a new generation. No call to Azure starts after the monotonic `deadline`.

    Raises NoMoreWrites if this pass must not write to Azure again, StorageError if records cannot be saved.
    """
    name, now = step.deployment, view.context.clock.now()
    config, record = view.configured[name], view.record(name)
    properties = to_create(config.spec, adopt=config.adopt, adopted=record.history.adopted)
    delete_after = config.session_end(now)
    history = replace(
        record.history,
        gathered=_gathered(record, step, view),
        adopted=record.history.adopted if config.adopt else None,
    )
    intent = next_generation(
        replace(record, history=history),
        intent_at=now,
        delete_after=delete_after,
        sku=properties.sku,
        capacity=properties.capacity,
    )
    await move(step, view, intent, state=RecordState.CREATING, settled=False)
    tags = {
        **properties.tags,
        **our_tags(view.context.owner),
        **({DELETE_AFTER_TAG: delete_after.strftime(TAG_TIME)} if delete_after else {}),
    }
    try:
        view.azure[name] = await _put(replace(properties, tags=tags), view, deadline)
    except ProviderBusy as error:
        again_at = view.context.clock.now() + timedelta(seconds=error.retry_after or 0)
        record = without_intent(view.record(name))
        busy = replace(
            record,
            backoff=replace(record.backoff, not_before=again_at, problem=str(error)[:500]),
            decision=replace(record.decision, again_at=again_at),
        )
        await move(step, view, busy, state=RecordState.DELETING)
        raise NoMoreWrites from error
    except ProviderRefused as error:
        refused = without_intent(with_failure(name, str(error), view, code=error.code))
        await move(step, view, refused, state=RecordState.DELETING)
    except ProviderError as error:
        # The record stays at creating, unsettled: the create may still take effect.
        await view.save(with_failure(name, str(error), view, code=error.code))
        raise NoMoreWrites from error
    else:
        created = replace(view.record(name), settled=True)
        last = record.generation
        if last.created_at is not None and view.azure[name].created_at == last.created_at:
            # LISTs had left it out, but it existed all the time: its session has not ended.
            same = replace(
                created.generation,
                number=last.number,
                created_at=last.created_at,  # if Azure dropped the tags, only this proves that it is ours
                earlier_created_at=None,
            )
            created = replace(created, generation=same)
        await view.save(created)
        await view.note(name)


def our_tags(owner: Owner) -> dict[str, str]:
    """Return the tags that name this installation as the owner of a deployment."""
    return {OWNER_TAG: owner.installation, **({STORAGE_TAG: owner.storage} if owner.storage else {})}


def _gathered(record: DeploymentRecord, step: Decision, view: View) -> tuple[Batch, ...]:
    """Return the recorded batches, plus one if waiting documents start this create."""
    demand, gathered = view.demand(step.deployment), record.history.gathered
    if not demand.arrivals or step.wanted.opens_at is not None:
        return gathered
    return uploads.with_batch(gathered, uploads.batch_of(demand.arrivals, view.now))


async def _put(spec: DeploymentSpec, view: View, deadline: float) -> Hosted:
    """Send the PUT. If Azure refuses its capacity, send another one with the configured minimum.

    A delete releases quota, and another user of the region may have taken it since then.
    """
    seconds = write_seconds(view, deadline)
    try:
        return await view.context.provider.put(view.account.resource_id, spec, timeout=seconds)
    except CapacityRefused:
        least = spec.minimum_capacity
        if least is None or least >= spec.capacity:
            raise
    smaller = replace(spec, capacity=least)
    seconds = write_seconds(view, deadline)
    found = await view.context.provider.put(view.account.resource_id, smaller, timeout=seconds)
    remedy = f"it was created with {least} instead of {spec.capacity}: others use the quota of this region"
    alert(Alert.CAPACITY_REDUCED, remedy, account=view.account.name, deployment=spec.name)
    return found


def with_failure(
    name: str, problem: str, view: View, *, unanswered: bool = False, code: str | None = None
) -> DeploymentRecord:
    """Return the record with one more failed attempt to host it, and raise an alert with the reason.

    The next create waits longer. `unanswered`: it was hosted but answered no request. This is counted until
    a request is answered; a successful probe does not reset the count.
    """
    record, now, timing = view.record(name), view.context.clock.now(), view.context.timing
    failures = record.backoff.failures + (not unanswered)
    runs = record.backoff.unanswered_runs + unanswered
    not_before = now + (unanswered_backoff(runs, timing) if unanswered else backoff(failures, name, timing))
    remedy = f"{problem.rstrip('. ')}. Its documents wait; the next try is at {not_before:%H:%M:%S} UTC."
    alert_name = Alert.NOT_ANSWERING if unanswered else Alert.CREATE_FAILED
    alert(alert_name, remedy, account=view.account.name, deployment=name, code=code)
    return replace(
        record,
        backoff=Backoff(failures, runs, not_before, problem[:500]),
        decision=replace(record.decision, again_at=not_before),
    )
