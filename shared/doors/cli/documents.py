"""`documents`: list documents and their state."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from shared.app import Lamplighter
from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, clock_time, shortened, table
from shared.reports.documents import DocumentReport, DocumentsReport, read_query
from shared.reports.documents import documents as list_documents


async def documents(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Show a page of documents, oldest first. Raises InvalidRequest and UnknownDeployment."""
    since = options.since.isoformat() if options.since else None
    query = read_query(app, options.deployment, since, options.state, options.after)
    report = await list_documents(app, query)
    terminal.show(report, _lines(report))
    return Exit.OK


def _lines(page: DocumentsReport) -> Iterator[str]:
    if page.documents:
        rows = [
            (each.id, each.state, clock_time(each.arrived_at), shortened(each.name), _why(each) or "-")
            for each in page.documents
        ]
        yield from table(("ID", "STATE", "ARRIVED", "FILE", "REASON"), rows)
    else:
        yield "no documents" + (" up to here" if page.more else "")
    if page.more:
        yield from ("", f"There are more: repeat the command with --after {page.next}")
    if page.more_folders:
        yield from (
            "",
            "More folders than can be looked into are no deployment's: name one with --deployment",
        )


def _why(document: DocumentReport) -> str:
    """Return the reason of its state; of a file of records also how far it is."""
    records = document.records
    if records is None or document.finished_at is not None:
        return document.reason
    said = f"{records.answered + records.failed:,} of {records.total:,} records"
    if records.per_minute is not None and records.seconds_left is not None:
        said += f", {records.per_minute:,.0f} a minute, {max(1, records.seconds_left // 60):,} min left"
    return f"{said}; {document.reason}" if document.reason else said
