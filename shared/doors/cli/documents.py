"""`documents`: list documents and their state."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from shared.app import Lamplighter
from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, clock_time, shortened, table
from shared.reports.documents import DocumentsReport, read_query
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
            (each.id, each.state, clock_time(each.arrived_at), shortened(each.name), each.reason or "-")
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
