"""`requeue`: give failed documents their next run."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Iterator
from typing import Any

from shared.app import Lamplighter
from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, table
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.operations.requeue import requeue as requeue_document
from shared.reports.as_json import to_json
from shared.reports.documents import report_of

MOST = 1000
"""The most documents that one call requeues."""


async def requeue(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Requeue the named documents, or all failed ones of a deployment; show the outcome of each."""
    whole = options.failed and options.deployment is not None
    if bool(options.ids) == whole or (options.ids and (options.failed or options.deployment is not None)):
        raise InvalidRequest("name documents by their ids, or --deployment NAME --failed for all that failed")
    ids = _failed(app, options.deployment) if whole else _named(options.ids)
    outcomes: list[dict[str, Any]] = []
    more = False
    async for document_id in ids:
        if sum(not outcome["error"] for outcome in outcomes) == MOST:
            more = True
            break
        outcomes.append(await _requeue(app, document_id))
    terminal.show({"documents": outcomes, "more": more}, _lines(outcomes, more))
    return Exit.FAILED if any(outcome["error"] for outcome in outcomes) else Exit.OK


async def _failed(app: Lamplighter, deployment: str) -> AsyncIterator[str]:
    async for document in app.documents.failed(app.settings.find(deployment).name):
        yield document.id


async def _named(ids: list[str]) -> AsyncIterator[str]:
    for document_id in ids:
        yield document_id


async def _requeue(app: Lamplighter, document_id: str) -> dict[str, Any]:
    """Return the document's new state, or why it was not requeued."""
    try:
        requeued = await requeue_document(app, document_id)
    except (NotFound, Conflict) as refusal:
        return {"id": document_id, "state": None, "run": None, "error": str(refusal)}
    return {**to_json(await report_of(app, requeued)), "error": None}


def _lines(outcomes: list[dict[str, Any]], more: bool) -> Iterator[str]:
    if not outcomes:
        yield "nothing has failed"
        return
    rows = [
        (each["id"], each["state"] or "not requeued", each["run"] or "-", each["error"] or each["reason"])
        for each in outcomes
    ]
    yield from table(("ID", "STATE", "RUN", "REASON"), rows)
    if more:
        yield from ("", f"{MOST} documents were requeued, and more have failed: call it again")
