"""`sessions`: what was hosted, for how long and for how much, for finance.

Hours and costs of a row are rounded once, to four decimals, and so are sums of them: text, JSON and CSV show
the same figures, and rows add up to the total.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from shared.app import Lamplighter
from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, bounds, clock_time, money, table
from shared.errors import InvalidRequest
from shared.model import HostingSession
from shared.money.cost import always_on_cost, hosting_cost, within

_LATELY = timedelta(days=30)
_HOUR = timedelta(hours=1)
_DIGITS = 4  # a started minute costs less than a cent or a few


async def sessions(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """The sessions in [since, until), each counted with its part in it; and what always-on had cost."""
    if options.csv and terminal.as_json:
        raise InvalidRequest("--csv and --json are two forms of one answer: choose one")
    now = app.context.clock.now()
    since, until = _period(options, now)
    if since >= until:
        raise InvalidRequest("--since must come before --until")
    counted_to = min(until, now)
    found = [(account, each) async for account, each in _found(app, options.deployment)]
    parts = [(account, part) for account, each in found if (part := within(each, since, until)) is not None]
    rows = [_told(app, account, part, counted_to) for account, part in parts]
    if options.csv:
        terminal.write(_as_csv(rows))
        return Exit.OK
    totals = _totals(app, found, rows, since, counted_to)
    document = {"since": since.isoformat(), "until": until.isoformat(), "sessions": rows, "totals": totals}
    terminal.show(document, _lines(document))
    return Exit.OK


def _period(options: argparse.Namespace, now: datetime) -> tuple[datetime, datetime]:
    if options.month is None:
        return options.since or now - _LATELY, options.until or now
    if options.since or options.until:
        raise InvalidRequest("--month names the whole period: leave --since and --until out")
    since, until = options.month
    return since, until


async def _found(app: Lamplighter, only: str | None) -> Any:
    """Every session with its account's name, of deployments that are no longer configured too."""
    known = False
    for account in await app.accounts():
        configured = [
            each.name for each in app.settings.deployments.values() if each.account == account.resource_id
        ]
        names = {*configured, *await app.context.ledger.records(account.resource_id)}
        for name in sorted(names):
            if only is None or name.lower() == only.lower():
                known = True
                for session in await app.context.ledger.sessions(account.resource_id, name):
                    yield account.name, session
    if only is not None and not known:
        raise InvalidRequest(f"no deployment is or was called {only[:64]!r}")


def _told(app: Lamplighter, account: str, part: HostingSession, counted_to: datetime) -> dict[str, Any]:
    least, most = hosting_cost(part, counted_to, app.settings.prices)
    configured = app.settings.deployments.get(part.deployment)
    return {
        "account": account,
        "deployment": part.deployment,
        "cost_center": configured.cost_center if configured else None,
        "sku": part.sku,
        "capacity": part.capacity,
        "generation": part.generation,
        "started_at": _iso(part.started_at),
        "ready_at": _iso(part.ready_at),
        "ended_after": _iso(part.ended_after),
        "ended_by": _iso(part.ended_by),
        "hours_at_least": _hours(part, part.ended_after or counted_to),
        "hours_at_most": _hours(part, part.ended_by or counted_to),
        "price_per_hour": part.price_per_hour,
        "cost_at_least": _rounded(least),
        "cost_at_most": _rounded(most),
        "currency": app.settings.prices.currency,
    }


def _totals(
    app: Lamplighter,
    found: list[tuple[str, HostingSession]],
    rows: list[dict[str, Any]],
    since: datetime,
    until: datetime,
) -> dict[str, Any]:
    """Sums, and what the same deployments had cost always on, each from its first session on."""
    first: dict[tuple[str, str], HostingSession] = {}
    for account, each in found:
        first.setdefault((account, each.deployment), each)
    prices = app.settings.prices
    always_on = _rounded(sum(always_on_cost(each, since, until, prices) for each in first.values()))
    least, most = (_rounded(sum(row[f"cost_at_{bound}"] for row in rows)) for bound in ("least", "most"))
    return {
        "hours_at_least": _rounded(sum(row["hours_at_least"] for row in rows)),
        "hours_at_most": _rounded(sum(row["hours_at_most"] for row in rows)),
        "cost_at_least": least,
        "cost_at_most": most,
        "always_on_cost": always_on,
        "saving_at_least": _rounded(always_on - most),
        "saving_at_most": _rounded(always_on - least),
        "currency": prices.currency,
    }


def _as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


COLUMNS = (
    *("account", "deployment", "cost_center", "sku", "capacity", "generation"),
    *("started_at", "ready_at", "ended_after", "ended_by", "hours_at_least", "hours_at_most"),
    *("price_per_hour", "cost_at_least", "cost_at_most", "currency"),
)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    totals = document["totals"]
    yield f"{clock_time(document['since'])} to {clock_time(document['until'])} UTC"
    yield from (
        "",
        *table(
            ("DEPLOYMENT", "ACCOUNT", "COST CENTER", "SKU", "STARTED", "ENDED", "HOURS", "COST"),
            (
                (
                    row["deployment"],
                    row["account"],
                    row["cost_center"] or "-",
                    f"{row['sku']} {row['capacity']}K",
                    clock_time(row["started_at"]),
                    _end(row),
                    _hours_told(row),
                    _cost_told(row, "cost_at_least", "cost_at_most"),
                )
                for row in document["sessions"]
            ),
        ),
    )
    yield from (
        "",
        f"hosted     {_hours_told(totals)} h for {_cost_told(totals, 'cost_at_least', 'cost_at_most')}",
        f"always on  {_cost_told(totals, 'always_on_cost', 'always_on_cost')}, "
        "from each deployment's first session on",
        f"saved      {_cost_told(totals, 'saving_at_least', 'saving_at_most')} "
        "of hosting; estimates from your prices, tokens not counted",
    )


def _hours_told(figures: dict[str, Any]) -> str:
    return bounds(figures["hours_at_least"], figures["hours_at_most"], _DIGITS)


def _cost_told(figures: dict[str, Any], least: str, most: str) -> str:
    return money(figures[least], figures[most], figures["currency"], _DIGITS)


def _end(row: dict[str, Any]) -> str:
    if row["ended_by"] is None:
        return "still hosted"
    if row["ended_after"] in (None, row["ended_by"]):
        return clock_time(row["ended_by"])
    return f"{clock_time(row['ended_after'])} to {clock_time(row['ended_by'])}"


def _hours(part: HostingSession, end: datetime) -> float:
    return _rounded(max(end - part.started_at, timedelta(0)) / _HOUR)


def _rounded(figure: float) -> float:
    return round(figure, _DIGITS) + 0.0  # never minus nothing


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
