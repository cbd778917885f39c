"""`requeue`: dead letters get their next run, as through the HTTP API."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Iterator
from typing import Any

from shared.app import Lamplighter
from shared.doors import api
from shared.doors.cli.arguments import Exit, WrongUse, config
from shared.doors.cli.terminal import Terminal, table

MOST = 1000
"""Documents that one call requeues at most."""


async def requeue(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Requeue the documents named, or all of a deployment that failed; tell of each what became of it."""
    whole = options.failed and options.deployment is not None
    if bool(options.ids) == whole or (options.ids and (options.failed or options.deployment is not None)):
        raise WrongUse("name documents by their ids, or --deployment NAME --failed for all that failed")
    ids = _failed(app, options.deployment) if whole else _named(options.ids)
    told: list[dict[str, Any]] = []
    more = False
    async for each in ids:
        if sum(not one["error"] for one in told) == MOST:
            more = True
            break
        told.append(await _requeue(app, each))
    terminal.show({"documents": told, "more": more}, _lines(told, more))
    return Exit.FAILED if any(each["error"] for each in told) else Exit.OK


async def _failed(app: Lamplighter, deployment: str) -> AsyncIterator[str]:
    async for document in app.documents.failed(config(app, deployment).name):
        yield document.id


async def _named(ids: list[str]) -> AsyncIterator[str]:
    for each in ids:
        yield each


async def _requeue(app: Lamplighter, document_id: str) -> dict[str, Any]:
    """What the API tells of the document, or why it was not requeued."""
    reply = await api.requeue(app, document_id)
    if reply.status >= 400:
        return {"id": document_id, "state": None, "run": None, "error": reply.body["error"]}
    return {**reply.body, "error": None}


def _lines(told: list[dict[str, Any]], more: bool) -> Iterator[str]:
    if not told:
        yield "nothing has failed"
        return
    rows = [
        (each["id"], each["state"] or "not requeued", each["run"] or "-", each["error"] or each["reason"])
        for each in told
    ]
    yield from table(("ID", "STATE", "RUN", "REASON"), rows)
    if more:
        yield from ("", f"{MOST} documents were requeued, and more have failed: call it again")
