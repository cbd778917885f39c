"""The pass and the fence at their edges, as the simulation found them: each was wrong once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
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
    StorageError,
)
from shared.model import DocumentState, Hosted, HostedId, OneOffWindow, RecordState
from shared.model.azure_openai import DEVELOPER_TIER_LIFE
from shared.ports import Insert, Remove, Replace
from shared.timing import TIMING
from tests.fakes.clock import START
from tests.fakes.world import ACCOUNT, World, config

ALL_DAY = OneOffWindow(START, START + timedelta(hours=10))


async def ticks(world: World, times: int) -> None:
    """The timers, each failing visibly where it must."""
    for _ in range(times):
        for timer in (world.app.reconcile(), world.app.drain_backlog(50)):
            with contextlib.suppress(PartFailed):
                await timer
        world.clock.advance(60)


async def test_a_pass_whose_intent_took_long_writes_nothing_to_azure() -> None:
    """Another process may have its lease by then; the next pass continues."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    write = world.tables.write

    async def slow(table: str, partition: str, changes: Sequence[Insert | Replace | Remove]) -> Any:
        if table == "deployments" and changes[0].key == "clauses":
            world.clock.advance(TIMING.pass_seconds)
        return await write(table, partition, changes)

    world.tables.write = slow  # type: ignore[method-assign]
    await world.app.reconcile()
    assert world.azure.count("put") == 0
    world.tables.write = write  # type: ignore[method-assign]
    await ticks(world, 2)
    assert world.azure.count("put") == 1


async def test_a_renewed_lease_lets_nobody_start_before_the_record_was_read_again() -> None:
    """After a pause the old record says open, and the deployment may be on its way out."""
    world = World.of(config("clauses", ALL_DAY))
    await ticks(world, 3)
    context = world.app.context
    work = world.worker()
    assert await work.enter()
    world.clock.advance(TIMING.work_lease_seconds + 1)
    await context.ledger.save(replace(await world.record(), state=RecordState.DELETING))
    read, asked = context.ledger.record, []

    async def watched(of: HostedId) -> Any:
        asked.append(work.allows(1.0))
        return await read(of)

    object.__setattr__(context.ledger, "record", watched)
    assert not await work.enter()
    assert asked == [False]


async def test_a_list_that_lags_does_not_free_the_slot_of_a_create() -> None:
    """Ours, begun a moment ago and not listed yet, takes its slot."""
    world = World.of(config("one", ALL_DAY), config("two"))
    one_slot = replace(ACCOUNT, fine_tuned_slots=1)
    app = replace(world.app, settings=replace(world.app.settings, accounts={ACCOUNT.resource_id: one_slot}))
    await app.reconcile()
    world.upload("two/a.txt")
    world.clock.advance(30)
    listed = world.azure.deployments

    async def lagging(*_: Any, **__: Any) -> dict[str, Hosted]:
        return {}

    world.azure.deployments = lagging  # type: ignore[method-assign]
    await app.reconcile()
    world.azure.deployments = listed  # type: ignore[method-assign]
    assert [what for operation, what in world.azure.calls if operation == "put"] == ["one"]


@pytest.mark.parametrize(
    "error", [ProviderBusy("busy", code="RequestConflict"), ProviderRefused("no", code="No")]
)
async def test_what_somebody_creates_after_our_refused_create_is_theirs(error: Exception) -> None:
    """A create that surely had no effect makes nobody's deployment ours."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    world.azure.fail_next("put", error)
    write = world.tables.write

    async def dies(table: str, partition: str, changes: Any) -> Any:
        done = await write(table, partition, changes)
        if table == "deployments" and changes[0].values.get("state") == "deleting":
            raise StorageError("the answer was lost")
        return done

    world.tables.write = dies  # type: ignore[method-assign]
    with contextlib.suppress(PartFailed):
        await world.app.reconcile()
    world.tables.write = write  # type: ignore[method-assign]
    await world.azure.put(ACCOUNT.resource_id, config().spec, timeout=1)
    await ticks(world, 5)
    assert world.azure.count("delete") == 0
    assert world.azure.names() == ["clauses"]


async def test_probes_that_hang_delay_nobody_elses() -> None:
    """Five deployments that never answer, and one that is ready: it is open after the next pass."""
    world = World.of(*(config(f"never-{n}", ALL_DAY) for n in range(5)), config("ready", ALL_DAY))
    world.azure.provision_seconds = 1
    for _ in range(8):
        await world.app.reconcile()
        world.clock.advance(20)
    ask = world.azure.ask

    async def hangs(endpoint: str, deployment: str, request: Any, *, timeout: float) -> Any:
        if deployment.startswith("never"):
            await world.clock.sleep(timeout)
            raise ModelUnavailable("no answer in time")
        return await ask(endpoint, deployment, request, timeout=timeout)

    world.azure.ask = hangs  # type: ignore[method-assign]
    for name in ("ready", *(f"never-{n}" for n in range(5))):
        await world.app.context.ledger.save(replace(await world.record(name), state=RecordState.CREATING))
    await world.app.reconcile()
    assert (await world.record("ready")).state is RecordState.OPEN
    assert (await world.record("never-4")).state is RecordState.CREATING


async def test_an_account_that_does_not_answer_delays_no_other() -> None:
    """Its LIST hangs for as long as it may; the other account's create is sent at once."""
    elsewhere = replace(ACCOUNT, name="second", resource_id=f"{ACCOUNT.resource_id}-2")
    world = World.of(config("one", ALL_DAY))
    accounts = {each.resource_id: each for each in (ACCOUNT, elsewhere)}
    two = replace(config("two", ALL_DAY), account=elsewhere.resource_id)
    settings = replace(
        world.app.settings, accounts=accounts, deployments={**world.app.settings.deployments, "two": two}
    )
    listed, put, sent = world.azure.deployments, world.azure.put, {}

    async def hangs(account: str, *, timeout: float) -> Any:
        if account == ACCOUNT.resource_id:
            await world.clock.sleep(timeout)
            raise OutcomeUnknown("no answer in time")
        return await listed(account, timeout=timeout)

    async def noted(account: str, spec: Any, *, timeout: float) -> Any:
        sent[spec.name] = world.clock.now()
        return await put(account, spec, timeout=timeout)

    world.azure.deployments, world.azure.put = hangs, noted  # type: ignore[method-assign]
    with pytest.raises(PartFailed, match="main: no answer"):
        await replace(world.app, settings=settings).reconcile()
    assert sent == {"two": START}


async def test_a_decision_that_cannot_be_kept_stops_no_step() -> None:
    """It is for people to read: the create is sent, and the pass fails visibly."""
    world = World.of(config("clauses", ALL_DAY))
    write = world.tables.write

    async def refused(table: str, partition: str, changes: Any) -> Any:
        if table == "decisions":
            raise StorageError("the table is full")
        return await write(table, partition, changes)

    world.tables.write = refused  # type: ignore[method-assign]
    with pytest.raises(PartFailed, match="the table is full"):
        await world.app.reconcile()
    assert world.azure.names() == ["clauses"]


async def test_a_create_that_takes_effect_long_after_is_found_within_a_minute() -> None:
    """Nobody needs it any more, and an idle account would be looked at every quarter of an hour only."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    world.azure.fail_next("put", OutcomeUnknown("no answer"))
    await ticks(world, 1)
    world.blobs.remove("inbox", "clauses/a.txt")
    await ticks(world, 8)
    assert (await world.record()).state is RecordState.ABSENT
    late = replace(config().spec, tags={"lamplighter": "test"})
    await world.azure.put(ACCOUNT.resource_id, late, timeout=1)
    await ticks(world, 4)
    assert world.azure.names() == []


async def test_what_is_created_long_after_an_unanswered_create_is_somebody_elses() -> None:
    """No pass saw the account for ten minutes; a deployment without our tag is not taken for the lost one."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    world.azure.fail_next("put", OutcomeUnknown("no answer"))
    await world.app.reconcile()
    world.clock.advance(600)
    await world.azure.put(ACCOUNT.resource_id, config().spec, timeout=1)
    await ticks(world, 8)
    assert (world.azure.names(), world.azure.count("delete")) == (["clauses"], 0)
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE


# --- open, and answering no more ---------------------------------------------------------------------


async def test_an_open_deployment_that_stops_answering_is_created_anew() -> None:
    """Documents wait meanwhile, nobody is blamed, and the new generation answers them."""
    world = World.of(config("clauses", ALL_DAY))
    await ticks(world, 3)
    found = world.azure.state.generations[0]
    found.runs[-1] = replace(found.runs[-1], serves=None)
    world.clock.advance(600)  # it is no longer warming up
    world.upload("clauses/a.txt")
    await ticks(world, 4)
    assert world.azure.count("delete") == 0
    await world.until(lambda: world.blobs.names("inbox") == [], TIMING.silent_limit + timedelta(minutes=8))
    document = await world.document("clauses/a.txt")
    assert (document.state, document.attempts) == (DocumentState.DONE, 0)
    assert (world.azure.count("put"), world.azure.count("delete")) == (2, 1)


async def test_a_deployment_that_was_silent_for_a_moment_stays() -> None:
    """One probe that succeeds, and it is used as before."""
    world = World.of(config("clauses", ALL_DAY))
    await ticks(world, 3)
    world.clock.advance(600)
    world.upload("clauses/a.txt")
    world.azure.fail_next("ask", DeploymentNotFound("gone", code="DeploymentNotFound"))
    await ticks(world, 1)
    assert (await world.record()).generation.silent_since is not None
    await ticks(world, 2)
    assert (await world.record()).generation.silent_since is None
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE
    assert world.azure.count("delete") == 0


async def test_a_deployment_that_is_unwell_is_not_taken_for_one_that_is_gone() -> None:
    """Said once not to exist, it then answers 500 for long: that passes, and a new create would not help."""
    world = World.of(config("clauses", ALL_DAY))
    await ticks(world, 3)
    world.clock.advance(TIMING.ready_limit.total_seconds() + 600)
    world.upload("clauses/a.txt")
    unwell = [ModelUnavailable("500") for _ in range(8)]
    world.azure.fail_next("ask", DeploymentNotFound("gone", code="DeploymentNotFound"), *unwell)
    await world.until(lambda: world.blobs.names("inbox") == [], TIMING.silent_limit + timedelta(minutes=8))
    assert world.azure.count("delete") == 0


# --- deletes that are refused ------------------------------------------------------------------------


async def test_a_deployment_whose_delete_was_refused_answers_what_comes() -> None:
    """It stands and costs money: then at least it works."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(minutes=5))))
    world.azure.fail_next("delete", *(ProviderRefused("locked", code="ScopeLocked") for _ in range(100)))
    await ticks(world, 10)
    assert world.azure.count("delete") >= 1
    world.upload("clauses/a.txt")
    await ticks(world, 2)
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE
    assert world.azure.count("put") == 1


async def test_a_delete_that_is_refused_is_not_tried_every_minute() -> None:
    """At most every ten minutes in the end; what it costs is an alert all the time."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(minutes=5))))
    world.azure.fail_next("delete", *(ProviderRefused("locked", code="ScopeLocked") for _ in range(100)))
    await ticks(world, 20)
    before = world.azure.count("delete")
    await ticks(world, 60)
    assert world.azure.count("delete") - before <= 7
    world.azure._faults.clear()
    await ticks(world, 13)
    assert world.azure.names() == []


async def test_an_answer_that_was_stored_before_a_crash_is_on_the_bill() -> None:
    """After an attempt that was paid and useless: both are on the document, each once."""
    world = World.of(config("clauses", ALL_DAY))
    await ticks(world, 3)
    world.upload("clauses/a.txt")
    world.azure.answer = " "
    await ticks(world, 1)
    once = await world.document("clauses/a.txt")
    assert once.attempts == 1 and once.cost > 0
    world.azure.answer = "an answer"
    world.clock.advance(60)
    finish = world.app.documents.try_finish

    async def dies(*_: Any) -> bool:
        raise asyncio.CancelledError

    object.__setattr__(world.app.documents, "try_finish", dies)
    with contextlib.suppress(asyncio.CancelledError):
        await ticks(world, 1)
    object.__setattr__(world.app.documents, "try_finish", finish)
    world.clock.advance(TIMING.work_lease_seconds)
    await ticks(world, 2)
    done = await world.document("clauses/a.txt")
    assert (done.state, world.azure.asked.count("some text")) == (DocumentState.DONE, 2)
    assert done.prompt_tokens == 2 * once.prompt_tokens
    assert done.cost == pytest.approx(2 * once.cost)


async def test_a_deployment_whose_delete_has_to_wait_is_used_if_it_is_needed_again() -> None:
    """Another operation holds the account for long: the documents that come meanwhile are answered."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(minutes=5))))
    world.azure.fail_next("delete", *(ProviderBusy("busy", code="RequestConflict") for _ in range(3)))
    await ticks(world, 7)
    assert (world.azure.count("delete"), (await world.record()).state) == (2, RecordState.CLOSING)
    world.upload("clauses/a.txt")
    await ticks(world, 1)
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE
    assert world.azure.count("put") == 1


# --- the sweep, and deadlines of Azure's own ----------------------------------------------------------


async def test_a_sweep_whose_token_is_refused_begins_anew() -> None:
    """Tokens grow old; the walk must not stand still for good."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    walk = {"token": "old", "began_at": START, "unaccounted": 0}
    await world.tables.write("sweeps", "inbox", [Replace("walk", walk, etag=None)])
    list_page = world.blobs.list

    async def picky(container: str, token: str | None, limit: int) -> Any:
        if token == "old":
            raise StorageError("OutOfRangeInput")
        return await list_page(container, token, limit)

    world.blobs.list = picky  # type: ignore[method-assign]
    with pytest.raises(PartFailed, match="OutOfRangeInput"):
        await world.app.reconcile()
    await world.app.reconcile()
    assert (await world.document("clauses/a.txt")).state is DocumentState.WAITING


async def test_azures_own_deadline_of_the_developer_tier_is_lived_by() -> None:
    """Taken over half a day ago or created now: 24 hours after Azure's createdAt it is gone anyway."""
    spec = replace(config().spec, sku="DeveloperTier")
    configured = replace(config("clauses", ALL_DAY), spec=spec, adopt=True, max_session=timedelta(days=1))
    world = World.of(configured)
    await world.azure.put(ACCOUNT.resource_id, spec, timeout=1)
    world.clock.advance(4 * 3600)
    await world.app.reconcile()
    record = await world.record()
    assert record.generation.delete_after == START + DEVELOPER_TIER_LIFE
