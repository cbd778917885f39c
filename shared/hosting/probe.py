"""The probe: a deployment is open after a request has shown that it answers, whatever Azure says of it."""

from __future__ import annotations

from dataclasses import replace

from shared.alerts import Alert, alert, event
from shared.errors import (
    AccessDenied,
    DeploymentNotFound,
    ModelError,
    RateLimited,
    RequestRefused,
    ServiceRefused,
)
from shared.hosting.decisions import move
from shared.hosting.observe import View
from shared.model import AzureDeployment, DeploymentRecord, ModelRequest, Observed, RecordState
from shared.planning import estimates
from shared.planning.decision import Decision
from shared.planning.unanswered import not_answered

PROBE = ModelRequest(system_prompt="Answer with one word.", text="ready?", max_output_tokens=16)


async def probe(step: Decision, view: View) -> None:
    """The one request that is allowed before the record is open."""
    name, context = step.deployment, view.context
    try:
        await context.model.ask(view.endpoint, name, PROBE, timeout=context.timing.probe_seconds)
    except ModelError as error:
        if not proves_it_exists(error):
            await _not_ready(step, view, error)
            return
    await _ready(step, view)


def proves_it_exists(error: ModelError) -> bool:
    """Whether an error shows that the deployment is there: it limits, or judges, what it is asked.

    A reasoning model answers a request with so few tokens with 400.
    """
    return isinstance(error, RateLimited | RequestRefused) or error.status in (400, 429)


async def _not_ready(step: Decision, view: View, error: ModelError) -> None:
    name, now = step.deployment, view.context.clock.now()
    fields = {"account": view.account.name, "deployment": name, "code": error.code}
    event("not_ready", **fields)
    record = view.record(name)
    noted = replace(record, trouble=str(error)[:500])
    match error:
        case ServiceRefused():
            # Nothing that is created anew would answer: what stands is kept as long as a window wants it.
            denied = isinstance(error, AccessDenied)
            alert(Alert.MODEL_ACCESS_DENIED if denied else Alert.MODEL_REFUSES, str(error), **fields)
            noted = not_answered(noted, since=now, now=now)
        case DeploymentNotFound() if record.state is RecordState.OPEN:
            since = record.silent_since or now
            noted = replace(noted, silent_since=since, silent_probes=record.silent_probes + 1)
        case DeploymentNotFound():
            noted = replace(noted, unanswered_since=None, unanswered_at=None)
            noted = replace(noted, silent_probes=record.silent_probes + 1)
        case _:
            noted = not_answered(noted, since=now, now=now)
    if record.state is not RecordState.ABSENT:
        await view.save(noted)
    await view.refresh_endpoint(view.context.timing.probe_seconds)


async def _ready(step: Decision, view: View) -> None:
    name, now = step.deployment, view.context.clock.now()
    record = view.record(name)
    if record.state is RecordState.OPEN:
        if record.silent_since is not None or record.silent_probes:
            await view.save(replace(record, silent_since=None, silent_probes=0))
        return
    opened = replace(
        record,
        opened_at=now,
        silent_probes=0,
        unanswered_since=None,
        unanswered_at=None,
        failures=0,
        not_before=None,
        problem="",
        trouble="",
    )
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
