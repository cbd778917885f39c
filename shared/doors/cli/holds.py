"""`up`, `down` and `release`: hold a deployment up or down until a time."""

from __future__ import annotations

import argparse

from shared.app import Lamplighter
from shared.doors.cli.exits import Exit
from shared.doors.cli.passes import Target, wait_for
from shared.doors.cli.terminal import Terminal, clock_time, facts
from shared.errors import InvalidRequest
from shared.model import Mode
from shared.money.hold_forecast import HoldForecast
from shared.operations import holds
from shared.reports.as_json import to_json


async def up(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Hold a deployment up."""
    return await _hold(app, options, terminal, up=True)


async def down(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Hold a deployment down."""
    return await _hold(app, options, terminal, up=False)


async def _hold(app: Lamplighter, options: argparse.Namespace, terminal: Terminal, *, up: bool) -> Exit:
    config = app.settings.find(options.deployment)
    try:
        until = holds.end_of(app.context.clock.now(), options.until, options.length)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    request = holds.HoldRequest(up, until, options.owner, options.reason)
    held = await holds.hold(app, config, request)
    step = await app.step(config)
    reached, answer = True, to_json(held)
    if options.wait:
        target: Target = "ready" if up else "gone"
        reached, step = await wait_for(app, config, target, options.timeout, terminal)
    answer |= {"step": step} | ({"reached": reached} if options.wait else {})
    terminal.show(answer, _lines(held, step))
    return Exit.OK if reached else Exit.FAILED


def _lines(held: holds.Held, step: str) -> list[str]:
    replaces = held.replaced_hold_of
    return [
        f"{held.deployment} is held {held.hold} until {clock_time(held.until)} UTC",
        *facts(
            [
                ("forecast", _forecast(held.forecast, up=held.hold == "up")),
                ("by", held.owner),
                ("replaces", f"the hold of {replaces}" if replaces else None),
                (
                    "mode",
                    f"{held.mode}: nothing is written to Azure" if held.mode is Mode.OBSERVE else None,
                ),
                ("now", step),
            ]
        ),
    ]


def _forecast(forecast: HoldForecast, *, up: bool) -> str:
    rate, total = f"{forecast.price_per_hour:.2f}", f"{forecast.cost:.2f} {forecast.currency}"
    cost = f"{round(forecast.hours, 2):g} h x {rate} = {total}"
    if not up:
        return f"saves up to {cost} of its schedule; documents wait"
    anyway = round(forecast.scheduled_hours, 2)
    return f"costs {cost}" + (f" beyond {anyway:g} h of its schedule" if anyway else "")


async def release(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """End a hold; it is no error if there is none."""
    config = app.settings.find(options.deployment)
    released = await holds.release(app, config)
    step = await app.step(config)
    what = "is not held any more" if released.released else "was not held"
    terminal.show(
        to_json(released) | {"step": step},
        [f"{config.name} {what}: schedule and documents count", *facts([("now", step)])],
    )
    return Exit.OK
