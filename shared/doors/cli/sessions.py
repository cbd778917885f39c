"""`sessions`: report past hosting with hours and cost, as a table, JSON or CSV."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime, timedelta

from shared.app import Lamplighter
from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, bounds, clock_time, money, table
from shared.errors import InvalidRequest
from shared.reports.as_json import to_json
from shared.reports.sessions import DIGITS, SessionReport, SessionsReport, SessionTotals
from shared.reports.sessions import sessions as report_sessions

_LATELY = timedelta(days=30)


async def sessions(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Show the parts of sessions in [since, until), and what always-on hosting would have cost."""
    if options.csv and terminal.as_json:
        raise InvalidRequest("--csv and --json are two forms of one answer: choose one")
    since, until = _period(options, app.context.clock.now())
    if since >= until:
        raise InvalidRequest("--since must come before --until")
    report = await report_sessions(app, since, until, options.deployment)
    if options.csv:
        terminal.write(_as_csv(report.sessions))
    else:
        terminal.show(report, _lines(report))
    return Exit.OK


def _period(options: argparse.Namespace, now: datetime) -> tuple[datetime, datetime]:
    if options.month is None:
        return options.since or now - _LATELY, options.until or now
    if options.since or options.until:
        raise InvalidRequest("--month names the whole period: leave --since and --until out")
    since, until = options.month
    return since, until


def _as_csv(rows: Sequence[SessionReport]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [each.name for each in fields(SessionReport)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(to_json(row) for row in rows)
    return text.getvalue()


def _lines(report: SessionsReport) -> Iterator[str]:
    totals = report.totals
    yield f"{clock_time(report.since)} to {clock_time(report.until)} UTC"
    yield from (
        "",
        *table(
            ("DEPLOYMENT", "ACCOUNT", "COST CENTER", "SKU", "STARTED", "ENDED", "HOURS", "COST"),
            (
                (
                    row.deployment,
                    row.account,
                    row.cost_center or "-",
                    f"{row.sku} {row.capacity}K",
                    clock_time(row.started_at),
                    _end(row),
                    _hours(row),
                    _cost(row),
                )
                for row in report.sessions
            ),
        ),
    )
    always_on = money(totals.always_on_cost, totals.always_on_cost, totals.currency, DIGITS)
    saved = money(totals.saving_at_least, totals.saving_at_most, totals.currency, DIGITS)
    yield from (
        "",
        f"hosted     {_hours(totals)} h for {_cost(totals)}",
        f"always on  {always_on}, from each deployment's first session on",
        f"saved      {saved} of hosting; estimates from your prices, tokens not counted",
    )


def _hours(figures: SessionReport | SessionTotals) -> str:
    return bounds(figures.hours_at_least, figures.hours_at_most, DIGITS)


def _cost(figures: SessionReport | SessionTotals) -> str:
    return money(figures.cost_at_least, figures.cost_at_most, figures.currency, DIGITS)


def _end(row: SessionReport) -> str:
    if row.ended_by is None:
        return "still hosted"
    if row.ended_after in (None, row.ended_by):
        return clock_time(row.ended_by)
    return f"{clock_time(row.ended_after)} to {clock_time(row.ended_by)}"
