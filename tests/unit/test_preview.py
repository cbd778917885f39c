"""The preview with the app's records, as HTTP answers it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from shared.doors import api
from shared.model import DeploymentSpec, OneOffWindow, UploadStart, WeeklyWindow
from shared.reports.preview import period, read_records
from tests.fakes.clock import START
from tests.fakes.records import changed
from tests.fakes.world import CLAUSES, World, config
from tests.unit.test_forecast import session

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def by_http(world: World, days: str | None = None) -> dict[str, Any]:
    reply = await api.preview(world.app, days)
    assert reply.status == 200, reply.body
    return dict(reply.body)


def one(document: dict[str, Any], name: str = "clauses") -> dict[str, Any]:
    """A deployment of the document."""
    (found,) = (each for each in document["deployments"] if each["deployment"] == name)
    return dict(found)


async def hosted(world: World, *lengths: timedelta) -> None:
    """A session on each of the last days, the latest first."""
    ledger = world.app.context.ledger
    for generation, length in enumerate(reversed(lengths), start=1):
        began = START - (len(lengths) - generation + 1) * DAY
        await ledger.save_session(session(began, length, generation))
    record = await world.record()
    await ledger.save(changed(record, number=len(lengths)))


# --- by HTTP -----------------------------------------------------------------------------------------


async def test_a_week_is_reported_with_holds_and_the_recent_past() -> None:
    """Office hours once, held up until noon; uploads as in the last 28 days; beside always-on."""
    world = World.of(config("clauses", OneOffWindow(START + 26 * HOUR, START + 34 * HOUR)))
    await hosted(world, 7 * HOUR, 7 * HOUR)
    body = json.dumps({"way": "up", "for": "4h", "owner": "dana", "reason": "demo"}).encode()
    await api.hold(world.app, "clauses", body)
    document = await by_http(world)
    assert (document["since"], document["until"]) == (START.isoformat(), (START + 7 * DAY).isoformat())
    shown = one(document)
    assert shown["hold"]["owner"] == "dana"
    assert shown["certain"] == {"hours": 12.25, "cost": pytest.approx(12.25 * 1.70)}
    assert shown["uploads"] == {"hours": 3.5, "cost": pytest.approx(5.95)}
    assert shown["uploads_told"].startswith(
        "0.50 h a day: the average of 2 session(s) outside of windows over"
    )
    assert shown["always_on"]["cost"] == pytest.approx(168 * 1.70)
    assert shown["saving_at_most"] == pytest.approx((168 - 12.25) * 1.70)
    assert shown["saving_at_least"] == pytest.approx((168 - 12.25 - 3.5) * 1.70)
    assert document["total"]["not_forecast"] == []
    assert [(each["start"], each["certain"]) for each in shown["intervals"]] == [
        (START.isoformat(), True),
        ((START + 25.75 * HOUR).isoformat(), True),
    ]
    assert "estimates" in document["notes"][0] and "tokens" in document["notes"][1]


async def test_advice_goes_by_the_records() -> None:
    """Its window was hosted yesterday and a document came in the evening only: the window is idle."""
    morning = WeeklyWindow(frozenset(range(7)), time(9), time(12), "UTC")
    world = World.of(config("clauses", morning))
    await hosted(world, 7 * HOUR)
    (tier, idle) = one(await by_http(world))["advice"]
    assert tier["name"] == "developer_tier"
    assert (idle["name"], idle["currency"]) == ("idle_window", "USD")
    assert idle["saves"] == pytest.approx(7 * 3.25 * 1.70)
    world.blobs.upload("inbox", "clauses/a.txt", b"Dear all")
    await world.until(lambda: world.results() != [], timedelta(minutes=10))
    world.clock.advance(DAY.total_seconds())
    names = [each["name"] for each in one(await by_http(world))["advice"]]
    assert names == ["developer_tier", "idle_window"], "08:00 is before the window and its lead"
    world.blobs.upload("inbox", "clauses/b.txt", b"Dear all")
    world.clock.advance(2 * 3600)
    await world.until(lambda: len(world.results()) == 2, timedelta(minutes=10))
    assert [each["name"] for each in one(await by_http(world))["advice"]] == ["developer_tier"]


async def test_what_nothing_tells_of_is_not_forecast() -> None:
    """No session, no figure: and the reader of the saving learns whose uploads are missing in it."""
    document = await by_http(World.of(config(), config("night", uploads=UploadStart.SCHEDULED)))
    assert one(document)["uploads_told"].startswith("not forecast: there was no session")
    assert one(document, "night")["uploads_told"] == "documents wait for a window"
    assert document["total"]["not_forecast"] == ["clauses"]


async def test_two_cost_centers_are_summed_each_for_itself() -> None:
    """Legal has two deployments, sales one, and the total all three."""
    window = OneOffWindow(START + HOUR, START + 2 * HOUR)
    centers = {"a": "legal", "b": "sales", "c": "legal"}
    each = (replace(config(name, window), cost_center=center) for name, center in centers.items())
    document = await by_http(World.of(*each))
    shown = {each["cost_center"]: each["certain"]["hours"] for each in document["cost_centers"]}
    assert shown == {"legal": 2.5, "sales": 1.25}
    assert document["total"]["certain"]["hours"] == 3.75
    assert document["cost_centers"][0]["not_forecast"] == ["a", "c"]


@pytest.mark.parametrize("days", ["0", "367", "-1", "1.5", "a week", "²", "9" * 30, "1e2"])
async def test_a_wrong_number_of_days_is_refused(days: str) -> None:
    """With its key and what to write."""
    reply = await api.preview(World.of(config()).app, days)
    assert reply.status == 400
    assert reply.body["error"] == "days: write a whole number from 1 to 366"


async def test_a_year_is_reported() -> None:
    """And nothing is written for it, in Azure or in storage."""
    world = World.of(config())
    document = await by_http(world, "366")
    assert one(document)["always_on"]["hours"] == 366 * 24
    assert world.azure.calls == []


async def test_an_adopted_deployment_is_forecast_at_the_sku_that_it_is_recreated_with() -> None:
    """Whatever the file says it is."""
    world = World.of(replace(config("clauses", OneOffWindow(START, START + HOUR)), adopt=True))
    adopted = DeploymentSpec("clauses", "m", "1", None, sku="DeveloperTier", capacity=1)
    await world.app.context.ledger.save(changed(await world.record(), adopted=adopted))
    shown = one(await by_http(world))
    assert (shown["sku"], shown["certain"]) == ("DeveloperTier", {"hours": 1.0, "cost": 0.0})
    assert "no DeveloperTier: it is counted as free" in (await by_http(world))["notes"][-1]


async def test_documents_are_read_as_far_as_their_number_allows() -> None:
    """When they came and were finished; of too many nothing is concluded."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await world.until(lambda: world.results() != [], timedelta(minutes=10))
    known = await read_records(world.app, world.clock.now())
    asked = known[CLAUSES].asked
    assert asked is not None and len(asked) == 2 and asked[0] < asked[1]
    assert await world.app.documents.asked("clauses", START - DAY, 0) is None


# --- the period --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "months", "until"),
    [
        ("2026-11-24T10:23:45", 1, "2026-12-24T10:23"),
        ("2026-11-24T10:23:45", 12, "2027-11-24T10:23"),
        ("2027-01-31T00:00:00", 1, "2027-02-28T00:00"),
        ("2028-01-31T00:00:00", 1, "2028-02-29T00:00"),
        ("2026-10-31T12:00:00", 1, "2026-11-30T12:00"),
        ("2026-12-30T12:00:00", 2, "2027-02-28T12:00"),
        ("2026-08-31T12:00:00", 12, "2027-08-31T12:00"),
    ],
)
def test_months_are_calendar_months(now: str, months: int, until: str) -> None:
    """To the same day, or the last one of a shorter month; from this minute on."""
    begin = datetime.fromisoformat(now).replace(tzinfo=UTC)
    since, end = period(begin, months=months)
    assert since == begin.replace(second=0)
    assert f"{end:%Y-%m-%dT%H:%M}" == until
