"""Check whether events reach their receivers: how many wait, and since when. No event is sent for this."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from shared.app import Lamplighter
from shared.errors import StorageError
from shared.notify.deliver import TOO_LONG
from shared.notify.waiting import Waiting, waiting
from shared.ports import Tables
from shared.reports.doctor.findings import Finding, minutes, ok, unchecked, warning

_CHECK = "events"


async def events(app: Lamplighter, tables: Tables, now: datetime) -> list[Finding]:
    """Return a finding for each receiver, and one for events whose receiver is configured no more."""
    configs = app.settings.deployments.values()
    try:
        found = await waiting(tables, [place for config in configs for place in app.event_places(config)])
    except StorageError as error:
        return [unchecked(_CHECK, str(error), "correct the storage first")]
    shown = {receiver.key: receiver.shown for config in configs for receiver in config.notify}
    gone = [each for key, each in found.items() if key not in shown]
    return [*(_of(name, found.get(key), now) for key, name in shown.items()), *_without_receiver(gone, now)]


def _of(name: str, found: Waiting | None, now: datetime) -> Finding:
    if found is None:
        return ok(_CHECK, f"{name}: none waits")
    age = now - found.since
    what = f"{name}: {_number(found)} wait, the oldest for {minutes(age)}"
    if age < TOO_LONG:
        return ok(_CHECK, what)
    remedy = "look for the alert events_wait in the log, which says why (docs/azure.md, Alerts)"
    return warning(_CHECK, what, remedy)


def _without_receiver(gone: list[Waiting], now: datetime) -> Iterator[Finding]:
    if gone:
        age = now - min(each.since for each in gone)
        what = f"{_number(*gone)} wait for receivers that are not configured any more, the oldest for "
        remedy = "they are not sent; they will be if the former URL is under notify again"
        yield warning(_CHECK, what + minutes(age), remedy)


def _number(*found: Waiting) -> str:
    return f"{sum(each.events for each in found)}{'+' if any(each.more for each in found) else ''}"
