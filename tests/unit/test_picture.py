"""One picture of an account: every report of what is wanted, and when, agrees with the pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.doors import api
from shared.model import Account, DeploymentConfig, OneOffWindow, RecordState
from shared.operations.holds import HoldRequest, hold
from shared.planning.estimates import LEAD_SHARE, PRIOR, learned
from shared.reports.preview import period, previewed, read_records
from shared.settings.warnings import settings_warnings
from tests.fakes.clock import START
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, World, config, settings
from tests.unit.command_line import command

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
OPENS, CLOSES = START + 3 * HOUR, START + 5 * HOUR
MEASURED = (600, 660, 720)  # seconds that creating "b" took


def together(*names: str) -> list[DeploymentConfig]:
    """Deployments whose windows start together, and whose leads are learned."""
    return [
        replace(config(name, OneOffWindow(OPENS, CLOSES)), lead=None, max_session=150 * MINUTE)
        for name in names
    ]


async def reported_starts(world: World) -> dict[str, dict[str, datetime]]:
    """When the create of each deployment begins, by whom one asks."""
    app, now = world.app, world.clock.now()
    listed = (await api.deployments(app)).body["deployments"]
    explained = [(await command(world, "explain", name, "--json")).json for name in app.settings.deployments]
    by_api = [(await api.deployment(app, name)).body for name in app.settings.deployments]
    shown = (await command(world, "status", "--json")).json["deployments"]
    report = {
        source: {each["deployment"]: datetime.fromisoformat(each["next_change"]) for each in found}
        for source, found in {"api": listed, "one": by_api, "status": shown, "explain": explained}.items()
    }
    ahead = previewed(app.settings, await read_records(app, now), *period(now, days=1)).deployments
    report["preview"] = {each.deployment: each.intervals[0].start for each in ahead}
    report["hold"] = {}
    for name, one in app.settings.deployments.items():
        held = await hold(app, one, HoldRequest(False, CLOSES, "dana", "a test"))
        await app.context.ledger.release_hold(one.hosted_id)
        report["hold"][name] = CLOSES - held.forecast.hours * HOUR
    return report


async def created(world: World) -> dict[str, datetime]:
    """When passes, one a minute, create each deployment."""
    found: dict[str, datetime] = {}
    while world.clock.now() < OPENS:
        await world.tick()
        for name in world.app.settings.deployments:
            if (await world.record(name)).state is not RecordState.ABSENT:
                found.setdefault(name, world.clock.now())
        world.clock.advance(60)
    return found


async def test_all_say_when_the_pass_creates_deployments_whose_windows_start_together() -> None:
    """Creates of an account go in turn, so the first begins long before the lead that it has alone."""
    world = World.of(*together("a", "b", "c", "d"))
    await world.app.context.ledger.save(changed(await world.record("b"), create_seconds=MEASURED))
    report = await reported_starts(world)
    times = await created(world)
    assert OPENS - times["a"] > 45 * MINUTE
    for source, begins in report.items():
        for name, at in begins.items():
            assert timedelta(seconds=-1) < times[name] - at <= MINUTE, (source, name)


async def test_what_is_up_for_something_else_is_still_in_the_queue() -> None:
    """It may be deleted before its window, and created again for it: the reported times stay the same."""
    world = World.of(*together("a", "b"))
    world.upload("b/a.txt")
    await world.app.reconcile()
    (first, second) = (await api.deployments(world.app)).body["deployments"]
    assert (first["observed"], second["observed"]) == ("absent", "creating")
    alone = OPENS - PRIOR.quantile(LEAD_SHARE)
    assert datetime.fromisoformat(first["next_change"]) == alone - PRIOR.mean()
    assert (await created(world))["a"] - datetime.fromisoformat(first["next_change"]) <= MINUTE


async def test_before_a_weekend_status_knows_the_queue_of_monday() -> None:
    """However far ahead it is, and though one of them has a window before that."""
    before = OneOffWindow(START + 30 * HOUR, START + 31 * HOUR)
    monday = OneOffWindow(START + 64 * HOUR, START + 70 * HOUR)
    first, second = (replace(each, windows=(monday,)) for each in together("a", "b"))
    world = World.of(first, replace(second, windows=(before, monday)))
    now = world.clock.now()
    begins = monday.start - PRIOR.quantile(LEAD_SHARE) - PRIOR.mean()
    (report, _) = (await api.deployments(world.app)).body["deployments"]
    assert datetime.fromisoformat(report["next_change"]) == begins
    ahead = previewed(world.app.settings, await read_records(world.app, now), *period(now, days=3))
    assert ahead.deployments[0].intervals[0].start == begins


def test_validate_warns_of_the_sessions_that_the_pass_makes() -> None:
    """Without records the leads are those of the prior: 2:15 alone are enough, and in turn they are not."""
    now = START
    alone = settings(*together("a"))
    assert not [each for each in settings_warnings(alone, now) if each.key.endswith("schedule")]
    found = [
        each for each in settings_warnings(settings(*together("a", "b", "c", "d")), now)
        if each.key.endswith("schedule")
    ]  # fmt: skip
    begins = OPENS - PRIOR.quantile(LEAD_SHARE) - 3 * PRIOR.mean()
    assert found[0].key == "deployments.a.schedule"
    assert f"from {begins:%Y-%m-%d %H:%M} to {CLOSES:%Y-%m-%d %H:%M} UTC" in found[0].remedy
    assert "deployments.d.schedule" not in [each.key for each in found]


async def test_another_accounts_deployments_are_not_in_the_queue() -> None:
    """Writes go in turn on each account for itself."""
    other = Account("other", ACCOUNT.resource_id.replace("contoso", "fabrikam"), 10)
    here, there = together("a", "b")
    there = replace(there, account=other.resource_id)
    world = World.of(here, there)
    accounts = {**world.app.settings.accounts, other.resource_id: other}
    world = replace(world, app=replace(world.app, settings=replace(world.app.settings, accounts=accounts)))
    for each in (await api.deployments(world.app)).body["deployments"]:
        at = datetime.fromisoformat(each["next_change"])
        assert at == OPENS - learned([]).quantile(LEAD_SHARE)


@pytest.mark.parametrize("days", [1, 2])
async def test_the_preview_follows_each_days_own_queue(days: int) -> None:
    """A day on which one starts alone has its own lead."""
    later = OneOffWindow(OPENS + 24 * HOUR, CLOSES + 24 * HOUR)
    first, second = together("a", "b")
    world = World.of(replace(first, windows=(*first.windows, later)), second)
    now = world.clock.now()
    ahead = previewed(world.app.settings, await read_records(world.app, now), *period(now, days=days))
    starts = [each.start for each in ahead.deployments[0].intervals]
    lead, mean = PRIOR.quantile(LEAD_SHARE), PRIOR.mean()
    assert starts == [OPENS - lead - mean, later.start - lead][:days]
