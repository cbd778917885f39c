"""Doctor's limits: how far a clock may be off, how long a function may run, how old a sweep may be.

Every finding itself is tested on the local stack (tests/integration/test_doctor_*.py).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.ports import Page
from shared.reports.doctor import app as app_checks
from shared.reports.doctor import storage
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
