"""Holds: a person wants a deployment up or down until a time."""

from __future__ import annotations

from datetime import timedelta

from shared.model import Demand, Hold, OneOffWindow, RecordState
from shared.planning.desired import wanted
from tests.fakes.clock import START
from tests.fakes.world import ACCOUNT, CLAUSES, World, config


def hold(up: bool, hours: float = 1.0) -> Hold:
    return Hold("clauses", up, START + timedelta(hours=hours), "ada", "a demonstration", START)


async def test_a_hold_up_hosts_without_documents_and_expires_by_itself() -> None:
    """It is up for an hour, and deleted without any action."""
    world = World.of(config())
    await world.app.context.ledger.save_hold(ACCOUNT.resource_id, hold(up=True))
    await world.until(lambda: world.azure.names() == ["clauses"], timedelta(minutes=1))
    gone = await world.until(lambda: world.azure.names() == [], timedelta(hours=2))
    assert START + timedelta(hours=1) <= gone <= START + timedelta(hours=1, minutes=3)


async def test_a_hold_down_ends_a_window_through_the_fence() -> None:
    """A deployment in its window closes and goes, and comes back when the hold is released."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(hours=3))))
    await world.until(lambda: bool(world.azure.asked), timedelta(minutes=5))
    ledger = world.app.context.ledger
    await ledger.save_hold(ACCOUNT.resource_id, hold(up=False))
    await world.until(lambda: world.azure.names() == [], timedelta(minutes=3))
    assert await ledger.release_hold(CLAUSES)
    assert not await ledger.release_hold(CLAUSES)
    await world.until(lambda: world.azure.names() == ["clauses"], timedelta(minutes=3))
    world.clock.advance(100)
    await world.tick()
    assert (await world.record()).state is RecordState.OPEN


def test_a_hold_says_who_and_why_and_until_when() -> None:
    """The reason is shown wherever the deployment is."""
    want = wanted(config(), Demand(), START, hold(up=True))
    assert want.up
    assert want.reason == "held up by ada until 2026-11-23 09:00 UTC: a demonstration"
    assert want.changes_at == START + timedelta(hours=1)
    assert not wanted(config(), Demand(), START + timedelta(hours=1), hold(up=True)).up
