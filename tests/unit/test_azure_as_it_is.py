"""What Azure really does: late and incomplete LISTs, deletes without effect, and copies of the app."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.app import PartFailed
from shared.errors import (
    DeploymentNotFound,
    ModelUnavailable,
    OutcomeUnknown,
    ProviderBusy,
    ProviderRefused,
    RateLimited,
)
from shared.model import (
    DeploymentSpec,
    DocumentState,
    Hold,
    Hosted,
    Observed,
    OneOffWindow,
    RecordState,
    UploadStart,
)
from shared.timing import TIMING, Timing
from shared.wiring import assemble
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.clock import START
from tests.fakes.records import changed
from tests.fakes.tables import MemoryTables
from tests.fakes.world import ACCOUNT, CLAUSES, World, config, settings

MINUTE = timedelta(minutes=1)
ALL_DAY = OneOffWindow(START, START + timedelta(hours=10))


async def ticks(world: World, minutes: int) -> None:
    """The timers, each minute, each failing visibly where it must."""
    for _ in range(minutes):
        for timer in (world.app.reconcile(), world.app.drain_backlog(50)):
            with contextlib.suppress(PartFailed):
                await timer
        world.clock.advance(60 - world.clock.monotonic() % 60)


def without_tags(found: Hosted) -> Hosted:
    return replace(found, spec=replace(found.spec, tags={}))


def lists(world: World, *, without: str = "", tags: bool = True) -> None:
    """From now on LIST leaves out a deployment; without `tags`, neither it nor a PUT shows any."""
    listed, put = type(world.azure).deployments, type(world.azure).put

    async def incomplete(account: str, *, timeout: float) -> Mapping[str, Hosted]:
        found = await listed(world.azure, account, timeout=timeout)
        shown = {name: each if tags else without_tags(each) for name, each in found.items()}
        shown.pop(without, None)
        return shown

    async def created(account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        found = await put(world.azure, account, spec, timeout=timeout)
        return found if tags else without_tags(found)

    world.azure.deployments = incomplete  # type: ignore[method-assign]
    world.azure.put = created  # type: ignore[method-assign]


async def hold_down(world: World) -> None:
    now = world.clock.now()
    hold = Hold("clauses", up=False, until=now + timedelta(hours=2), owner="dana", reason="test", made_at=now)
    await world.app.context.ledger.save_hold(ACCOUNT.resource_id, hold)


# --- LISTs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tags", [True, False])
@pytest.mark.parametrize("minutes", [1, 4])
async def test_what_lists_miss_for_minutes_stays_ours(minutes: int, tags: bool) -> None:
    """With or without its tags: it serves on, and is deleted when its window ends."""
    window = OneOffWindow(START, START + timedelta(minutes=30))
    world = World.of(config("clauses", window, uploads=UploadStart.SCHEDULED))
    lists(world, tags=tags)
    await ticks(world, 5)
    lists(world, without="clauses", tags=tags)
    world.upload("clauses/a.txt")
    await ticks(world, minutes)
    lists(world, tags=tags)
    await ticks(world, 35)
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE
    assert (world.azure.names(), world.azure.count("put"), world.azure.count("delete")) == ([], 1, 1)


async def test_what_was_forgotten_comes_back_as_the_same_session() -> None:
    """LISTs without it for longer than anybody can doubt; tags dropped: one session, deleted in the end."""
    window = OneOffWindow(START, START + timedelta(minutes=40))
    world = World.of(config("clauses", window, uploads=UploadStart.SCHEDULED))
    lists(world, tags=False)
    await ticks(world, 5)
    lists(world, without="clauses", tags=False)
    await ticks(world, 9)
    assert world.azure.count("put") == 2
    lists(world, tags=False)
    await ticks(world, 40)
    assert world.azure.names() == []
    sessions = await world.app.context.ledger.sessions(CLAUSES)
    (generation,) = world.azure.state.generations
    assert [each.started_at for each in sessions] == [generation.created]
    assert sessions[0].ended_by is not None and generation.deleted is not None
    assert abs(sessions[0].ended_by - generation.deleted) <= MINUTE


async def test_a_create_without_an_answer_in_the_place_of_what_lists_left_out_is_no_generation() -> None:
    """It was forgotten, the create in its place had no answer and was given up, and the next one finds it."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(hours=1))))
    await ticks(world, 5)
    put, listed = world.azure.put, world.azure.deployments
    lists(world, without="clauses")

    async def unanswered(account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        await put(account, spec, timeout=timeout)
        raise OutcomeUnknown("the connection was reset")

    async def not_found(endpoint: str, deployment: str, *, timeout: float) -> None:
        raise DeploymentNotFound("404")

    world.azure.put, world.azure.probe = unanswered, not_found  # type: ignore[method-assign]
    await world.until(lambda: world.azure.count("put") == 3, timedelta(minutes=40))
    world.azure.put, world.azure.deployments = put, listed  # type: ignore[method-assign]
    del world.azure.probe
    await ticks(world, 60)
    assert world.azure.names() == []
    (session,) = await world.app.context.ledger.sessions(CLAUSES)
    (generation,) = world.azure.state.generations
    assert (session.started_at, session.generation) == (generation.created, 1)


async def check_sessions(world: World, generations: int) -> None:
    """Check that the document is answered, and that each of the generations has its one session."""
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE
    sessions = await world.app.context.ledger.sessions(CLAUSES)
    assert [each.started_at for each in sessions] == [each.created for each in world.azure.state.generations]
    assert len(sessions) == generations


async def test_what_lists_left_out_while_it_was_deleted_has_one_session() -> None:
    """A create in its place had no answer and no effect, the next one is refused, and it is seen again."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(minutes=20))))
    await ticks(world, 15)
    listed, put = world.azure.deployments, world.azure.put
    (seen,) = (await listed(ACCOUNT.resource_id, timeout=1)).values()
    await world.until(lambda: world.azure.count("delete") == 1, timedelta(minutes=30))
    await ticks(world, 3)

    async def unanswered(account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        world.azure.put = refused  # type: ignore[method-assign]
        raise OutcomeUnknown("the connection was reset")

    async def refused(account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        world.azure.deployments = lingering  # type: ignore[method-assign]
        raise ProviderBusy("it is being deleted")

    async def lingering(account: str, *, timeout: float) -> Mapping[str, Hosted]:
        return {"clauses": replace(seen, status=Observed.DELETING, said="Deleting")}

    world.azure.put = unanswered  # type: ignore[method-assign]
    world.upload("clauses/a.txt")
    await world.until(lambda: world.azure.deployments == lingering, timedelta(hours=1))
    await ticks(world, 5)
    world.azure.put, world.azure.deployments = put, listed  # type: ignore[method-assign]
    await ticks(world, 30)
    await check_sessions(world, 2)


@pytest.mark.parametrize("next_create", ["finds it", "is refused"])
async def test_a_create_without_an_answer_after_a_delete_has_its_own_session(next_create: str) -> None:
    """LISTs leave it out until it is given up and the next create is sent. Then they show it."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(minutes=20))))
    await world.until(lambda: world.azure.count("delete") == 1, timedelta(minutes=40))
    await ticks(world, 3)
    put, listed = world.azure.put, world.azure.deployments

    async def unanswered(account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        world.azure.put = found  # type: ignore[method-assign]
        await put(account, spec, timeout=timeout)
        raise OutcomeUnknown("the connection was reset")

    async def found(account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        world.azure.put, world.azure.deployments = put, listed  # type: ignore[method-assign]
        if next_create == "is refused":
            raise ProviderBusy("another write is under way")
        return await put(account, spec, timeout=timeout)

    lists(world, without="clauses")
    world.azure.put = unanswered  # type: ignore[method-assign]
    world.upload("clauses/a.txt")
    await world.until(lambda: world.azure.put == put, timedelta(hours=1))
    await ticks(world, 30)
    await check_sessions(world, 2 if next_create == "finds it" else 3)


async def test_the_app_looks_each_minute_for_half_an_hour_after_a_write() -> None:
    """An idle account would be listed every 15 minutes only, and what LISTs missed would stand so long."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await world.until(lambda: world.azure.count("delete") == 1, timedelta(minutes=10))
    before = world.azure.count("list")
    await ticks(world, 25)
    assert world.azure.count("list") - before >= 25


# --- the fence ---------------------------------------------------------------------------------------


async def test_work_in_flight_holds_up_a_delete_in_every_state_of_the_record() -> None:
    """A LIST missed it, it was taken up as creating, its probe is limited, and somebody holds it down."""
    world = World.of(config("clauses", ALL_DAY))
    await ticks(world, 4)
    context = world.app.context
    work = world.worker()
    assert await work.enter()
    await context.ledger.save(replace(await world.record(), state=RecordState.CREATING))
    await hold_down(world)
    world.azure.fail_next("ask", RateLimited("429", status=429))
    await ticks(world, 2)
    assert world.azure.count("delete") == 0
    await work.leave()
    await ticks(world, 1)
    assert world.azure.count("delete") == 1


async def test_a_worker_that_enters_between_the_plan_and_the_delete_is_seen() -> None:
    """The leases are read once more after the record says deleting."""
    world = World.of(config("clauses", ALL_DAY))
    await ticks(world, 4)
    context = world.app.context
    await context.ledger.save(changed(await world.record(), state=RecordState.CREATING, opened_at=None))
    await hold_down(world)
    write = world.tables.write

    async def entered(table: str, partition: str, changes: Any) -> Any:
        done = await write(table, partition, changes)
        if table == "deployments" and changes[0].values.get("state") == "deleting":
            world.tables.write = write  # type: ignore[method-assign]
            await world.worker().enter()
        return done

    world.tables.write = entered  # type: ignore[method-assign]
    await world.app.reconcile()
    assert world.azure.count("delete") == 0


# --- deletes -----------------------------------------------------------------------------------------


async def test_a_delete_without_effect_is_repeated_with_pauses_and_alerted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Azure accepts it 25 times; the account's other deployment is created, and the session ends at last."""
    world = World.of(
        config("clauses", OneOffWindow(START, START + timedelta(minutes=5))),
        config("other"),
    )
    delete, ignored = world.azure.delete, 0

    async def accepted(account: str, deployment: str, *, timeout: float) -> None:
        nonlocal ignored
        if deployment == "clauses" and world.clock.now() < START + timedelta(hours=2):
            ignored += 1
            return
        await delete(account, deployment, timeout=timeout)

    world.azure.delete = accepted  # type: ignore[method-assign]
    await ticks(world, 6)
    world.upload("other/a.txt")
    await ticks(world, 10)
    assert (await world.document("other/a.txt", "other")).state is DocumentState.DONE
    first_at = (await world.record()).generation.deleted_at
    assert first_at is not None
    await ticks(world, 130)
    assert "delete_without_effect" in caplog.text
    assert 5 <= ignored <= 20
    assert world.azure.names() == []
    (session,) = await world.app.context.ledger.sessions(CLAUSES)
    (generation,) = (each for each in world.azure.state.generations if each.name == "clauses")
    assert session.ended_after == first_at
    assert session.ended_by is not None and generation.deleted is not None
    assert timedelta(0) <= session.ended_by - generation.deleted <= TIMING.list_lag + TIMING.settle


async def test_the_only_pass_that_gets_through_alerts_a_delete_without_effect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It also repeats the delete, and then sees the deployment as being deleted."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(minutes=5))))

    async def without_effect(account: str, deployment: str, *, timeout: float) -> None:
        pass

    world.azure.delete = without_effect  # type: ignore[method-assign]
    await ticks(world, 7)
    assert (await world.record()).delete_accepted_at is not None
    world.clock.advance(20 * 60)
    await ticks(world, 1)
    assert "delete_without_effect" in caplog.text


@pytest.mark.parametrize("accepted", [1, 99])
async def test_what_ends_from_outside_while_deletes_have_no_effect_has_an_end_that_is_not_too_early(
    accepted: int,
) -> None:
    """Somebody deletes it in the portal: an accepted delete was no end, whatever later ones met."""
    world, calls = World.of(config("clauses", OneOffWindow(START, START + timedelta(minutes=5)))), 0

    async def without_effect(account: str, deployment: str, *, timeout: float) -> None:
        nonlocal calls
        calls += 1
        if calls > accepted:
            raise ProviderBusy("busy", code="RequestConflict")

    world.azure.delete = without_effect  # type: ignore[method-assign]
    await ticks(world, 16)
    vanished_at = world.clock.now()
    world.azure.vanish("clauses")
    await ticks(world, 12)
    (session,) = await world.app.context.ledger.sessions(CLAUSES)
    assert session.ended_after is not None and session.ended_by is not None and calls > 1
    assert session.ended_after < vanished_at <= session.ended_by


async def test_a_permanent_conflict_backs_off(caplog: pytest.LogCaptureFixture) -> None:
    """A subscription that is read-only: a handful of tries an hour, and an alert."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    refusal = ProviderRefused("read-only", code="ReadOnlyDisabledSubscription")
    world.azure.fail_next("put", *(refusal for _ in range(200)))
    await ticks(world, 60)
    assert world.azure.count("put") <= 8
    assert "create_failed" in caplog.text


# --- whose it is -------------------------------------------------------------------------------------


async def test_two_copies_of_the_app_leave_each_other_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The same installation and file, and a storage account of its own: neither cuts the other's work."""
    one = World.of(config())
    two = replace(one, tables=MemoryTables(one.clock), blobs=MemoryBlobs(one.clock))
    for world, name in ((one, "first"), (two, "second")):
        world.app = assemble(
            settings(config()), one.clock, world.tables, world.blobs, one.azure, one.azure, storage=name
        )
        world.upload("clauses/a.txt")
    one.azure.answer_seconds = 40.0
    for _ in range(20):
        await asyncio.gather(one.app.reconcile(), two.app.reconcile())
        await asyncio.gather(one.app.drain_backlog(50), two.app.drain_backlog(50))
        one.clock.advance(60 - one.clock.monotonic() % 60)
    assert "twin_installation" in caplog.text
    assert [each.cut for each in one.azure.deleted] == [0, 0]
    assert (await one.document("clauses/a.txt")).state is DocumentState.DONE
    assert (await two.document("clauses/a.txt")).state is DocumentState.DONE
    assert one.azure.names() == []


# --- accounts ----------------------------------------------------------------------------------------


async def test_an_account_under_another_subdomain_is_answered_after_one_create() -> None:
    """It was deleted and created again: the first probe that fails asks for the endpoint."""
    world = World.of(config("clauses", ALL_DAY))
    await ticks(world, 4)
    world.azure.recreate_account("elsewhere")
    ask = type(world.azure).ask

    async def at_home(endpoint: str, deployment: str, request: Any, *, timeout: float) -> Any:
        if endpoint != await world.azure.endpoint("", timeout=1):
            raise ModelUnavailable("no such host", code="connection")
        return await ask(world.azure, endpoint, deployment, request, timeout=timeout)

    world.azure.ask = at_home  # type: ignore[method-assign]
    world.upload("clauses/a.txt")
    await ticks(world, 15)
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE
    assert world.azure.count("put") == 2


async def test_an_account_that_cannot_be_read_is_unknown() -> None:
    """Azure's error is kept for people until a pass has read the account again."""
    world = World.of(config("clauses", ALL_DAY))
    await ticks(world, 4)
    world.azure.fail_next("list", ProviderRefused("Azure answered 403 AuthorizationFailed", code="x"))
    with pytest.raises(PartFailed):
        await world.app.reconcile()
    known = await world.app.context.ledger.account(ACCOUNT.resource_id)
    assert "AuthorizationFailed" in known.problem and known.problem_at is not None
    await world.app.reconcile()
    known = await world.app.context.ledger.account(ACCOUNT.resource_id)
    assert (known.problem, known.problem_at) == ("", None)
    assert (await world.record()).decision.observed is Observed.READY


async def test_a_pass_that_hangs_is_given_up() -> None:
    """Whatever it waits for: the account's lease ends, and the next pass does what is due."""
    hurried = Timing(pass_limit_seconds=0.2, pass_seconds=0.1, arm_seconds=0.04, probe_seconds=0.04)
    world = World.of(config("clauses", ALL_DAY), timing=hurried)
    page = world.tables.page

    async def hangs(table: str, partition: str, *rest: Any) -> Any:
        if table == "deployments" and partition != "accounts":
            await asyncio.sleep(3600)
        return await page(table, partition, *rest)

    world.tables.page = hangs  # type: ignore[method-assign]
    with pytest.raises(PartFailed, match="given up"):
        await world.app.reconcile()
    world.tables.page = page  # type: ignore[method-assign]
    await ticks(world, 2)
    assert world.azure.count("put") == 1


# --- documents that wait -----------------------------------------------------------------------------


async def test_documents_that_wait_beyond_a_bound_are_alerted(caplog: pytest.LogCaptureFixture) -> None:
    """On demand after an hour; in windows when the last one has ended without them."""
    last = OneOffWindow(START, START + timedelta(minutes=10))
    world = World.of(config(), config("night", last, uploads=UploadStart.SCHEDULED))
    world.azure.fail_next("put", *(ProviderRefused("no", code="InsufficientQuota") for _ in range(100)))
    world.upload("clauses/a.txt")
    await ticks(world, 30)
    assert "documents_wait" not in caplog.text
    world.upload("night/b.txt")
    await ticks(world, 2)
    assert '"documents_wait"' in caplog.text and '"night"' in caplog.text
    caplog.clear()
    await ticks(world, 35)
    assert (
        "documents_wait" in caplog.text and "InsufficientQuota" not in caplog.text.split("documents_wait")[0]
    )


async def test_an_unanswered_delete_ends_the_session_within_its_bounds() -> None:
    """The first took effect though its answer was lost, the second found nothing: the truth lies between."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(minutes=5))))
    await ticks(world, 4)
    delete = world.azure.delete

    async def lost(account: str, deployment: str, *, timeout: float) -> None:
        world.azure.delete = delete  # type: ignore[method-assign]
        await delete(account, deployment, timeout=timeout)
        raise OutcomeUnknown("the answer was lost")

    world.azure.delete = lost  # type: ignore[method-assign]
    await ticks(world, 10)
    (session,) = await world.app.context.ledger.sessions(CLAUSES)
    (generation,) = world.azure.state.generations
    assert session.ended_after is not None and session.ended_by is not None and generation.deleted is not None
    assert session.ended_after <= generation.deleted <= session.ended_by
    assert session.ended_by - session.ended_after <= TIMING.list_lag
