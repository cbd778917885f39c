"""`status`, `explain` and `sessions` over the app in memory."""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.doors.cli.main import parser
from shared.doors.cli.terminal import bounds
from shared.errors import InvalidRequest, UnknownDeployment
from shared.model import BillingStart, DeploymentSpec, HostingSession, Mode, OneOffWindow, RecordState
from shared.money.cost import hosting_cost, within
from tests.fakes.clock import START
from tests.fakes.world import ACCOUNT, PRICES, World, config
from tests.unit.command_line import command

MORNING = OneOffWindow(START + timedelta(hours=1), START + timedelta(hours=3))
FOREIGN = DeploymentSpec("clauses", "gpt-4.1-mini-2025-04-14.ft-0e2c", "1", None, "GlobalStandard", 50)


async def open_record(world: World) -> bool:
    return (await world.record()).state is RecordState.OPEN


async def hosted_once() -> World:
    """Return a world after a window from one to three hours after the start."""
    world = World.of(replace(config("clauses", MORNING), cost_center="legal"))
    await world.until(lambda: open_record(world), timedelta(hours=2))
    await world.until(lambda: world.azure.names() == [], timedelta(hours=4))
    await world.tick()
    return world


# --- status ------------------------------------------------------------------------------------------


async def test_status_tells_what_is_wanted_and_why() -> None:
    """One line for each deployment: observed, wanted, next change and reason; the same as JSON."""
    world = World.of(config("clauses", MORNING), replace(config("other"), mode=Mode.OBSERVE))
    answer = await command(world, "status")
    assert answer.code == 0
    _, clauses, other, *_ = answer.out.splitlines()
    assert clauses.split()[:5] == ["clauses", "unknown", "down", "2026-11-23", "08:45"]
    assert clauses.endswith("no pass has looked at it yet; no window and no unfinished document")
    await world.app.reconcile()
    _, clauses, other, *_ = (await command(world, "status")).out.splitlines()
    assert clauses.split()[:5] == ["clauses", "absent", "down", "2026-11-23", "08:45"]
    assert clauses.endswith("  no window and no unfinished document")
    assert other.split()[:4] == ["other", "absent", "down", "(observe)"]
    shown = (await command(world, "status", "--json")).json["deployments"]
    assert [each["deployment"] for each in shown] == ["clauses", "other"]
    assert (shown[1]["mode"], shown[1]["hold"], shown[1]["differences"]) == ("observe", None, [])


async def test_status_tells_holds_documents_and_cost() -> None:
    """Its hold, its waiting documents, and the cost of its session so far."""
    world = World.of(config())
    await command(world, "up", "clauses", "--for", "5h", "--owner", "dana", "--reason", "a demo", "--wait")
    world.clock.advance(3600)
    world.upload("clauses/a.txt")
    await world.app.intake.sweep()
    (shown,) = (await command(world, "status", "--json")).json["deployments"]
    assert shown["hold"]["owner"] == "dana"
    assert shown["unfinished"] == 1
    assert shown["wanted"] == "up"
    assert shown["session"]["cost_at_least"] >= 1.70
    line = (await command(world, "status")).out.splitlines()[1]
    assert " ready " in line
    assert "held up by dana until 2026-11-23 13:00 UTC: a demo" in line


async def test_a_long_file_name_leaves_the_rows_of_documents_readable() -> None:
    """Its middle is left out, and --json has the whole."""
    world, long = World.of(config()), "a" * 450 + "b" * 446 + ".txt"
    for name in (long, "short.txt"):
        world.upload(f"clauses/{name}")
    await world.app.intake.sweep()
    out = (await command(world, "documents")).out
    assert f" {'a' * 29}…{'b' * 25}.txt " in out
    assert max(map(len, out.splitlines())) < 250
    listed = (await command(world, "documents", "--json")).json["documents"]
    assert {each["name"] for each in listed} == {long, "short.txt"}


async def test_status_and_explain_name_what_failed_and_the_command_that_lists_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the last week, also in folders without a deployment; nothing is said where nothing failed."""
    world = World.of(config(), config("other"))
    for command_line in (["status"], ["explain", "clauses"]):
        assert "documents --state failed" not in (await command(world, *command_line)).out
    for name in ("clauses/a.txt", "clauses/b.txt", "elsewhere/c.txt"):
        world.upload(name, b"GIF89a")
    await world.app.intake.sweep()
    counts = "(clauses: 2, folders of no deployment: 1)"
    line = f"{counts}: python -m shared documents --state failed --since 2026-11-16"
    assert line in (await command(world, "status")).out
    with monkeypatch.context() as typed:
        typed.setattr(sys, "orig_argv", [".venv/bin/python", "-m", "shared", "status"])
        shown = (await command(world, "status", "--settings", "my settings.json")).out
    same_way = "2026-11-16 --settings 'my settings.json'"
    assert f": .venv/bin/python -m shared documents --state failed --since {same_way}\n" in shown
    explained = (await command(world, "explain", "clauses")).out
    assert (
        "2 document(s) since 2026-11-16: python -m shared documents --state failed --deployment clauses"
        in explained
    )
    listed = await command(world, "documents", "--state", "failed", "--since", "2026-11-16")
    reasons = {line.split()[4]: line for line in listed.out.splitlines()[1:]}
    assert set(reasons) == {"a.txt", "b.txt", "c.txt"}
    assert "picture" in reasons["a.txt"] and "no deployment is called 'elsewhere'" in reasons["c.txt"]
    world.clock.advance(8 * 86400)
    assert "documents --state failed" not in (await command(world, "status")).out
    with pytest.raises(UnknownDeployment, match="no deployment is called 'nobody'"):
        await command(world, "documents", "--deployment", "nobody")


# --- explain -----------------------------------------------------------------------------------------


async def test_explain_tells_what_a_pass_would_do_now() -> None:
    """A document waits: before any pass the next step is to create, and nothing is written."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await world.app.intake.sweep()
    answer = await command(world, "explain", "CLAUSES")
    assert answer.code == 0
    assert "now          create: 1 unfinished document" in answer.out
    assert world.azure.count("put") == 0
    assert (await world.record()).state is RecordState.ABSENT


async def test_explain_tells_decisions_sessions_and_cost() -> None:
    """What happened, newest first, and what it has cost so far."""
    world = await hosted_once()
    shown = (await command(world, "explain", "clauses", "--json")).json
    actions = [each["action"] for each in shown["decisions"]]
    assert actions[-1] == "create"
    assert actions.index("serve") < actions.index("create")
    assert len(actions) <= 20
    session, month = shown["session"], shown["this_month"]
    assert session["cost_at_least"] == session["cost_at_most"] > 2 * 1.70
    assert (month["sessions"], month["cost_at_most"]) == (1, session["cost_at_most"])
    text = (await command(world, "explain", "clauses")).out
    assert f"session      {session['cost_at_most']:.2f} USD, 2026-11-23 08:45 to 2026-11-23 11:00" in text
    assert f"this month   {month['cost_at_most']:.2f} USD in 1 session(s); always on " in text
    assert "DECIDED" in text


async def test_explain_shows_how_what_exists_differs_from_the_file() -> None:
    """Somebody else's deployment of that name has another capacity; our own tags are no difference."""
    world = World.of(config())
    await world.azure.put(ACCOUNT.resource_id, FOREIGN, timeout=10)
    shown = (await command(world, "explain", "clauses", "--json")).json
    assert shown["observed"] == "foreign"
    assert shown["differences"] == ["capacity: the file says 120, Azure has 50"]
    text = (await command(world, "explain", "clauses")).out
    assert "it was not created by this installation" in text
    assert "  capacity: the file says 120, Azure has 50" in text
    ours = World.of(config())
    await command(ours, "up", "clauses", "--for", "5h", "--owner", "d", "--reason", "r", "--wait")
    shown = (await command(ours, "explain", "clauses", "--json")).json
    assert (shown["observed"], shown["differences"]) == ("ready", [])
    assert shown["azure"]["delete_after"] == "2026-11-23T20:00:00Z"


async def test_explain_tells_that_a_deployment_was_adopted() -> None:
    """It keeps its properties, and the differences from the file are shown."""
    world = World.of(replace(config(), adopt=True))
    await world.azure.put(ACCOUNT.resource_id, FOREIGN, timeout=10)
    world.clock.advance(100)
    await world.app.reconcile()
    shown = (await command(world, "explain", "clauses", "--json")).json
    assert shown["adopted"] is True
    assert "capacity: the file says 120, Azure has 50" in shown["differences"]


async def test_an_unknown_deployment_is_wrong_use() -> None:
    """With the name that was likely meant."""
    world = World.of(config())
    with pytest.raises(UnknownDeployment, match="did you mean 'clauses'"):
        await command(world, "explain", "clause")
    with pytest.raises(UnknownDeployment, match="known are clauses"):
        await command(world, "explain", "\x1b[31m")


# --- sessions ----------------------------------------------------------------------------------------


async def test_sessions_tell_finance_what_was_hosted() -> None:
    """Start, end, hours, dollars and cost centre; the cost of always-on since then, and the saving."""
    world = await hosted_once()
    world.clock.advance(10 * 3600)
    shown = (await command(world, "sessions", "--json")).json
    (row,) = shown["sessions"]
    assert (row["deployment"], row["account"], row["cost_center"]) == ("clauses", "main", "legal")
    assert (row["sku"], row["capacity"]) == ("GlobalStandard", 120)
    assert row["hours_at_least"] == row["hours_at_most"] == pytest.approx(2.25, abs=0.1)
    assert row["cost_at_most"] == pytest.approx(row["hours_at_most"] * 1.70, abs=0.1)
    totals = shown["totals"]
    since_first = (world.clock.now() - START).total_seconds() / 3600 - 0.75
    assert totals["always_on_cost"] == pytest.approx(since_first * 1.70, abs=0.1)
    assert totals["saving_at_least"] == pytest.approx(totals["always_on_cost"] - totals["cost_at_most"])
    text = (await command(world, "sessions")).out
    assert "2026-11-23 08:45" in text
    assert "always on" in text


async def test_sessions_as_csv_are_for_a_spreadsheet() -> None:
    """A header and a row a session; nothing else on standard output."""
    world = await hosted_once()
    answer = await command(world, "sessions", "--csv")
    (row,) = csv.DictReader(io.StringIO(answer.out))
    assert (row["deployment"], row["cost_center"], row["generation"]) == ("clauses", "legal", "1")
    assert row["started_at"] == "2026-11-23T08:45:00+00:00"
    assert float(row["cost_at_least"]) > 0


async def test_the_rows_of_sessions_add_up_to_the_total() -> None:
    """A minute costs 2.83 cents: three of them are 8.5 cents, and neither 8 nor 9 beside rows of 3."""
    world = World.of(config())
    ledger = world.app.context.ledger
    record = await world.record()
    for generation in (1, 2, 3):
        ended = generation + (50 / 3600 if generation < 3 else 0)
        one = session(generation, ended, ended)
        await ledger.save_session(replace(one, generation=generation, price_per_hour=1.7))
    await ledger.save(record)
    world.clock.advance(5 * 3600)
    text = (await command(world, "sessions", "--since", "2026-11-23", "--until", "2026-11-24")).out
    rows = [float(line.split()[-2]) for line in text.splitlines() if line.startswith("clauses")]
    (hosted,) = [line for line in text.splitlines() if line.startswith("hosted")]
    assert len(rows) == 3 and round(sum(rows), 4) == float(hosted.split()[-2]) == 0.0566
    hours = [float(line.split()[-3]) for line in text.splitlines() if line.startswith("clauses")]
    assert round(sum(hours), 4) == float(hosted.split()[1])
    document = (await command(world, "sessions", "--json")).json
    assert [each["cost_at_most"] for each in document["sessions"]] == rows


@pytest.mark.parametrize(("least", "most", "shown"), [(-0.0, -0.0, "0.00"), (-0.004, 0.001, "0.00")])
def test_nothing_has_no_sign(least: float, most: float, shown: str) -> None:
    """Minus nothing was saved means nothing was saved."""
    assert bounds(least, most) == shown


async def test_sessions_of_a_calendar_month_in_utc() -> None:
    """From midnight to midnight; a wrong month, and a second period beside it, are refused."""
    world = await hosted_once()
    shown = (await command(world, "sessions", "--month", "2026-11", "--json")).json
    assert (shown["since"], shown["until"]) == ("2026-11-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00")
    assert len(shown["sessions"]) == 1
    december = (await command(world, "sessions", "--month", "2026-12")).out
    assert december.startswith("2026-12-01 00:00 to 2027-01-01 00:00 UTC")
    assert "saved      0.0000 USD" in december
    with pytest.raises(InvalidRequest, match="--month names the whole period"):
        await command(world, "sessions", "--month", "2026-11", "--since", "2026-11-02")
    for nonsense in ("2026-13", "November", "2026-11-01", "9999-12"):
        with pytest.raises(SystemExit):
            parser().parse_args(["sessions", "--month", nonsense])


async def test_sessions_are_either_csv_or_json() -> None:
    """Both at once are refused, not silently reduced to one."""
    with pytest.raises(InvalidRequest, match="choose one"):
        await command(World.of(config()), "sessions", "--csv", "--json")


async def test_sessions_count_the_part_within_the_period() -> None:
    """Half an hour of the session lies in it; a period without sessions adds up to nothing."""
    world = await hosted_once()
    period = ("--since", "2026-11-23T09:00:00Z", "--until", "2026-11-23T09:30:00Z")
    (row,) = (await command(world, "sessions", "--json", *period)).json["sessions"]
    assert row["hours_at_most"] == 0.5
    assert row["cost_at_most"] == 0.85
    empty = await command(world, "sessions", "--json", "--until", "2026-11-20", "--since", "2026-11-19")
    assert empty.json["sessions"] == []
    assert empty.json["totals"]["always_on_cost"] == 0
    with pytest.raises(InvalidRequest, match="--since must come before --until"):
        await command(world, "sessions", "--since", "2026-11-23", "--until", "2026-11-22")


async def test_sessions_of_what_is_no_longer_configured_still_count() -> None:
    """Finance sees them, also by name; a name that was never configured is wrong use."""
    world = (await hosted_once()).reconfigured(config("other"))
    (row,) = (await command(world, "sessions", "--json")).json["sessions"]
    assert (row["deployment"], row["cost_center"]) == ("clauses", None)
    named = (await command(world, "sessions", "--json", "--deployment", "Clauses")).json
    assert len(named["sessions"]) == 1
    assert (await command(world, "sessions", "--json", "--deployment", "other")).json["sessions"] == []
    with pytest.raises(InvalidRequest, match="no deployment is or was called"):
        await command(world, "sessions", "--deployment", "never")


def session(started: float, after: float | None, by: float | None) -> HostingSession:
    """A session by its hours since START."""
    at = [None if hours is None else START + timedelta(hours=hours) for hours in (started, after, by)]
    assert at[0] is not None
    return HostingSession(
        ACCOUNT.resource_id, "clauses", 1, at[0], at[0], at[1], at[2], "GlobalStandard", 120, 1.0
    )


@pytest.mark.parametrize(
    ("started", "after", "by", "least", "most"),
    [
        (1, 2, 2, 1, 1),  # inside
        (-1, 2, 2, 2, 2),  # began before
        (3, 9, 9, 1, 1),  # ends after
        (-5, 9, 9, 4, 4),  # all of it
        (1, 2, 6, 1, 3),  # the end was not seen
        (-5, -1, 2, 0, 2),  # it may have ended before
        (3, None, None, 1, 1),  # still hosted
    ],
)
def test_a_session_counts_within_its_period(
    started: float, after: float | None, by: float | None, least: float, most: float
) -> None:
    """Four hours from START are asked about, an hour costs a dollar."""
    end = START + timedelta(hours=4)
    part = within(session(started, after, by), START, end)
    assert part is not None
    assert hosting_cost(part, end, PRICES) == (least, most)
    assert hosting_cost(part, end, replace(PRICES, billing_starts=BillingStart.READY)) == (least, most)


@pytest.mark.parametrize(("started", "by"), [(-3, 0), (4, 5), (9, None)])
def test_a_session_outside_its_period_does_not_count(started: float, by: float | None) -> None:
    """Periods are half-open: what ends as it begins, or begins as it ends, is another period's."""
    assert within(session(started, by, by), START, START + timedelta(hours=4)) is None
