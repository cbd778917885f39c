"""`up`, `down` and `release`: somebody wants a deployment up or down until a time.

Whatever schedule and documents say, a hold counts; it ends by itself. A hold down loses no document:
they wait, and work in flight ends first.
"""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from typing import Any

from shared.commands.arguments import Exit, WrongUse, hosting
from shared.commands.passes import ask_for_pass, wait_for
from shared.commands.terminal import Terminal, clock_time, facts
from shared.domain import Hold, Hosting, Mode
from shared.flow import Lamplighter
from shared.planning.adoption import to_create
from shared.planning.cost import span_cost
from shared.planning.desired import planned_lead
from shared.planning.windows import intervals

_LONGEST = timedelta(days=30)


async def up(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Hold a deployment up."""
    return await _hold(app, options, terminal, up=True)


async def down(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Hold a deployment down."""
    return await _hold(app, options, terminal, up=False)


async def _hold(app: Lamplighter, options: argparse.Namespace, terminal: Terminal, *, up: bool) -> Exit:
    chosen, now = hosting(app, options.deployment), app.control.clock.now()
    until = options.until or now + options.length
    if not now < until <= now + _LONGEST:
        raise WrongUse(f"a hold ends in the future, and within {_LONGEST.days} days: say it again later")
    ledger, way = app.control.ledger, "up" if up else "down"
    before = (await ledger.holds(chosen.account, now)).get(chosen.name)
    hold = Hold(chosen.name, up, until, options.owner, options.reason, made_at=now)
    await ledger.save_hold(chosen.account, hold)
    document: dict[str, Any] = {
        "deployment": chosen.name,
        "hold": way,
        "until": until.isoformat(),
        "owner": hold.owner,
        "replaced_hold_of": before.owner if before else None,
        "forecast": await _forecast(app, chosen, now, until, up=up),
        "mode": chosen.mode,
        "step": await ask_for_pass(app, chosen),
    }
    reached = True
    if options.wait:
        target: Any = "ready" if up else "gone"
        reached, document["step"] = await wait_for(app, chosen, target, options.timeout, terminal)
        document["reached"] = reached
    terminal.show(document, _told(document))
    return Exit.OK if reached else Exit.FAILED


async def _forecast(
    app: Lamplighter, chosen: Hosting, now: datetime, until: datetime, *, up: bool
) -> dict[str, Any]:
    """Held up: hours × price. Held down: what the windows in that time would have cost."""
    prices = app.settings.prices
    record = await app.control.ledger.record(chosen.account, chosen.name)
    sku = to_create(chosen.spec, adopt=chosen.adopt, adopted=record.adopted).sku
    price = prices.hosting_per_hour.get(sku, 0.0)
    spans = [(now, until)] if up else _scheduled(chosen, now, until)
    hours = sum((end - start) / timedelta(hours=1) for start, end in spans)
    cost = sum(span_cost(start, end, price, prices) for start, end in spans)
    return {
        "hours": round(hours, 2),
        "price_per_hour": price,
        "cost": round(cost, 4),
        "currency": prices.currency,
    }


def _scheduled(chosen: Hosting, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """When its windows would have it hosted, overlaps once; windows until empty may need none of it."""
    spans: list[tuple[datetime, datetime]] = []
    reached = since
    for each in intervals(chosen.windows, since, until, chosen.closures):
        start, end = max(each.start - planned_lead(chosen), reached), min(each.end, until)
        if start < end and not each.stop_when_empty:
            spans.append((start, end))
            reached = end
    return spans


def _told(document: dict[str, Any]) -> list[str]:
    forecast, is_up = document["forecast"], document["hold"] == "up"
    rate, total = f"{forecast['price_per_hour']:.2f}", f"{forecast['cost']:.2f} {forecast['currency']}"
    cost = f"{forecast['hours']:g} h x {rate} = {total}"
    if not is_up:
        cost = f"saves up to {cost} of its windows; documents wait"
    mode = document["mode"]
    return [
        f"{document['deployment']} is held {document['hold']} until {clock_time(document['until'])} UTC",
        *facts(
            [
                ("forecast", cost),
                ("by", document["owner"]),
                ("replaces", document["replaced_hold_of"] and f"the hold of {document['replaced_hold_of']}"),
                ("mode", f"{mode}: nothing is written to Azure" if mode is Mode.OBSERVE else None),
                ("now", document["step"]),
            ]
        ),
    ]


async def release(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """End a hold; none is no error."""
    chosen = hosting(app, options.deployment)
    held = await app.control.ledger.release_hold(chosen.account, chosen.name)
    step = await ask_for_pass(app, chosen)
    what = "is not held any more" if held else "was not held"
    terminal.show(
        {"deployment": chosen.name, "released": held, "step": step},
        [f"{chosen.name} {what}: schedule and documents count", *facts([("now", step)])],
    )
    return Exit.OK
