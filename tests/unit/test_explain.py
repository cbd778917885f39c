"""`GET /api/deployments/{deployment}`, and what `explain` adds to this document from the records."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.doors import api
from shared.doors.cli.exits import Exit
from shared.errors import OutcomeUnknown, ProviderBusy, ProviderRefused
from shared.model import (
    Account,
    DeploymentSpec,
    Hosted,
    HostingSession,
    Mode,
    OneOffWindow,
    RecordState,
)
from shared.timing import TIMING
from tests.fakes.azure import renamed
from tests.fakes.clock import START
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, World, config
from tests.unit.command_line import command

WHY = ("--owner", "dana", "--reason", "a demo")
HOUR = timedelta(hours=1)


async def explained(world: World, name: str = "clauses") -> dict[str, Any]:
    """Return what HTTP answers; it must neither call Azure nor write."""
    calls, record = list(world.azure.calls), await world.record(name)
    reply = await api.deployment(world.app, name)
    assert (world.azure.calls, await world.record(name)) == (calls, record)
    assert reply.status == 200, reply.body
    shown: dict[str, Any] = reply.body
    return shown


async def waiting(world: World, *names: str) -> None:
    """Let a document wait for each of these deployments, and make a pass."""
    for name in names:
        world.upload(f"{name}/a.txt")
    await world.app.reconcile()


async def test_an_unknown_name_is_not_found_with_a_hint() -> None:
    """The likely name, or all names; the case of a name does not matter."""
    world = World.of(config())
    reply = await api.deployment(world.app, "clausse")
    assert reply.status == 404
    assert reply.body["error"] == "no deployment is called 'clausse': did you mean 'clauses'?"
    assert "known are clauses" in (await api.deployment(world.app, "nothing like it")).body["error"]
    assert (await explained(world, "CLAUSES"))["deployment"] == "clauses"


async def test_before_any_pass_it_says_what_is_wanted() -> None:
    """Azure was not read yet, so its state is not known; a window is ahead."""
    window = OneOffWindow(START + HOUR, START + 3 * HOUR)
    shown = await explained(World.of(config("clauses", window)))
    assert (shown["wanted"], shown["reason"]) == ("down", "no window and no unfinished document")
    assert shown["next_change"] == (START + timedelta(minutes=45)).isoformat()
    assert (shown["observed"], shown["observed_at"]) == ("unknown", None)
    assert (shown["observed_reason"], shown["last_seen"]) == ("no pass has looked at it yet", None)
    assert shown["account_problem"] is None
    assert shown["next_step"] == {"action": "nothing", "reason": None, "again_at": None}
    assert (shown["blocked"], shown["session"], shown["oldest_unfinished"]) == (None, None, None)
    assert shown["decisions"] == []


async def test_an_account_that_cannot_be_read_is_unknown_and_not_absent() -> None:
    """It shows Azure's error, remedy and time, and the last seen state, until a pass can read it."""
    world = World.of(config("clauses", OneOffWindow(START, START + HOUR)))
    ledger = world.app.context.ledger
    for _ in range(3):
        await world.tick()
        world.clock.advance(60)
    refused = "Azure answered 403 AuthorizationFailed (account contoso): no right. Remedy: grant it"
    known = await ledger.account(ACCOUNT.resource_id)
    assert known.listed_at is not None
    seen_at = known.listed_at
    await ledger.save_account(replace(known, problem=refused, problem_at=world.clock.now()))

    (in_list,), (account,) = await listing(world)
    for shown in (await explained(world), in_list):
        assert shown["observed"] == "unknown"
        assert shown["observed_reason"] == f"the account cannot be read: {refused}"
        assert shown["account_problem"] == {"problem": refused, "at": world.clock.now().isoformat()}
        assert shown["last_seen"] == {"observed": "ready", "at": seen_at.isoformat()}
    assert (account["account"], account["read_at"]) == ("main", seen_at.isoformat())
    assert account["account_problem"]["problem"] == refused
    assert (await explained(world))["blocked"] == "no step is taken while the account cannot be read"

    status = await command(world, "status")
    assert status.code == Exit.FAILED
    line = status.out.splitlines()[1]
    assert " unknown " in line
    assert line.endswith("its account cannot be read; last seen: ready at 2026-11-23 08:02")
    (shown,) = (each for each in status.out.splitlines() if each.startswith("The account main could not be"))
    assert shown.endswith(f": {refused}. It was last read at 2026-11-23 08:02.")

    known = await ledger.account(ACCOUNT.resource_id)
    await ledger.save_account(replace(known, listed_at=world.clock.now() + timedelta(minutes=1)))
    (in_list,), (account,) = await listing(world)
    assert (in_list["observed"], in_list["last_seen"], account["account_problem"]) == ("ready", None, None)
    assert (await command(world, "status")).code == Exit.OK


async def test_explain_that_azure_does_not_answer_ends_with_1() -> None:
    """The LIST of the command counts, not that of the last pass, whether it fails or works."""
    world = World.of(config())
    await waiting(world, "clauses")
    world.azure.fail_next(
        "list", ProviderRefused("no right to list. Remedy: grant it", code="AuthorizationFailed")
    )
    answer = await command(world, "explain", "clauses")
    assert answer.code == Exit.FAILED
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert "because the account cannot be read: no right to list. Remedy: grant it" in lines
    assert "last seen creating at 2026-11-23 08:00" in lines
    world.azure.fail_next("list", OutcomeUnknown("no answer"))
    shown = (await command(world, "explain", "clauses", "--json")).json
    assert (shown["observed"], shown["azure"], shown["azure_problem"]) == ("unknown", None, "no answer")
    assert shown["account_problem"] == {"problem": "no answer", "at": world.clock.now().isoformat()}
    assert shown["blocked"] == "no step is taken while the account cannot be read"

    known = await world.app.context.ledger.account(ACCOUNT.resource_id)
    failed = replace(known, problem="no endpoint", problem_at=world.clock.now())
    await world.app.context.ledger.save_account(failed)
    answer = await command(world, "explain", "clauses")
    assert answer.code == Exit.OK
    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert "last pass it could not read the account at 2026-11-23 08:00: no endpoint" in lines
    assert "observed creating (Accepted)" in lines


async def listing(world: World) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Deployments and accounts as `GET /api/deployments` has them."""
    body = (await api.deployments(world.app)).body
    return body["deployments"], body["accounts"]


async def test_unfinished_documents_and_the_age_of_the_oldest() -> None:
    """Counted from its arrival."""
    world = World.of(config(mode=Mode.OBSERVE))
    await waiting(world, "clauses")
    world.clock.advance(90)
    world.upload("clauses/b.txt")
    await world.app.reconcile()
    shown = await explained(world)
    assert (shown["unfinished"], shown["unfinished_more"]) == (2, False)
    assert shown["oldest_unfinished"] == {"arrived_at": START.isoformat(), "age_seconds": 90.0}
    assert "oldest for 0:01:30" in (await command(world, "explain", "clauses")).out


# --- what blocks the next step -----------------------------------------------------------------------


async def test_backoff_with_its_time_and_the_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once after the refusal, and in the passes after it."""
    world = World.of(config())

    async def refuse(account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        world.clock.advance(1)  # so that this pass's LIST proves nothing of it
        raise ProviderRefused("no quota in this region", code="InsufficientQuota")

    monkeypatch.setattr(world.azure, "put", refuse)
    await waiting(world, "clauses")
    shown = await explained(world)
    assert (shown["next_step"]["action"], shown["blocked"]) == ("create", "no quota in this region")
    at_first = shown["next_step"]["again_at"]
    world.clock.advance(5)
    await world.app.reconcile()
    shown = await explained(world)
    assert shown["next_step"]["action"] == "wait"
    assert shown["blocked"] == "the last try to host it failed: no quota in this region"
    assert shown["problem"] == "no quota in this region"
    assert shown["next_step"]["again_at"] == at_first
    assert at_first > (START + timedelta(seconds=30)).isoformat()


async def test_quarantine_after_a_write_whose_outcome_is_unknown() -> None:
    """With the time after which a LIST proves that it had no effect."""
    world = World.of(config())
    world.azure.fail_next("put", OutcomeUnknown("no answer"))
    await waiting(world, "clauses")
    shown = await explained(world)
    assert "late news" in shown["blocked"]
    assert shown["next_step"]["again_at"] == (START + TIMING.quarantine + TIMING.settle).isoformat()


async def test_slots_that_are_taken_and_then_another_reason() -> None:
    """It says what blocked the last pass, even where the decision is the same wait."""
    world = World.of(config(), config("other"))
    account = replace(ACCOUNT, fine_tuned_slots=1)
    world = _with_account(world, account)
    await waiting(world, "other")
    await waiting(world, "clauses")
    assert "slots for fine-tuned models are taken" in (await explained(world))["blocked"]
    rows = len((await explained(world))["decisions"])
    for _ in range(100):
        if "other" not in world.azure.names():
            break
        await world.tick()
        world.clock.advance(3)
    await world.app.reconcile()
    shown = await explained(world)
    assert "pause between a delete and a create" in shown["blocked"]
    deleted_at = (await world.record("other")).generation.deleted_at
    assert deleted_at is not None
    assert shown["next_step"]["again_at"] == (deleted_at + TIMING.after_delete).isoformat()
    assert len(shown["decisions"]) == rows, "the same decision: no row of its own"


def _with_account(world: World, account: Account) -> World:
    settings = replace(world.app.settings, accounts={account.resource_id: account})
    return replace(world, app=replace(world.app, settings=settings))


async def test_a_worker_that_still_answers() -> None:
    """Nobody needs the deployment any more, but a request is in flight."""
    world = World.of(config())
    await command(world, "up", "clauses", "--for", "5h", *WHY, "--wait")
    work = world.worker()
    await work.enter()
    await command(world, "release", "clauses")
    assert (await explained(world))["blocked"].startswith("1 worker still answering")


async def test_another_operation_on_the_account() -> None:
    """Azure accepts no delete now: it says so until Azure accepts one."""
    world = World.of(config())
    await command(world, "up", "clauses", "--for", "5h", *WHY, "--wait")
    world.azure.fail_next("delete", ProviderBusy("another operation runs on the account"))
    await command(world, "release", "clauses")
    shown = await explained(world)
    assert shown["next_step"]["action"] == "delete"
    assert (
        shown["blocked"] == "Azure takes no write on the account now: another operation runs on the account"
    )
    await world.app.reconcile()
    shown = await explained(world)
    assert (shown["observed"], shown["blocked"]) == ("deleting", "Azure is deleting it")


async def test_a_promise_that_creating_alone_breaks_has_its_probability() -> None:
    """By the prior, half of the creates take five minutes or more, and hardly any half an hour."""
    short, long = (
        replace(config(name), start_within=timedelta(minutes=minutes))
        for name, minutes in (("short", 5), ("long", 30))
    )
    world = World.of(short, long, config("none"))
    promise = (await explained(world, "short"))["start_within"]
    assert promise == {"seconds": 300.0, "create_takes_longer": 0.5, "feasible": False}
    assert (await explained(world, "long"))["start_within"]["feasible"]
    assert (await explained(world, "none"))["start_within"] is None
    shown = (await command(world, "explain", "short")).out
    assert "50% of creates take longer, so documents start it at once" in shown


async def test_holds_observe_mode_and_what_is_foreign() -> None:
    """Each with its own words."""
    world = World.of(config(), config("seen", mode=Mode.OBSERVE), config("theirs"))
    await world.azure.put(ACCOUNT.resource_id, renamed(config().spec, "theirs"), timeout=10)
    world.clock.advance(100)
    await command(world, "down", "clauses", "--for", "1h", *WHY)
    await waiting(world, "clauses", "seen")
    held = await explained(world)
    assert (held["wanted"], held["hold"]["owner"]) == ("down", "dana")
    assert "held down by dana" in held["reason"]
    assert held["next_change"] == held["hold"]["until"]
    assert "observe mode, nothing is written; it would create" in (await explained(world, "seen"))["blocked"]
    theirs = await explained(world, "theirs")
    assert theirs["observed"] == "foreign"
    assert "somebody else's" in theirs["next_step"]["reason"]


async def test_observe_mode_does_not_grow_its_own_reason() -> None:
    """It is switched on while Azure accepts no delete: the reason does not get longer with each pass."""
    world = World.of(config())
    await command(world, "up", "clauses", "--for", "5h", *WHY, "--wait")
    world.azure.fail_next("delete", ProviderBusy("another operation runs on the account"))
    await command(world, "release", "clauses")
    observing = world.reconfigured(config(mode=Mode.OBSERVE))
    for _ in range(3):
        await observing.app.reconcile()
    reason = (await explained(observing))["next_step"]["reason"]
    assert reason == "observe mode, nothing is written; it would delete: no window and no unfinished document"


# --- decisions and cost ------------------------------------------------------------------------------


async def test_the_last_twenty_decisions_newest_first() -> None:
    """Earlier ones are left out."""
    windows = [OneOffWindow(START + each * HOUR, START + each * HOUR + HOUR / 2) for each in range(6)]
    world = World.of(config("clauses", *windows))
    for _ in range(6 * 60):
        await world.tick()
        world.clock.advance(60)
    decisions = (await explained(world))["decisions"]
    assert len(decisions) == 20
    times = [each["at"] for each in decisions]
    assert times == sorted(times, reverse=True)
    assert decisions[0]["action"] == "nothing"
    assert {"serve", "create", "delete"} <= {each["action"] for each in decisions}


def hosted(generation: int, start: timedelta, length: timedelta | None) -> HostingSession:
    """Return a session by its start after START and its length."""
    end = START + start + length if length is not None else None
    return HostingSession(
        ACCOUNT.resource_id, "clauses", generation, START + start, None, end, end, "GlobalStandard", 120, 1.70
    )


@pytest.mark.parametrize(
    ("earlier", "always_on_from"),
    [(0, timedelta(days=-10)), (250, timedelta(days=-22, hours=-8))],
    ids=["first session in this month", "hundreds of sessions before"],
)
async def test_the_cost_of_this_session_and_of_this_calendar_month(
    earlier: int, always_on_from: timedelta
) -> None:
    """In UTC, beside the cost of always-on since the first session."""
    world = World.of(config())
    ledger = world.app.context.ledger
    sessions = [hosted(n + 1, timedelta(days=-400, hours=n), HOUR / 2) for n in range(earlier)]
    sessions += [hosted(earlier + 1, timedelta(days=-10), 2 * HOUR), hosted(earlier + 2, -HOUR, None)]
    for each in sessions:
        await ledger.save_session(each)
    record = changed(await world.record(), number=earlier + 2, state=RecordState.OPEN)
    await ledger.save(record)
    shown = await explained(world)
    assert shown["session"]["cost_at_most"] == 1.70
    month = shown["this_month"]
    assert (month["since"], month["sessions"]) == ("2026-11-01T00:00:00+00:00", 2)
    assert month["cost_at_least"] == month["cost_at_most"] == pytest.approx(3 * 1.70)
    assert month["always_on_cost"] == pytest.approx(-always_on_from / HOUR * 1.70)
    assert month["currency"] == "USD"


# --- the command, and the listing --------------------------------------------------------------------


async def test_the_command_renders_the_same_document_with_a_look_at_azure() -> None:
    """It has all that HTTP answers, except for what Azure was asked."""
    world = World.of(config())
    await waiting(world, "clauses")
    shown = await explained(world)
    live = (await command(world, "explain", "clauses", "--json")).json
    asked = {"observed", "observed_at", "next_step", "blocked", "differences"}
    assert {key: live[key] for key in shown.keys() - asked} == {
        key: shown[key] for key in shown.keys() - asked
    }
    assert set(live) - set(shown) == {"azure", "azure_problem"}


async def test_the_listing_tells_of_the_sweep() -> None:
    """Its age, and how many uploads could not be recorded."""
    world = World.of(config())
    assert (await api.deployments(world.app)).body["sweep"] is None
    await world.app.reconcile()
    world.clock.advance(42)
    body = (await api.deployments(world.app)).body
    assert body["sweep"] == {
        "began_at": START.isoformat(),
        "age_seconds": 42.0,
        "unaccounted": 0,
        "walked_at": (START - timedelta(seconds=30)).isoformat(),
        "resting": 0,
    }
    status = (await command(world, "status")).out
    assert "The inbox was swept 0:00:42 ago; 0 upload(s) could not be recorded." in status
