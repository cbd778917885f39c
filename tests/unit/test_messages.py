"""The messages that have documents answered: one for each deployment with work, safe to lose or repeat."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors import StorageError
from shared.model import DocumentState
from shared.timing import TIMING
from tests.fakes.world import World, config


async def opened(*names: str, capacity: int = 120) -> World:
    """Return a world whose deployments are open, each with three documents."""
    world = World.of(*(config(name, capacity=capacity) for name in names))
    for name in names:
        for number in range(3):
            world.upload(f"{name}/{number}.txt")
    await world.app.reconcile()
    for _ in range(len(names) + 1):
        world.clock.advance(75)
        await world.app.reconcile()
    return world


async def test_each_deployment_with_work_has_one_message() -> None:
    """They name what is open and has documents; what is answered is not named again."""
    world = await opened("aaa", "bbb")
    assert await world.app.due() == ["aaa", "bbb"]
    assert not await world.app.drain("aaa", 50)
    assert await world.app.due() == ["bbb"]
    assert [world.azure.asked.count(text) for text in ("ready?", "some text")] == [2, 3]


async def test_nothing_is_due_before_it_is_paid_for() -> None:
    """Passes create; a create that is too young to be ready would keep a worker busy with polling."""
    world = World.of(config())
    world.azure.provision_seconds = 600
    world.upload("clauses/a.txt")
    await world.app.reconcile()
    assert (await world.app.due(), world.azure.count("put")) == ([], 1)
    world.clock.advance(45)
    assert await world.app.due() == ["clauses"]  # it may be ready before the next tick


async def test_a_deployment_with_a_worker_is_not_due() -> None:
    """Its message would only find the lease held. A repeated message does that, and does no harm."""
    world = await opened("clauses", capacity=6)
    first = asyncio.create_task(world.app.drain("clauses", 50))
    await world.clock.sleep(5)
    assert await world.app.due() == []
    before = world.clock.monotonic()
    assert not await world.app.drain("clauses", 50)
    assert world.clock.monotonic() - before < 1
    await first
    assert world.azure.asked.count("some text") == 3


async def test_a_dead_worker_is_replaced_before_its_lease_expires() -> None:
    """The fence waits 240 s for it. A message need not: a living worker renews its lease every 80 s."""
    world = await opened("clauses")
    await world.worker().enter()
    world.clock.advance(TIMING.work_renewal_seconds + 15)
    assert await world.app.due() == []
    world.clock.advance(TIMING.work_renewal_seconds / 2 - 10)
    assert await world.app.due() == ["clauses"]
    assert not await world.app.drain("clauses", 50)
    assert world.azure.asked.count("some text") == 3


async def test_what_a_slice_has_no_time_for_has_a_message_at_once() -> None:
    """One request in ten seconds is admitted: a slice of 15 s leaves one, and no tick is waited for."""
    world = await opened("clauses", capacity=6)
    assert await world.app.drain("clauses", 15)
    assert await world.app.drain("clauses", 15) is False
    states = {(await world.document(f"clauses/{number}.txt")).state for number in range(3)}
    assert states == {DocumentState.DONE}


@pytest.mark.parametrize("text", ["", "nobody", "\ufffd\x00", "a" * 60_000, "../clauses", "CLAUSES"])
async def test_a_message_that_names_no_deployment_does_nothing(text: str) -> None:
    """Whoever may write to the queue can write anything."""
    world = await opened("clauses")
    asked = list(world.azure.asked)
    assert not await world.app.drain(text, 50)
    assert world.azure.asked == asked


async def test_a_slice_that_fails_is_an_alert_and_no_failed_message(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next tick puts a message again: a failed one would be repeated meanwhile, and then be poison."""
    world = await opened("clauses")

    async def broken(*_: object) -> None:
        raise StorageError("table storage did not answer")

    with monkeypatch.context() as patched:
        patched.setattr("shared.serve.drain", broken)
        assert not await world.app.drain("clauses", 50)
    assert "drain_failed" in caplog.text and "table storage did not answer" in caplog.text
    assert await world.app.due() == ["clauses"]


async def test_what_cannot_be_read_does_not_hide_the_others(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One deployment's rows cannot be read: it has an alert, and the other its message."""
    world = await opened("aaa", "bbb")
    has_unfinished = world.app.documents.has_unfinished

    async def flaky(deployment: str) -> bool:
        if deployment == "aaa":
            raise StorageError("table storage did not answer")
        return await has_unfinished(deployment)

    monkeypatch.setattr(type(world.app.documents), "has_unfinished", staticmethod(flaky))
    assert await world.app.due() == ["bbb"]
    assert "drain_failed" in caplog.text
