"""A dry run tells what a pass would decide, and writes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.hosting.dry_run import DryRun
from shared.model import Action, Hold, Hosted
from tests.fakes.azure import renamed
from tests.fakes.clock import START
from tests.fakes.world import ACCOUNT, World, config
from tests.unit.command_line import command

WHY = ("--owner", "dana", "--reason", "a demo")


async def dry_run(world: World) -> DryRun:
    """The dry run of the one account; it must not write."""
    calls = [call for call in world.azure.calls if call[0] in ("put", "delete", "ask")]
    record = await world.record()
    seen = await world.app.dry_run(ACCOUNT)
    assert [call for call in world.azure.calls if call[0] in ("put", "delete", "ask")] == calls
    assert await world.record() == record
    return seen


async def test_a_hold_counts() -> None:
    """Made a moment ago, before any pass: the next one creates."""
    world = World.of(config())
    assert (await dry_run(world)).decisions["clauses"].action is Action.NOTHING
    hold = Hold("clauses", True, START + timedelta(hours=1), "dana", "a demo", START)
    await world.app.context.ledger.save_hold(ACCOUNT.resource_id, hold)
    decision = (await dry_run(world)).decisions["clauses"]
    assert (decision.action, decision.reason) == (
        Action.CREATE,
        "held up by dana until 2026-11-23 09:00 UTC: a demo",
    )


async def test_work_in_flight_counts() -> None:
    """A worker answers still: the closed deployment waits for it, then it would be deleted."""
    world = World.of(config())
    await command(world, "up", "clauses", "--for", "5h", *WHY, "--wait")
    work = world.worker()
    await work.enter()
    await command(world, "release", "clauses")
    decision = (await dry_run(world)).decisions["clauses"]
    assert decision.action is Action.WAIT
    assert decision.reason.startswith("1 worker still answering")
    await work.leave()
    assert (await dry_run(world)).decisions["clauses"].action is Action.DELETE


async def test_azure_may_write_a_name_in_another_case() -> None:
    """It is the same deployment to Azure, and to us."""
    world = World.of(config())
    await world.azure.put(ACCOUNT.resource_id, renamed(config().spec, "Clauses"), timeout=10)
    seen = await dry_run(world)
    assert isinstance(seen.azure["clauses"], Hosted)
    assert seen.decisions["clauses"].observed == "foreign"
    adopting = world.reconfigured(replace(config(), adopt=True))
    assert (await dry_run(adopting)).decisions["clauses"].action is Action.ADOPT
