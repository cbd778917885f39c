"""Probe a deployment: it opens only after a request has shown that it answers, whatever Azure reports."""

from __future__ import annotations

from dataclasses import replace

from shared.alerts import Alert, alert, event
from shared.errors import (
    AccessDenied,
    DeploymentNotFound,
    ModelError,
    ServiceRefused,
)
from shared.hosting.decisions import move
from shared.hosting.observe import View
from shared.model import Backoff, DeploymentRecord, Hosted, Observed, RecordState
from shared.planning.decision import Decision
from shared.planning.estimates import with_sample
from shared.planning.generations import next_generation
from shared.planning.unanswered import not_answered


async def probe(step: Decision, view: View) -> None:
    """Send the only request that is allowed before the record is open, and record its outcome."""
    name, context = step.deployment, view.context
    try:
        await context.provider.probe(view.endpoint, name, timeout=context.timing.probe_seconds)
    except ModelError as error:
        await _not_ready(step, view, error)
    else:
        await _ready(step, view)


async def _not_ready(step: Decision, view: View, error: ModelError) -> None:
    name, now = step.deployment, view.context.clock.now()
    fields = {"account": view.account.name, "deployment": name, "code": error.code}
    event("not_ready", **fields)
    record = view.record(name)
    generation = replace(record.generation, trouble=str(error)[:500])
    probes = generation.silent_probes + 1
    match error:
        case ServiceRefused():
            # A new deployment would not answer either: this one stays as long as a window wants it.
            denied = isinstance(error, AccessDenied)
            alert(Alert.MODEL_ACCESS_DENIED if denied else Alert.MODEL_REFUSES, str(error), **fields)
            generation = not_answered(generation, since=now, now=now)
        case DeploymentNotFound() if record.state is RecordState.OPEN:
            since = generation.silent_since or now
            generation = replace(generation, silent_since=since, silent_probes=probes)
        case DeploymentNotFound():
            generation = replace(generation, silent_probes=probes, unanswered_since=None, unanswered_at=None)
        case _:
            generation = not_answered(generation, since=now, now=now)
    if record.state is not RecordState.ABSENT:
        await view.save(replace(record, generation=generation))
    await view.refresh_endpoint(view.context.timing.probe_seconds)


async def _ready(step: Decision, view: View) -> None:
    name, now = step.deployment, view.context.clock.now()
    record, generation = view.record(name), view.record(name).generation
    if record.state is RecordState.OPEN:
        if generation.silent_since is not None or generation.silent_probes:
            answering = replace(generation, silent_since=None, silent_probes=0)
            await view.save(replace(record, generation=answering))
        return
    history = record.history
    created = step.observed is Observed.SUCCEEDED and generation.intent_at != generation.created_at
    if created and generation.intent_at is not None:
        took = (now - generation.intent_at).total_seconds()
        history = replace(history, create_seconds=with_sample(history.create_seconds, took))
    if step.observed is Observed.FOREIGN:
        record, history = _used(record, view.azure[name]), history.seeing(view.azure[name])
    opened = replace(
        record,
        generation=replace(
            record.generation,
            opened_at=now,
            silent_probes=0,
            unanswered_since=None,
            unanswered_at=None,
            trouble="",
        ),
        backoff=Backoff(unanswered_runs=record.backoff.unanswered_runs),
        history=history,
    )
    await move(step, view, opened, state=RecordState.OPEN)
    await view.save_session(name)


def _used(record: DeploymentRecord, azure: Hosted) -> DeploymentRecord:
    """Return the record of another owner's deployment, which we use from now on and never change."""
    found = next_generation(
        record, owned=False, created_at=azure.created_at, sku=azure.spec.sku, capacity=azure.spec.capacity
    )
    generation = replace(
        found.generation,
        tokens_per_minute=azure.tokens_per_minute,
        requests_per_minute=azure.requests_per_minute,
        token_renewal=azure.token_renewal,
        request_renewal=azure.request_renewal,
    )
    return replace(found, generation=generation)
