"""Delete a deployment: save the intent in the record, then send the DELETE.

If nothing happened, the record returns to a state from which the deployment can open again.
"""

from __future__ import annotations

from dataclasses import replace

from shared.alerts import Alert, alert, event
from shared.errors import ProviderBusy, ProviderError, ProviderRefused
from shared.hosting.create import with_failure
from shared.hosting.decisions import move
from shared.hosting.observe import View
from shared.hosting.writes import NoMoreWrites, write_seconds
from shared.model import DeploymentRecord, Observed, RecordState
from shared.planning.decision import Decision
from shared.planning.plan import delete_backoff


async def delete(step: Decision, view: View, deadline: float) -> None:
    """Delete a deployment, or repeat a delete. No call to Azure starts after the monotonic `deadline`.

    Raises NoMoreWrites if this pass must not write to Azure again, StorageError if records cannot be saved.
    """
    name = step.deployment
    before = view.record(name)
    # Count the failure once, even if the delete has to be repeated: only a create clears `not_before`.
    counts = step.failed and before.backoff.not_before is None
    unanswered = before.generation.unanswered_since is not None
    record = with_failure(name, step.reason, view, unanswered=unanswered) if counts else before
    if before.state is RecordState.DELETING and not before.settled:
        uncertain = replace(record.generation, uncertain_at=before.changed_at)
        record = replace(record, generation=uncertain)
    await move(step, view, record, state=RecordState.DELETING, settled=False)
    if await view.count_workers(name):
        # The fence holds for every state: a worker may still be active while the record says creating.
        event("delete_waits", account=view.account.name, deployment=name)
        await _restore_state(step, view, view.record(name))
        return
    try:
        seconds = write_seconds(view, deadline)
        await view.context.provider.delete(view.account.resource_id, name, timeout=seconds)
    except ProviderBusy as error:
        # Nothing happened, and the deployment may be needed again before Azure is free.
        await _restore_state(step, view, view.record(name))
        raise NoMoreWrites from error
    except ProviderRefused as error:
        # Nothing happened here either. Only this deployment is affected: the pass continues with the others.
        record, refusals = view.record(name), view.record(name).generation.refusals + 1
        again_at = view.context.clock.now() + delete_backoff(refusals, name, view.context.timing)
        refused = replace(record.generation, refusals=refusals, delete_not_before=again_at)
        await _restore_state(step, view, replace(record, generation=refused))
        remedy = f"Azure refuses to delete {name}, which still costs money: {error}"
        alert(Alert.DELETE_REFUSED, remedy, account=view.account.name, deployment=name, code=error.code)
        return
    except ProviderError as error:
        raise NoMoreWrites from error
    await view.save(_accepted(view.record(name), view))
    view.azure[name] = replace(view.azure[name], status=Observed.DELETING)
    await view.save_session(name)


def _accepted(record: DeploymentRecord, view: View) -> DeploymentRecord:
    """Return the record after an accepted delete. A delete without effect is repeated after a pause."""
    now, timing, generation = view.context.clock.now(), view.context.timing, record.generation
    if record.delete_accepted_at is None:
        accepted = replace(
            generation, deleted_at=now, deleted_again_at=None, delete_not_before=now + timing.settle
        )
    else:
        refusals = generation.refusals + 1
        again_at = now + delete_backoff(refusals, record.deployment, timing)
        accepted = replace(generation, deleted_again_at=now, refusals=refusals, delete_not_before=again_at)
    return replace(record, settled=True, generation=accepted)


async def _restore_state(step: Decision, view: View, record: DeploymentRecord) -> None:
    """Move the record, after a delete without effect, to a state from which it can open if it is needed.

    It stays in deleting if the deployment failed. It also stays there while the outcome of an earlier delete
    is unknown: that delete may still take effect, so no worker may start.
    """
    if record.generation.uncertain_at is not None or step.failed:
        await view.save(replace(record, settled=True))
        return
    state = RecordState.CREATING if record.generation.opened_at is None else RecordState.CLOSING
    await move(step, view, record, state=state)
