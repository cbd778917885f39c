"""keep_if_scarce: a deployment whose capacity could be lost by its delete is kept, and says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.doors import api
from shared.errors import OutcomeUnknown, ProviderRefused
from shared.model import (
    Action,
    DeploymentConfig,
    DeploymentRecord,
    Hold,
    OneOffWindow,
    Owner,
    RecordState,
)
from shared.model.azure_openai import base_model
from shared.planning.decide import SILENT_PROBES
from shared.planning.decision import Observation
from shared.planning.plan import plan
from shared.reports.status import listed
from shared.timing import TIMING
from tests.fakes.clock import START
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, World, config, hosted, picture
from tests.unit.command_line import command

KEEP = replace(config(), keep_if_scarce=True)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("gpt-4.1-mini-2025-04-14.ft-0e2c", ("gpt-4.1-mini", "2025-04-14")),
        ("gpt-35-turbo-0125.ft-0e2c-suffix", ("gpt-35-turbo", "0125")),
        ("gpt-4.1-mini", None),
        ("ftchkpt-0e2c", None),
        ("2025-04-14.ft-0e2c", None),
        ("custom.ft-0e2c", None),
    ],
)
def test_the_base_model_is_in_the_name(name: str, base: tuple[str, str] | None) -> None:
    """Azure tells capacities by base models; of what does not name its own, nothing is known."""
    assert base_model(name) == base


async def after_a_document(configured: DeploymentConfig, **azure: object) -> World:
    """An hour after the only document was answered, with the region as it is."""
    world = World.of(configured)
    for name, value in azure.items():
        setattr(world.azure, name, value)
    world.upload("clauses/a.txt")
    await world.until(lambda: bool(world.azure.asked), timedelta(minutes=10))
    for _ in range(60):
        await world.tick()
        world.clock.advance(60)
    return world


@pytest.mark.parametrize(
    ("configured", "left", "kept"), [(KEEP, 119.0, True), (KEEP, 120.0, False), (config(), 0.0, False)]
)
async def test_it_is_kept_while_the_region_has_less_than_it_would_give_back(
    configured: DeploymentConfig, left: float, kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Only if the setting says so; with the reason, the cost, and one alert for as long as it lasts."""
    world = await after_a_document(configured, left=left)
    assert (world.azure.names() == ["clauses"]) is kept
    assert world.azure.count("delete") == (not kept)
    assert caplog.text.count("capacity_scarce") == kept
    if kept:
        record = await world.record()
        assert (record.state, record.decision.action) == (RecordState.OPEN, Action.SERVE)
        assert record.decision.reason == (
            "nothing needs it, and the region has less left than the 120K that it would give back: "
            "kept at 1.70 USD an hour (keep_if_scarce)"
        )
        (shown,) = (await listed(world.app)).deployments
        assert (shown.status.want.wanted, shown.status.want.reason) == ("down", record.decision.reason)
        world.azure.left = 120.0
        await world.until(lambda: not world.azure.names(), timedelta(minutes=3))


async def test_what_is_kept_is_in_the_preview_as_far_as_its_session_may_last() -> None:
    """It may go at any time, so it is counted at most; held down it goes."""
    world = await after_a_document(KEEP, left=119.0)
    session_ends = START + KEEP.max_session - TIMING.session_margin

    async def previewed() -> dict[str, Any]:
        reply = await api.preview(world.app, "1")
        report: dict[str, Any] = reply.body
        return report

    report = await previewed()
    (clauses,) = report["deployments"]
    left = session_ends - world.clock.now()
    assert clauses["certain"]["hours"] == 0
    assert clauses["batch_at_most"]["hours"] == pytest.approx(left / HOUR, abs=0.1)
    assert clauses["kept_until"] == clauses["intervals"][0]["end"]
    assert "clauses is kept as capacity is scarce" in report["notes"][-1]
    hold = Hold("clauses", False, world.clock.now() + HOUR, "dana", "enough", world.clock.now())
    await world.app.context.ledger.save_hold(ACCOUNT.resource_id, hold)
    (clauses,) = (await previewed())["deployments"]
    assert (clauses["kept_until"], clauses["batch_at_most"]["hours"]) == (None, 0)


async def test_explain_asks_what_the_region_has_left_now() -> None:
    """`status` goes by what the last pass learned, `explain` by what Azure says to it."""
    world = await after_a_document(KEEP, left=119.0)
    world.azure.left = 120.0
    (shown,) = (await listed(world.app)).deployments
    assert "keep_if_scarce" in shown.status.want.reason
    report = (await command(world, "explain", "clauses", "--json")).json
    assert (report["reason"], report["next_step"]["action"]) == (
        "no window and no unfinished document",
        "close",
    )
    off = world.reconfigured(config())
    (shown,) = (await listed(off.app)).deployments
    assert shown.status.want.reason == "no window and no unfinished document", "the file says so no more"


@pytest.mark.parametrize("error", [ProviderRefused("403"), OutcomeUnknown("timed out")])
async def test_nothing_is_deleted_on_an_answer_that_is_not_there(error: Exception) -> None:
    """The app may not read it, or Azure does not answer: unknown is not enough."""
    world = await after_a_document(KEEP, left=119.0)
    world.azure.left = 120.0
    world.azure.fail_next("capacities", error, error)
    for _ in range(2):
        await world.tick()
        world.clock.advance(60)
    assert world.azure.count("delete") == 0
    assert "is not known" in (await world.record()).decision.reason
    await world.tick()
    assert world.azure.count("delete") == 1


async def test_a_sku_that_azure_says_nothing_of_is_kept() -> None:
    """Neither are checkpoints known, whose names do not tell the base model."""
    world = await after_a_document(replace(KEEP, spec=replace(KEEP.spec, model_name="ftchkpt-1")))
    assert world.azure.names() == ["clauses"]


async def test_what_was_adopted_is_kept_before_it_has_answered() -> None:
    """It stood before Lamplighter came: nothing was ever asked of it, and its capacity is as precious."""
    world = World.of(replace(KEEP, adopt=True))
    world.azure.left = 0.0
    await world.azure.put(ACCOUNT.resource_id, KEEP.spec, timeout=1)
    world.clock.advance(3600)
    for _ in range(30):
        await world.tick()
        world.clock.advance(60)
    assert world.azure.count("delete") == 0
    assert (await world.record()).state is RecordState.OPEN


async def test_a_person_who_holds_it_down_has_it_deleted() -> None:
    """Whoever says so knows it."""
    world = await after_a_document(KEEP, left=0.0)
    until = world.clock.now() + HOUR
    hold = Hold("clauses", False, until, "dana", "enough", world.clock.now())
    await world.app.context.ledger.save_hold(ACCOUNT.resource_id, hold)
    await world.until(lambda: not world.azure.names(), timedelta(minutes=3))


async def test_it_costs_no_more_than_its_longest_session() -> None:
    """max_session is the cap on cost, and the switch outside the app would delete it then anyway."""
    world = await after_a_document(replace(KEEP, max_session=2 * HOUR), left=0.0)
    assert world.azure.names() == ["clauses"]
    gone_at = await world.until(lambda: not world.azure.names(), 2 * HOUR)
    assert gone_at - START <= 2 * HOUR


async def test_azure_is_asked_only_where_the_answer_matters() -> None:
    """Not while a window wants it, and not of others, which go as ever."""
    window = OneOffWindow(START, START + HOUR)
    world = World.of(replace(KEEP, windows=(window,)), config("other"))
    world.upload("other/b.txt")
    for _ in range(30):
        await world.tick()
        world.clock.advance(60)
    assert world.azure.names() == ["clauses"]
    assert world.azure.count("capacities") == 0


def test_one_that_stopped_answering_is_asked_again_and_not_deleted() -> None:
    """Nobody needs it now: whether it answers can wait, its capacity cannot."""
    long_ago = START - HOUR
    record = changed(
        DeploymentRecord(ACCOUNT.resource_id, "clauses"),
        state=RecordState.OPEN,
        number=1,
        owned=True,
        created_at=long_ago,
        silent_since=long_ago,
        silent_probes=SILENT_PROBES,
    )
    steps = []
    for kept in ("scarce", ""):
        known = picture(START, KEEP, records={"clauses": record}, kept={"clauses": kept})
        seen = Observation(START, {"clauses": hosted(created_at=long_ago)}, known)
        (decision,) = plan(Owner("test", "store"), ACCOUNT, seen)
        steps.append(decision.action)
    assert steps == [Action.PROBE, Action.CLOSE]
