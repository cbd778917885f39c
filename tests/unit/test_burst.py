"""Many uploads at once: few storage calls for each, and no more documents in progress than are asked soon."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from shared.errors import Changed, StorageError
from shared.model import DocumentState, ModelAnswer, ModelRequest, RecordState, UploadStart
from tests.fakes.world import World, config


def names(count: int) -> list[str]:
    return [f"clauses/{number:03}.txt" for number in range(count)]


async def states(world: World, count: int) -> Counter[DocumentState]:
    return Counter([(await world.document(name)).state for name in names(count)])


def counted_calls(world: World) -> Counter[str]:
    """Count the calls to its tables from now on."""
    calls = Counter[str]()

    def counted(kind: str) -> Any:
        call = getattr(world.tables, kind)

        async def count(table: str, *given: Any) -> Any:
            calls[f"{kind} {table}"] += 1
            return await call(table, *given)

        return count

    for kind in ("get", "page", "write"):
        setattr(world.tables, kind, counted(kind))
    return calls


async def test_a_burst_costs_few_reads_and_writes() -> None:
    """One flow drains; the others record their upload and are done. Rows are read and written together."""
    world = World.of(config(capacity=1200))
    calls = counted_calls(world)
    for name in names(100):
        world.upload(name)
    await asyncio.gather(*(world.app.document_uploaded(name) for name in names(100)))
    assert not world.blobs.names("inbox")
    assert calls["get documents"] + calls["page documents"] <= 40
    assert calls["write documents"] <= 60  # an arrival, a claim and an end for each of a hundred
    assert await states(world, 100) == {DocumentState.DONE: 100}


async def test_a_sweep_records_new_uploads_without_reading_a_row_for_each() -> None:
    """It learns of the few that are known from the write."""
    world = World.of(config(capacity=1200))
    for name in names(100):
        world.upload(name)
    calls = counted_calls(world)
    await world.app.intake.sweep()
    assert calls["get documents"] + calls["page documents"] <= 3
    assert calls["write documents"] <= 15
    assert await states(world, 100) == {DocumentState.WAITING: 100}


async def test_claims_are_made_shortly_before_the_requests() -> None:
    """One request a second is admitted, and an answer takes 100 s: those in flight do not hold up others."""
    world = World.of(config(capacity=60))
    ask = world.azure.ask

    async def slow(endpoint: str, deployment: str, request: ModelRequest, *, timeout: float) -> ModelAnswer:
        await world.clock.sleep(100)
        return await ask(endpoint, deployment, request, timeout=timeout)

    for name in names(80):
        world.upload(name)
    await world.app.reconcile()
    world.clock.advance(75)
    await world.app.reconcile()
    world.azure.ask = slow  # type: ignore[method-assign]
    draining = asyncio.create_task(world.app.drain_backlog(300))
    await world.clock.sleep(60)
    claimed = (await states(world, 80))[DocumentState.CLAIMED]
    assert 60 <= claimed <= 70
    await draining
    assert await states(world, 80) == {DocumentState.DONE: 80}


@pytest.mark.parametrize("error", [StorageError, Changed])
async def test_claims_whose_answer_was_lost_are_found_again(error: type[StorageError]) -> None:
    """They are in one transaction: its documents are neither left until their claims expire nor crashed."""
    world, lost = World.of(config(capacity=1200)), 0
    write = world.tables.write

    async def losing(table: str, partition: str, changes: Any) -> tuple[str, ...]:
        nonlocal lost
        etags = await write(table, partition, changes)
        if not lost and len(changes) > 8 and all(change.key.startswith("w ") for change in changes):
            lost = len(changes)
            raise error("the answer was lost")
        return etags

    world.tables.write = losing  # type: ignore[method-assign]
    for name in names(100):
        world.upload(name)
    before = world.clock.monotonic()
    await asyncio.gather(*(world.app.document_uploaded(name) for name in names(100)))
    assert lost > 8
    assert world.clock.monotonic() - before < 180
    assert await states(world, 100) == {DocumentState.DONE: 100}
    assert not any([(await world.document(name)).crashes for name in names(100)])
    assert world.azure.asked.count("some text") == 100


async def drained(world: World, count: int) -> asyncio.Task[None]:
    """Return a worker that answers so many documents, one in ten seconds, and has begun."""
    for name in names(count):
        world.upload(name)
    await world.app.reconcile()
    world.clock.advance(75)
    await world.app.reconcile()
    draining = asyncio.create_task(world.app.drain_backlog(300))
    await world.clock.sleep(15)
    return draining


async def test_an_upload_whose_deployment_is_drained_here_is_read_once() -> None:
    """Its drain reads it soon, so that it is not read before it is recorded."""
    world, reads = World.of(config(capacity=6)), Counter[str]()
    read = world.blobs.read

    async def counted(container: str, name: str, etag: str | None = None) -> bytes:
        reads[name] += 1
        return await read(container, name, etag)

    draining = await drained(world, 5)
    world.blobs.read = counted  # type: ignore[method-assign]
    world.upload("clauses/late.txt")
    await world.app.document_uploaded("clauses/late.txt")
    assert (await world.document("clauses/late.txt")).state is DocumentState.WAITING
    assert not reads["clauses/late.txt"]
    await draining
    assert (await world.document("clauses/late.txt")).state is DocumentState.DONE
    assert reads["clauses/late.txt"] == 1


async def test_an_upload_is_not_looked_at_while_its_deployment_is_created() -> None:
    """It is hosted for another document already, and the drain reads this one soon."""
    world = World.of(config())
    world.upload("clauses/first.txt")
    flow = asyncio.create_task(world.app.document_uploaded("clauses/first.txt"))
    await world.clock.sleep(10)
    assert (await world.record()).state is RecordState.CREATING
    world.blobs.read = None  # type: ignore[assignment]
    world.upload("clauses/second.txt")
    await world.app.document_uploaded("clauses/second.txt")
    assert (await world.document("clauses/second.txt")).state is DocumentState.WAITING
    flow.cancel()


async def test_a_sweep_leaves_an_upload_to_the_event_that_records_it() -> None:
    """Both would read it and its rows. A later sweep of the process does not look it up either.

    While events come, a sweep also leaves other young uploads to them, but none that is 30 s old.
    """
    world = World.of(config())
    world.upload("clauses/without_event.txt")
    world.clock.advance(30)
    read = world.blobs.read

    async def slow(container: str, name: str, etag: str | None = None) -> bytes:
        await world.clock.sleep(3)
        return await read(container, name, etag)

    world.blobs.read = slow  # type: ignore[method-assign]
    world.upload("clauses/a.txt")
    world.upload("clauses/its_event_comes_late.txt")
    event = asyncio.create_task(world.app.intake.arrived("clauses/a.txt"))
    await world.clock.sleep(1)
    beside = await world.app.intake.sweep()
    document = await event
    after = await world.app.intake.sweep()
    assert document is not None and document.state is DocumentState.WAITING
    assert [(report.seen, report.taken_in) for report in (beside, after)] == [(3, 1), (3, 1)]
    assert (await world.document("clauses/without_event.txt")).state is DocumentState.WAITING


async def test_what_cannot_be_read_is_refused_by_its_drain_for_the_same_reason() -> None:
    """No request is sent for it, and it is moved to `failed` as one that is refused before it is recorded."""
    world, content = World.of(config(capacity=6)), b"\x00\x01\x02\x03" * 50
    draining = await drained(world, 3)
    world.upload("clauses/late.txt", content)
    await world.app.document_uploaded("clauses/late.txt")
    await draining
    world.upload("clauses/alone.txt", content)
    await world.app.document_uploaded("clauses/alone.txt")
    late, alone = [await world.document(f"clauses/{name}.txt") for name in ("late", "alone")]
    assert late.state is alone.state is DocumentState.FAILED
    assert late.reason == alone.reason and "binary" in late.reason
    assert (late.cost, late.attempts) == (0, 0)
    assert late.moved_to.startswith("failed/clauses/late.")
    assert world.azure.asked == ["ready?", *["some text"] * 3]
    assert not world.blobs.names("inbox")


@pytest.mark.parametrize("uploads", UploadStart)
async def test_what_cannot_be_read_is_refused_at_once_while_nothing_is_drained(uploads: UploadStart) -> None:
    """A worker of this process has the deployment's lease, but only waits: for its create, or for a pass."""
    world = World.of(config(uploads=uploads))
    deployments = world.azure.deployments

    async def slow(account: str, *, timeout: float) -> Any:
        await world.clock.sleep(5)
        return await deployments(account, timeout=timeout)

    world.azure.deployments = slow  # type: ignore[method-assign]
    world.upload("clauses/good.txt")
    flow = asyncio.create_task(world.app.document_uploaded("clauses/good.txt"))
    await world.clock.sleep(3)
    assert "clauses" in world.app.drain_tools.drained_here
    world.upload("clauses/bad.txt", b"\x00\x01\x02\x03" * 50)
    await world.app.document_uploaded("clauses/bad.txt")
    assert (await world.document("clauses/bad.txt")).state is DocumentState.FAILED
    await flow
