"""`cancel`: let files of records end with what is answered."""

from __future__ import annotations

import argparse
from typing import Any

from shared.app import Lamplighter
from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, table
from shared.errors import Conflict, NotFound
from shared.operations.cancel import cancel as cancel_document
from shared.reports.as_json import to_json
from shared.reports.documents import report_of


async def cancel(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Cancel the named files; show the outcome of each."""
    outcomes = [await _cancel(app, document_id) for document_id in options.ids]
    rows = [
        (each["id"], each["state"] or "not cancelled", each["error"] or each["reason"] or "it ends soon")
        for each in outcomes
    ]
    terminal.show({"documents": outcomes}, table(("ID", "STATE", "REASON"), rows))
    return Exit.FAILED if any(outcome["error"] for outcome in outcomes) else Exit.OK


async def _cancel(app: Lamplighter, document_id: str) -> dict[str, Any]:
    try:
        cancelled = await cancel_document(app, document_id)
    except (NotFound, Conflict) as refusal:
        return {"id": document_id, "state": None, "error": str(refusal)}
    return {**to_json(await report_of(app, cancelled)), "error": None}
