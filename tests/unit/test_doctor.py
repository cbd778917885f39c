"""Doctor's limits: how far a clock may be off, how long a function may run, how old a sweep may be.

Every finding itself is tested on the local stack (tests/integration/test_doctor_*.py).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.model import Receiver, ReceiverKind
from shared.ports import Keys, Page
from shared.reports.doctor import app as app_checks
from shared.reports.doctor import storage
from shared.reports.doctor.events import events
from shared.reports.doctor.findings import Status
from tests.fakes.clock import VirtualClock
from tests.fakes.tables import MemoryTables
from tests.fakes.world import World, config


class SkewedTables(MemoryTables):
    """Tables whose server has a clock of its own."""

    skew = timedelta(0)

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        found = await super().page(table, partition, start, stop, limit)
        return replace(found, server_time=found.server_time + self.skew)


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(0, Status.OK), (5, Status.OK), (6, Status.WARNING), (-6, Status.OK), (-7, Status.WARNING)],
)
async def test_a_clock_that_is_off_is_reported(seconds: float, status: Status) -> None:
    """Five seconds are let pass; the server's Date has whole seconds, which makes six of a slow one."""
    clock = VirtualClock()
    tables = SkewedTables(clock)
    tables.skew = timedelta(seconds=seconds)
    found = await storage.tables(tables, clock)
    assert {each.check: each.status for each in found}["clock"] is status


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ('{"functionTimeout": "00:09:00"}', Status.OK),
        ('{"functionTimeout": "1.00:00:00"}', Status.OK),
        ('{"functionTimeout": "00:08:59"}', Status.FAILED),
        ("[]", Status.UNCHECKED),
    ],
)
def test_a_slice_must_fit_into_the_hosts_time_limit(content: str, status: Status, tmp_path: Path) -> None:
    """Seven minutes of draining and two of the last request."""
    path = tmp_path / "host.json"
    path.write_text(content)
    assert app_checks.function_timeout(path).status is status


def test_this_repositorys_host_json_is_in_order() -> None:
    """The one that is deployed."""
    assert app_checks.function_timeout().status is Status.OK


async def test_the_age_of_the_sweep_tells_whether_the_timers_run() -> None:
    """Never, just now, a quarter of an hour ago."""
    world = World.of(config())
    never = await app_checks.last_sweep(world.app.intake, world.clock.now())
    assert never.status is Status.WARNING
    await world.app.reconcile()
    world.clock.advance(15 * 60)
    assert (await app_checks.last_sweep(world.app.intake, world.clock.now())).status is Status.OK
    world.clock.advance(60)
    old = await app_checks.last_sweep(world.app.intake, world.clock.now())
    assert (old.status, old.what) == (Status.FAILED, "the inbox was last swept 16 min ago")


async def test_events_that_wait_are_counted_and_from_15_minutes_on_reported() -> None:
    """Of each receiver, and of one that is configured no more, however many another one has."""
    queue = Receiver(ReceiverKind.QUEUE, "https://contoso.queue.core.windows.net/answers")
    hook = Receiver(ReceiverKind.WEBHOOK, "https://hook.example/T0PS3CRET", "c2Vj" * 8)
    world = World.of(replace(config(), notify=(queue, hook)), config("terms"))
    keys = world.tables.keys

    async def found() -> list[tuple[Status, str]]:
        return [(each.status, each.what) for each in await events(world.app, world.tables, world.clock.now())]

    async def few(table: str, partition: str, start: str, stop: str, limit: int) -> Keys:
        return await keys(table, partition, start, stop, min(limit, 2))

    assert await found() == [
        (Status.OK, "queue at contoso.queue.core.windows.net/answers: none waits"),
        (Status.OK, "webhook at hook.example: none waits"),
    ]
    world.receivers.down = {queue.url}
    for number in range(3):
        world.upload(f"clauses/{number}.gif", b"GIF89a")
        await world.app.document_uploaded(f"clauses/{number}.gif")
    await world.app.deliver_events()
    world.clock.advance(14 * 60)
    name = "queue at contoso.queue.core.windows.net/answers"
    assert (await found())[0] == (Status.OK, f"{name}: 3 wait, the oldest for 14 min")
    world.clock.advance(60)
    assert [each[0] for each in await found()] == [Status.WARNING, Status.OK]
    world.tables.keys = few  # type: ignore[method-assign]
    assert (await found())[0] == (Status.WARNING, f"{name}: 2+ wait, the oldest for 15 min")
    world = world.reconfigured(replace(config(), notify=(hook,)))
    assert await found() == [
        (Status.OK, "webhook at hook.example: none waits"),
        (Status.WARNING, "2+ wait for receivers that are not configured any more, the oldest for 15 min"),
    ]
    assert all("T0PS3CRET" not in str(each) for each in await found())
