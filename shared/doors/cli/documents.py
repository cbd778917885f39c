"""`documents`: which documents there are and how they stand, as through the HTTP API."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from shared.app import Lamplighter
from shared.doors import api
from shared.doors.cli.arguments import Exit, WrongUse
from shared.doors.cli.terminal import Terminal, clock_time, table


async def documents(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """A page of documents, oldest first. Raises WrongUse with what the API answers to a wrong question."""
    since = options.since.isoformat() if options.since else None
    reply = await api.documents(app, options.deployment, since, options.state, options.after)
    if reply.status >= 400:
        raise WrongUse(reply.body["error"])
    terminal.show(reply.body, _lines(reply.body))
    return Exit.OK


def _lines(page: dict[str, Any]) -> Iterator[str]:
    if page["documents"]:
        rows = [
            (each["id"], each["state"], clock_time(each["arrived_at"]), each["name"], each["reason"] or "-")
            for each in page["documents"]
        ]
        yield from table(("ID", "STATE", "ARRIVED", "FILE", "REASON"), rows)
    else:
        yield "no documents" + (" up to here" if page["more"] else "")
    if page["more"]:
        yield from ("", f"There are more: repeat the command with --after {page['next']}")
    if page["more_folders"]:
        yield from (
            "",
            "More folders than can be looked into are no deployment's: name one with --deployment",
        )
