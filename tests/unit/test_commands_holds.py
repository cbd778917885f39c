"""`up`, `down`, `release` and `wait` over the app in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.errors import InvalidRequest, OutcomeUnknown, ProviderRefused, StorageError
from shared.model import Mode, OneOffWindow
from tests.fakes.clock import START
from tests.fakes.world import ACCOUNT, World, config
from tests.unit.command_line import command

WHY = ("--owner", "dana", "--reason", "a demo")
MORNING = OneOffWindow(START + timedelta(hours=1), START + timedelta(hours=3))


async def test_up_holds_asks_for_a_pass_and_forecasts_the_cost() -> None:
    """Two hours at 1.70: the deployment is created at once, by the same pass as the timers'."""
    world = World.of(config())
    shown = (await command(world, "up", "clauses", "--for", "2h", *WHY, "--json")).json
    assert shown["forecast"] == {
        "hours": 2.0,
        "scheduled_hours": 0.0,
        "price_per_hour": 1.70,
        "cost": 3.4,
        "currency": "USD",
    }
    assert shown["until"] == (START + timedelta(hours=2)).isoformat()
    assert shown["step"].startswith("wait: Azure is creating it")
    assert world.azure.names() == ["clauses"]
    assert (world.azure.count("put"), world.azure.count("ask")) == (1, 0)


async def test_up_until_a_time_can_wait_until_it_is_ready() -> None:
    """It returns when a request has really succeeded, and tells how it came there."""
    world = World.of(config())
    answer = await command(world, "up", "clauses", "--until", "2026-11-23T09:30:00+00:00", *WHY, "--wait")
    assert answer.code == 0
    assert "clauses is held up until 2026-11-23 09:30 UTC" in answer.out
    assert "1.5 h x 1.70 = 2.55 USD" in answer.out
    assert "now       serve: held up by dana" in answer.out
    assert "waiting for clauses to be ready: wait: Azure is creating it" in answer.err
    assert world.azure.count("ask") > 0


async def test_up_gives_up_after_its_timeout() -> None:
    """The hold stays, and exit code 1 tells that it was not ready in time."""
    world = World.of(config())
    answer = await command(world, "up", "clauses", "--for", "2h", *WHY, "--wait", "--timeout", "20s")
    assert answer.code == 1
    assert "is not ready after 0:00:20: wait: Azure is creating it" in answer.out
    assert (await world.app.context.ledger.holds(ACCOUNT.resource_id, world.clock.now()))["clauses"].up


async def test_up_stops_at_once_when_azure_refuses_for_good() -> None:
    """Without the right to list, waiting does not help."""
    world = World.of(config())
    world.azure.fail_next("list", ProviderRefused("no right to list", code="AuthorizationFailed"))
    with pytest.raises(ProviderRefused, match="no right to list"):
        await command(world, "up", "clauses", "--for", "2h", *WHY, "--wait")


async def test_up_in_observe_mode_says_that_nothing_is_written() -> None:
    """The hold is kept, and the plan shown; Azure is left alone."""
    world = World.of(replace(config(), mode=Mode.OBSERVE))
    answer = await command(world, "up", "clauses", "--for", "2h", *WHY)
    assert "mode      observe: nothing is written to Azure" in answer.out
    assert "it would create" in answer.out
    assert world.azure.count("put") == 0


async def test_a_second_hold_takes_the_place_of_the_first() -> None:
    """The answer says whose hold it replaced."""
    world = World.of(config())
    await command(world, "up", "clauses", "--for", "2h", *WHY)
    later = ("--owner", "eve", "--reason", "budget", "--json")
    shown = (await command(world, "down", "clauses", "--for", "1h", *later)).json
    assert shown["replaced_hold_of"] == "dana"
    assert shown["hold"] == "down"
    assert (await world.app.context.ledger.holds(ACCOUNT.resource_id, START))["clauses"].owner == "eve"


async def test_down_deletes_and_documents_wait_until_it_ends() -> None:
    """Nothing is lost: what arrives meanwhile is answered after the hold."""
    world = World.of(config())
    await command(world, "up", "clauses", "--for", "5h", *WHY, "--wait")
    answer = await command(world, "down", "clauses", "--for", "1h", *WHY, "--wait")
    assert answer.code == 0
    assert world.azure.names() == []
    world.upload("clauses/a.txt")
    for _ in range(30):
        await world.tick()
        world.clock.advance(60)
    assert world.azure.names() == []
    assert (await world.document("clauses/a.txt")).state == "waiting"
    await world.until(lambda: world.results() != [], timedelta(hours=1))


async def test_down_forecasts_what_the_windows_would_have_cost() -> None:
    """A window of two hours and its lead of a quarter lie in the hold; one until empty may need nothing."""
    batch = OneOffWindow(START + timedelta(hours=4), START + timedelta(hours=5), stop_when_empty=True)
    world = World.of(config("clauses", MORNING, batch))
    answer = await command(world, "down", "clauses", "--for", "8h", *WHY)
    assert "saves up to 2.25 h x 1.70 = 3.8" in answer.out
    assert "documents wait" in answer.out


async def test_down_lets_a_document_in_work_be_finished_first() -> None:
    """The fence holds for people as for timers: the answer under way is stored, then it is deleted."""
    world = World.of(config())
    world.azure.answer_seconds = 30.0
    await command(world, "up", "clauses", "--for", "5h", *WHY, "--wait")
    world.upload("clauses/a.txt")
    await world.app.intake.sweep()
    drain = asyncio.create_task(world.app.drain_backlog(50.0))
    await world.clock.sleep(5)
    answer = await command(world, "down", "clauses", "--for", "1h", *WHY, "--wait")
    await drain
    assert answer.code == 0
    assert "worker still answering" in answer.err
    assert [each.cut for each in world.azure.deleted] == [0]
    assert (await world.document("clauses/a.txt")).state == "done"


@pytest.mark.parametrize("until", ["2026-11-23T07:59:00Z", "2026-11-23", "2027-11-23"])
async def test_a_hold_ends_in_the_future_and_before_it_is_forgotten(until: str) -> None:
    """Never leak cost: a year is refused, and so is a time that is over."""
    world = World.of(config())
    with pytest.raises(InvalidRequest, match=r"\(30 days\) at the latest"):
        await command(world, "up", "clauses", "--until", until, *WHY)
    assert await world.app.context.ledger.holds(ACCOUNT.resource_id, START) == {}


async def test_release_ends_a_hold() -> None:
    """The pass that follows deletes what nothing else wants; to release nothing is no error."""
    world = World.of(config())
    await command(world, "up", "clauses", "--for", "5h", *WHY, "--wait")
    answer = await command(world, "release", "clauses")
    assert answer.code == 0
    assert "clauses is not held any more" in answer.out
    assert len(world.azure.deleted) == 1
    again = await command(world, "release", "clauses", "--json")
    assert (again.code, again.json["released"]) == (0, False)


# --- wait --------------------------------------------------------------------------------------------


async def test_wait_makes_passes_until_it_is_ready_and_then_until_it_is_gone() -> None:
    """A document wants it up; no timer runs, the wait does their passes."""
    world = World.of(config("clauses", MORNING))
    world.clock.advance(3600)
    ready = await command(world, "wait", "clauses")
    assert (ready.code, ready.out) == (0, "clauses is ready\n")
    world.clock.advance(2 * 3600)
    gone = await command(world, "wait", "clauses", "--for", "gone", "--timeout", "5m", "--json")
    assert (gone.code, gone.json["reached"]) == (0, True)
    assert world.azure.names() == []


async def test_wait_for_empty_ends_when_every_document_is_finished() -> None:
    """Timers answer the document; the wait sees it."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await world.app.intake.sweep()

    async def timers() -> None:
        for _ in range(10):
            await world.tick()
            await world.clock.sleep(30)

    running = asyncio.create_task(timers())
    answer = await command(world, "wait", "clauses", "--for", "empty")
    assert (answer.code, answer.out) == (0, "clauses is empty\n")
    assert (await world.document("clauses/a.txt")).state == "done"
    await running


async def test_wait_tells_the_reason_when_its_time_is_over() -> None:
    """Nothing wants it up: exit code 1, with that reason."""
    answer = await command(World.of(config()), "wait", "clauses", "--timeout", "1m")
    assert answer.code == 1
    assert answer.out.startswith("time-out: clauses is not ready after 0:01:00: nothing")


async def test_wait_goes_on_after_a_temporary_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage that did not respond and a list that got no answer are reported, and tried again."""
    world = World.of(config("clauses", MORNING))
    world.clock.advance(3600)
    acquire, calls = world.blobs.acquire_lease, 0

    async def flaky(container: str, name: str, seconds: int) -> str | None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise StorageError("blob storage did not answer")
        return await acquire(container, name, seconds)

    monkeypatch.setattr(world.blobs, "acquire_lease", flaky)
    world.azure.fail_next("list", OutcomeUnknown("no answer within 15 s"))
    answer = await command(world, "wait", "clauses")
    assert answer.code == 0
    assert "blob storage did not answer" in answer.err
    assert "waiting for clauses to be ready: no answer within 15 s" in answer.err


async def test_wait_for_a_foreign_deployment_to_be_gone_is_not_fooled() -> None:
    """It is somebody else's and stays: what the records never hosted is not gone."""
    world = World.of(config())
    await world.azure.put(ACCOUNT.resource_id, config().spec, timeout=10)
    answer = await command(world, "wait", "clauses", "--for", "gone", "--timeout", "30s")
    assert answer.code == 1
