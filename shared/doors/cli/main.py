"""The command line for cron, pipelines and people.

It acts through the same loop, leases and records as the functions, so both may run at the same time.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import sys
import textwrap
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from shared.doors.cli.about import ABOUT
from shared.doors.cli.arguments import Parser, apply_values, count, duration, instant, month, note, path
from shared.doors.cli.cancel import cancel
from shared.doors.cli.doctor import doctor
from shared.doors.cli.documents import documents
from shared.doors.cli.exits import Exit, failure
from shared.doors.cli.holds import down, release, up
from shared.doors.cli.passes import reconcile, wait
from shared.doors.cli.preview import preview
from shared.doors.cli.requeue import requeue
from shared.doors.cli.sessions import sessions
from shared.doors.cli.state import explain, status
from shared.doors.cli.submit import submit
from shared.doors.cli.terminal import AlertLines, OutputClosed, Terminal
from shared.doors.cli.validate import validate
from shared.errors import LamplighterError
from shared.model import DocumentState
from shared.reports.preview import MOST_DAYS, USUAL_DAYS
from shared.version import VERSION

INTERRUPTED, PIPE_CLOSED = 130, 141  # as shells count signals: 128 and SIGINT, SIGPIPE
_WIDTH = 79  # characters of a line of --help
_EXIT_CODES = """\
exit codes: 0 it holds, or is done
            1 what was asked for did not come to hold, or part of it failed;
              status, explain: an account cannot be read
            2 wrong use, or a configuration that cannot be used

Settings come from the environment, as in the app, or from the Values of --settings FILE.
"""


def parser() -> argparse.ArgumentParser:
    """Every command with its arguments; `run` is the function that carries it out."""
    common = Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="one JSON document on standard output")
    common.add_argument(
        "--settings", type=path, metavar="FILE", help="app settings, as in local.settings.json"
    )
    patient = Parser(add_help=False)
    patient.add_argument(
        "--timeout",
        type=duration,
        default=duration("30m"),
        metavar="DURATION",
        help="how long to wait at most (30m)",
    )
    one = Parser(add_help=False)
    one.add_argument("deployment", metavar="DEPLOYMENT", help="a name from deployments.yaml")

    top = Parser(
        prog="lamplighter" if Path(sys.argv[0]).stem == "lamplighter" else "python -m shared",
        description=__doc__,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"lamplighter {VERSION}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, what: str, *parents: Parser) -> argparse.ArgumentParser:
        does, example = ABOUT[name]
        return commands.add_parser(
            name,
            help=what,
            description=textwrap.fill(f"{what[0].upper()}{what[1:]}. {does}", _WIDTH),
            parents=[*parents, common],
            epilog=f"example:\n  {top.prog} {name} {example}".rstrip() + f"\n\n{_EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    each = add("validate", "check deployments.yaml without touching Azure")
    each.add_argument(
        "file", nargs="?", type=path, metavar="FILE", help="DEPLOYMENTS_FILE, or deployments.yaml"
    )
    each.add_argument(
        "--training", type=path, metavar="JSONL", help="warn if the task differs from this training file"
    )
    each.add_argument("--deployment", metavar="NAME", help="the one that --training is about")

    each = add("preview", "the coming days by schedule and hold, and what they cost against always-on")
    length = each.add_mutually_exclusive_group()
    length.add_argument("--days", type=count(MOST_DAYS), metavar="N", help=f"({USUAL_DAYS})")
    length.add_argument("--months", type=count(12), metavar="N", help="12 at most")
    each.add_argument("--deployment", metavar="NAME", help="only this one")
    each.add_argument(
        "--diff", type=path, metavar="OLD.yaml", help="what the file in force changes against this one"
    )

    add("status", "every deployment: observed, wanted, why, next change").set_defaults(run=status)
    add("explain", "one deployment: what happens now and why", one).set_defaults(run=explain)

    for name, hold in (("up", up), ("down", down)):
        each = add(name, f"hold a deployment {name} until a time", one, patient)
        end = each.add_mutually_exclusive_group(required=True)
        end.add_argument("--until", type=instant, metavar="TIME", help="date or ISO time with zone")
        end.add_argument("--for", dest="length", type=duration, metavar="DURATION", help="such as 90m")
        each.add_argument("--owner", type=note, required=True, metavar="NAME", help="who answers for it")
        each.add_argument("--reason", type=note, required=True, metavar="TEXT", help="what for")
        state = "ready" if name == "up" else "gone"
        each.add_argument("--wait", action="store_true", help=f"until it is {state}")
        each.set_defaults(run=hold)
    add("release", "end a hold before its time", one).set_defaults(run=release)

    each = add(
        "wait", "make passes until a deployment is ready, gone, or has nothing unfinished", one, patient
    )
    each.add_argument("--for", dest="target", choices=("ready", "gone", "empty"), default="ready")
    each.set_defaults(run=wait)

    each = add("reconcile", "one sweep of the inbox and one pass over every account")
    each.add_argument("--drain", action="store_true", help="then answer what waits, for a slice")
    each.set_defaults(run=reconcile)

    each = add("submit", "hand documents in, as through the HTTP API", one, patient)
    each.add_argument("files", nargs="+", type=path, metavar="FILE")
    each.add_argument("--wait", action="store_true", help="drive the deployment until all are finished")
    each.add_argument("--out", type=path, metavar="FOLDER", help="wait, and write FOLDER/FILE.json")
    each.set_defaults(run=submit)

    each = add("documents", "documents by arrival, and why they wait or failed")
    each.add_argument("--state", choices=[state.value for state in DocumentState], help="only these")
    each.add_argument("--deployment", metavar="NAME", help="only this one's, or this folder's")
    each.add_argument(
        "--since",
        type=instant,
        metavar="TIME",
        help="of arrival: date or ISO time (a day ago; all with --state failed, waiting or claimed)",
    )
    each.add_argument("--after", metavar="PLACE", help="go on where the last page ended")
    each.set_defaults(run=documents)

    each = add("requeue", "give documents that failed their next run")
    each.add_argument("ids", nargs="*", metavar="ID", help="as `documents` shows them")
    each.add_argument("--deployment", metavar="NAME", help="with --failed: whose documents")
    each.add_argument("--failed", action="store_true", help="all that failed, oldest first")
    each.set_defaults(run=requeue)

    each = add("cancel", "let files of records end with what is answered")
    each.add_argument("ids", nargs="+", metavar="ID", help="as `documents` shows them")
    each.set_defaults(run=cancel)

    each = add("sessions", "what was hosted and what it cost, for finance")
    each.add_argument("--deployment", metavar="NAME", help="only this one")
    each.add_argument("--since", type=instant, metavar="TIME", help="date or ISO time (30 days ago)")
    each.add_argument("--until", type=instant, metavar="TIME", help="date or ISO time, not included (now)")
    each.add_argument(
        "--month", type=month, metavar="YYYY-MM", help="instead of both: that calendar month, in UTC"
    )
    each.add_argument("--csv", action="store_true", help="the sessions as CSV")
    each.set_defaults(run=sessions)

    add("doctor", "check a live set-up from here, each finding with its remedy")
    return top


def main(arguments: Sequence[str] | None = None, environment: MutableMapping[str, str] = os.environ) -> int:
    """Carry out one command; its exit code."""
    options = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the console's encoding lacks
    terminal = Terminal(sys.stdout, sys.stderr, as_json=options.json)
    lines, log = AlertLines(terminal), logging.getLogger("lamplighter")
    log.addHandler(lines)
    log.propagate = False
    try:
        if options.settings is not None:
            # Into the environment itself: azure-identity reads AZURE_CLIENT_ID from there.
            apply_values(options.settings, environment)
        return int(asyncio.run(_carry_out(options, terminal, environment)))
    except LamplighterError as error:
        failed = failure(error)
        if terminal.as_json:
            terminal.show(failed.document, [])
        else:
            for line in failed.lines:
                terminal.tell(line)
        return int(failed.code)
    except OutputClosed:
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        log.removeHandler(lines)
        log.propagate = True


async def _carry_out(options: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> Exit:
    if options.command == "validate":
        return validate(options, terminal, environment)
    if options.command == "preview":
        return await preview(options, terminal, environment, datetime.now(UTC))
    if options.command == "doctor":
        return await doctor(terminal, environment)
    from shared.wiring import App  # it brings the SDKs, which --help and validate do without

    app = App(environment)
    try:
        return Exit(await options.run(await app.current(), options, terminal))
    finally:
        await app.close()
