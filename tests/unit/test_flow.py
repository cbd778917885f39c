"""Flows of whole deployments through the app, in memory and virtual time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.documents.places import result_name
from shared.errors import AccessDenied, ModelError, ModelUnavailable, RateLimited
from shared.model import DocumentState, OneOffWindow, UploadStart
from shared.serve import SLICE_SECONDS
from shared.timing import TIMING
from tests.fakes.clock import START
from tests.fakes.world import World, config


async def opened(world: World) -> None:
    """Create the deployment for what waits, and open it."""
    await world.app.reconcile()
    world.clock.advance(75)
    await world.app.reconcile()


async def test_an_upload_is_answered_and_its_deployment_deleted() -> None:
    """Ad hoc, in one invocation of the blob trigger."""
    world = World.of(config())
    world.upload("clauses/letter.txt", "Dear all")
    await world.app.document_uploaded("clauses/letter.txt")
    document = await world.document("clauses/letter.txt")
    assert document.state is DocumentState.DONE
    assert world.azure.asked == ["ready?", "Dear all"]
    assert world.blobs.names("inbox") == []
    assert world.results() == [result_name(document)]
    assert document.moved_to.startswith("processed/clauses/letter.")
    assert (world.azure.count("put"), world.azure.count("delete")) == (1, 1)
    stored = json.loads(await world.blobs.read("results", document.result))
    assert stored["answer"] == "an answer"
    assert stored["document"]["id"] == document.id
    assert document.cost > 0 and document.prompt_tokens == stored["usage"]["prompt_tokens"]


async def test_a_create_that_takes_long_is_looked_at_less_often() -> None:
    """Each look is a LIST. It may be as late as a few percent of the create, and never more than 10 s."""
    world = World.of(config())
    world.azure.provision_seconds = 300
    world.upload("clauses/letter.txt")
    await world.app.document_uploaded("clauses/letter.txt")
    assert (await world.document("clauses/letter.txt")).state is DocumentState.DONE
    generation = (await world.record()).generation
    assert generation.opened_at and generation.created_at
    assert generation.opened_at - generation.created_at < timedelta(seconds=315)
    assert world.azure.count("list") <= 40


async def test_twenty_uploads_at_once_share_one_deployment() -> None:
    """One invocation drives the flow; the others record their upload and return."""
    world = World.of(config())
    names = [f"clauses/{n}.txt" for n in range(20)]
    for name in names:
        world.upload(name)
    await asyncio.gather(*(world.app.document_uploaded(name) for name in names))
    assert {(await world.document(name)).state for name in names} == {DocumentState.DONE}
    assert len(world.results()) == 20
    assert world.azure.count("put") == 1
    assert [deleted.cut for deleted in world.azure.deleted] == [0]


async def test_an_upload_at_the_last_moment_is_not_left_behind() -> None:
    """It is recorded while another invocation is about to release the lease; one of the two sees it."""
    world = World.of(config())
    world.upload("clauses/first.txt")

    async def late() -> None:
        while not world.results():
            await world.clock.sleep(0.1)
        world.upload("clauses/late.txt")
        await world.app.document_uploaded("clauses/late.txt")

    await asyncio.gather(world.app.document_uploaded("clauses/first.txt"), late())
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=1))
    assert (await world.document("clauses/late.txt")).state is DocumentState.DONE


async def test_a_batch_is_answered_in_its_window_and_the_deployment_goes() -> None:
    """What waits is answered from the window's start, and an empty window hosts nothing."""
    window = OneOffWindow(START + timedelta(hours=1), START + timedelta(hours=5), stop_when_empty=True)
    world = World.of(config("clauses", window, uploads=UploadStart.SCHEDULED))
    for n in range(30):
        world.upload(f"clauses/{n}.txt")
    for n in range(30):
        await world.app.document_uploaded(f"clauses/{n}.txt")
    assert world.azure.count("put") == 0
    done = await world.until(lambda: len(world.results()) == 30, timedelta(hours=2))
    assert done < window.start + timedelta(minutes=5)
    await world.until(lambda: world.azure.names() == [], timedelta(minutes=3))
    assert world.azure.deleted[0].cut == 0


async def test_a_closing_window_cuts_nothing_off() -> None:
    """Documents that the window had no time for wait for the next; those in work are answered."""
    window = OneOffWindow(START, START + timedelta(minutes=3))
    later = OneOffWindow(START + timedelta(hours=3), START + timedelta(hours=4))
    world = World.of(config("clauses", window, later, uploads=UploadStart.SCHEDULED, capacity=10))
    world.azure.answer_seconds = 45
    for n in range(40):
        world.upload(f"clauses/{n}.txt")
    for _ in range(60):
        await world.tick()
        world.clock.advance(10)
    assert world.azure.names() == []
    assert [deleted.cut for deleted in world.azure.deleted] == [0]
    answered = len(world.results())
    assert 0 < answered < 40
    assert len(world.blobs.names("inbox")) == 40 - answered


async def test_a_rate_limit_pauses_and_blames_nobody() -> None:
    """429 with Retry-After: all requests pause, all are answered, and no attempt is counted."""
    world = World.of(config())
    for n in range(5):
        world.upload(f"clauses/{n}.txt")
    await opened(world)
    world.azure.fail_next("ask", *(RateLimited("429", retry_after=20.0) for _ in range(3)))
    before = world.clock.now()
    done = await world.until(lambda: len(world.results()) == 5, timedelta(minutes=4))
    assert done - before >= timedelta(seconds=20)
    assert {(await world.document(f"clauses/{n}.txt")).attempts for n in range(5)} == {0}


@pytest.mark.parametrize(
    ("errors", "attempts"),
    [([AccessDenied("403", code="403")], 0), ([ModelUnavailable("503")] * 12, 1)],
    ids=["a missing right", "an unavailable model"],
)
async def test_a_model_that_fails_for_a_while_costs_no_document(
    errors: list[ModelError], attempts: int
) -> None:
    """After its retries within a slice a document waits, and is answered by a later one."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await opened(world)
    world.azure.fail_next("ask", *errors)
    await world.tick()
    document = await world.document("clauses/a.txt")
    assert (document.state, document.attempts <= attempts) == (DocumentState.WAITING, True)
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=10))
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE


async def test_a_document_whose_worker_died_is_answered_after_its_claim() -> None:
    """A crash costs the rest of its claim, is counted as a crash and not as an attempt."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await opened(world)
    drain = asyncio.create_task(world.app.drain_backlog(50))
    while (await world.document("clauses/a.txt")).state is not DocumentState.CLAIMED:
        await asyncio.sleep(0)
    dead = World.of(config())  # a process that dies runs nothing more, not even its `finally`
    world.app.drain_tools.model = dead.azure
    drain.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drain
    world.app.drain_tools.model = world.azure
    record = await world.document("clauses/a.txt")
    if record.state is DocumentState.WAITING:
        return
    world.clock.advance(TIMING.work_lease_seconds + TIMING.blob_lease_seconds)
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=3))
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE


async def test_a_lost_answer_of_azure_costs_no_idle_hosting() -> None:
    """The create took effect: as soon as a timer's pass opens the deployment, its driver answers."""
    world = World.of(config())
    world.azure.provision_seconds = world.azure.warmup_seconds = 5
    world.azure.lost_answers = 1
    world.upload("clauses/a.txt")

    async def timer() -> None:
        while world.blobs.names("inbox"):
            await world.clock.sleep(2)
            await world.app.reconcile()

    await asyncio.gather(world.app.document_uploaded("clauses/a.txt"), timer())
    finished_at = (await world.document("clauses/a.txt")).finished_at
    assert finished_at is not None and finished_at < START + timedelta(seconds=30)


async def test_a_document_that_a_dead_worker_holds_makes_no_noise() -> None:
    """Until its claim runs out a slice finds nothing to do, and writes nothing."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await opened(world)
    document = await world.document("clauses/a.txt")
    until = world.clock.now() + timedelta(minutes=4)
    await world.app.documents.save(replace(document, state=DocumentState.CLAIMED, claimed_until=until))
    writes = []
    write = world.tables.write

    async def counted(table: str, *rest: Any) -> tuple[str, ...]:
        writes.append(table)
        return await write(table, *rest)

    world.tables.write = counted  # type: ignore[method-assign]
    await world.app.drain_backlog(50)
    assert writes == []


def test_the_longest_slice_fits_the_functions_time_limit() -> None:
    """host.json's limit would cut every invocation in the worker."""
    host = json.loads((Path(__file__).parents[2] / "host.json").read_text())
    hours, minutes, seconds = (int(part) for part in host["functionTimeout"].split(":"))
    assert hours * 3600 + minutes * 60 + seconds > SLICE_SECONDS + TIMING.request_seconds + 30
