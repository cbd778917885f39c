"""The probe: a deployment is open after a request has succeeded, whatever Azure says of it."""

from __future__ import annotations

from dataclasses import replace

from shared.alerts import Alert, alert, event
from shared.domain import AzureDeployment, DeploymentRecord, ModelRequest, Observed, RecordState
from shared.errors import AccessDenied, DeploymentNotFound, ModelError
from shared.hosting.decisions import move
from shared.hosting.observe import View
from shared.planning import estimates
from shared.planning.plan import READY_LIMIT, Decision, succeeded_for

PROBE_SECONDS = 10.0

PROBE = ModelRequest(system_prompt="Answer with one word.", text="ready?", max_output_tokens=16)


async def probe(step: Decision, view: View) -> None:
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
        overdue = succeeded_for(record, control.clock.now()) > READY_LIMIT
        if silent or (overdue and record.state is RecordState.CREATING):
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
    await move(step, view, opened, state=RecordState.OPEN)
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
