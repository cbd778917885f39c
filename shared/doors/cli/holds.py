"""`up`, `down` and `release`: somebody wants a deployment up or down until a time."""

from __future__ import annotations

import argparse
from typing import Any

from shared.app import Lamplighter
from shared.doors.cli.arguments import Exit, WrongUse, config
from shared.doors.cli.passes import Target, wait_for
from shared.doors.cli.terminal import Terminal, clock_time, facts
from shared.model import Mode
from shared.operations import holds


async def up(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Hold a deployment up."""
    return await _hold(app, options, terminal, up=True)


async def down(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Hold a deployment down."""
    return await _hold(app, options, terminal, up=False)


async def _hold(app: Lamplighter, options: argparse.Namespace, terminal: Terminal, *, up: bool) -> Exit:
    chosen = config(app, options.deployment)
    try:
        until = holds.end_of(app.context.clock.now(), options.until, options.length)
    except ValueError as error:
        raise WrongUse(str(error)) from None
    request = holds.HoldRequest(up, until, options.owner, options.reason)
    document = await holds.hold(app, chosen, request)
    document["step"] = await app.step(chosen)
    reached = True
    if options.wait:
        target: Target = "ready" if up else "gone"
        reached, document["step"] = await wait_for(app, chosen, target, options.timeout, terminal)
        document["reached"] = reached
    terminal.show(document, _told(document))
    return Exit.OK if reached else Exit.FAILED


def _told(document: dict[str, Any]) -> list[str]:
    mode = document["mode"]
    return [
        f"{document['deployment']} is held {document['hold']} until {clock_time(document['until'])} UTC",
        *facts(
            [
                ("forecast", _forecast(document["forecast"], up=document["hold"] == "up")),
                ("by", document["owner"]),
                ("replaces", document["replaced_hold_of"] and f"the hold of {document['replaced_hold_of']}"),
                ("mode", f"{mode}: nothing is written to Azure" if mode is Mode.OBSERVE else None),
                ("now", document["step"]),
            ]
        ),
    ]


def _forecast(forecast: dict[str, Any], *, up: bool) -> str:
    rate, total = f"{forecast['price_per_hour']:.2f}", f"{forecast['cost']:.2f} {forecast['currency']}"
    cost = f"{round(forecast['hours'], 2):g} h x {rate} = {total}"
    if not up:
        return f"saves up to {cost} of its schedule; documents wait"
    anyway = round(forecast["scheduled_hours"], 2)
    return f"costs {cost}" + (f" beyond {anyway:g} h of its schedule" if anyway else "")


async def release(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """End a hold; none is no error."""
    chosen = config(app, options.deployment)
    held = await app.context.ledger.release_hold(chosen.account, chosen.name)
    step = await app.step(chosen)
    what = "is not held any more" if held else "was not held"
    terminal.show(
        {"deployment": chosen.name, "released": held, "step": step},
        [f"{chosen.name} {what}: schedule and documents count", *facts([("now", step)])],
    )
    return Exit.OK
