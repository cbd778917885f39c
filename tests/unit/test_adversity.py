"""Adversity: one thing in trouble for long costs no other deployment, no document and no money."""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.app import PartFailed
from shared.documents.ask import AnswerUnusable, accept
from shared.errors import (
    DeploymentNotFound,
    OutcomeUnknown,
    ProviderBusy,
    ProviderRefused,
    RateLimited,
    ServiceRefused,
    StorageError,
)
from shared.model import DocumentState, ModelAnswer, ModelRequest, OneOffWindow, RecordState
from shared.timing import TIMING
from tests.fakes.clock import START
from tests.fakes.world import ACCOUNT, World, config
from tests.unit.test_flow import opened


async def tick(world: World, times: int, seconds: float = 60) -> None:
    """Run both timers so often; either may fail."""
    for _ in range(times):
        for timer in (world.app.reconcile(), world.app.drain_backlog(50)):
            with contextlib.suppress(PartFailed):
                await timer
        world.clock.advance(seconds)


async def test_an_upload_that_cannot_be_read_stops_no_window() -> None:
    """Whatever reading it raises: windows open and close, others are answered, and the pass fails visibly."""
    world = World.of(config("desk", OneOffWindow(START, START + timedelta(minutes=30))), config())
    read = world.blobs.read

    async def broken(container: str, name: str, etag: str | None = None) -> bytes:
        if name == "desk/evil.txt":
            raise zlib.error("incorrect header check")
        return await read(container, name, etag)

    world.blobs.read = broken  # type: ignore[method-assign]
    world.upload("desk/evil.txt")
    world.upload("clauses/good.txt")
    with pytest.raises(PartFailed, match="sweep: error"):
        await world.app.reconcile()
    await tick(world, 40)
    assert world.azure.names() == []
    assert (await world.document("clauses/good.txt")).state is DocumentState.DONE
    assert world.blobs.names("inbox") == ["desk/evil.txt"]


async def open_and_unwanted(*deployments: Any) -> World:
    """Return a world in which `clauses` is open and no longer needed."""
    world = World.of(config(), *deployments)
    world.upload("clauses/a.txt")
    await opened(world)
    world.blobs.remove("inbox", "clauses/a.txt")
    return world


async def test_a_delete_that_is_refused_for_a_day_works_once_it_may() -> None:
    """The recorded reason does not grow meanwhile."""
    world = await open_and_unwanted()
    world.azure.fail_next("delete", *(ProviderRefused("locked", code="ScopeLocked") for _ in range(1500)))
    await tick(world, 24 * 60)
    assert len((await world.record()).decision.reason) < 200
    world.azure._faults.clear()
    await tick(world, 3)
    assert world.azure.names() == []


async def test_a_delete_that_is_refused_holds_up_no_other_deployment(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It concerns one deployment, and is an alert; the others of the account are created and deleted."""
    world = await open_and_unwanted(config("other"))
    world.azure.fail_next("delete", *(ProviderRefused("locked", code="ScopeLocked") for _ in range(4)))
    await world.app.reconcile()
    world.upload("other/b.txt")
    await world.app.reconcile()
    assert world.azure.names() == ["clauses", "other"]
    assert "delete_refused" in caplog.text


async def test_a_failed_creation_is_counted_once() -> None:
    """However often its delete has to be repeated."""
    world = World.of(config())
    world.azure.ends_as = "Failed"
    world.upload("clauses/a.txt")
    await tick(world, 1)
    world.azure.fail_next("delete", *(ProviderBusy("busy", code="RequestConflict") for _ in range(7)))
    await tick(world, 8)
    assert (await world.record()).backoff.failures == 1


async def test_an_answered_delete_does_not_end_the_quarantine_of_an_unanswered_one() -> None:
    """The first may still take effect, and would hit the next generation."""
    world = await open_and_unwanted()
    world.azure.fail_next("delete", OutcomeUnknown("no answer"))
    await world.app.reconcile()
    unanswered_at = world.clock.now()
    world.clock.advance(5)
    await world.app.reconcile()
    assert (await world.record()).settled
    world.upload("clauses/b.txt")
    await world.until(lambda: world.azure.count("put") == 2, timedelta(minutes=5))
    assert world.clock.now() - unanswered_at >= TIMING.quarantine


async def test_an_unanswered_create_is_in_doubt_for_two_minutes() -> None:
    """Forgotten too early, a late effect without its tag would be taken for somebody else's."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    world.azure.fail_next("put", OutcomeUnknown("no answer"))
    await world.app.reconcile()
    world.clock.advance(TIMING.quarantine.total_seconds() - 5)
    await world.app.reconcile()
    assert (await world.record()).state is RecordState.CREATING
    assert world.azure.count("put") == 1


async def test_a_quarter_of_an_hour_of_rate_limits_blames_no_document() -> None:
    """They rest for as long as the server names, and are answered."""
    world = World.of(config())
    for n in range(3):
        world.upload(f"clauses/{n}.txt")
    await opened(world)
    ends, ask = world.clock.now() + timedelta(minutes=15), world.azure.ask

    async def limited(*args: Any, **kwargs: Any) -> ModelAnswer:
        if world.clock.now() < ends:
            raise RateLimited("429", retry_after=60.0)
        return await ask(*args, **kwargs)

    world.azure.ask = limited  # type: ignore[method-assign]
    while world.blobs.names("inbox"):
        await world.app.drain_backlog(400)
        world.clock.advance(10)
        assert world.clock.now() < ends + timedelta(minutes=10)
    documents = [await world.document(f"clauses/{n}.txt") for n in range(3)]
    assert {(each.state, each.attempts) for each in documents} == {(DocumentState.DONE, 0)}


@pytest.mark.parametrize("operation", ["copy", "create"])
async def test_storage_in_trouble_makes_no_dead_letter(operation: str) -> None:
    """Half an hour in which results or moves are refused: the document waits, what it cost is kept."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    works = getattr(world.blobs, operation)

    async def refused(*_: Any) -> None:
        raise StorageError("blob storage refused")

    setattr(world.blobs, operation, refused)
    await tick(world, 30)
    document = await world.document("clauses/a.txt")
    assert (document.state, document.crashes, document.attempts) == (DocumentState.WAITING, 0, 0)
    assert document.cost > 0
    setattr(world.blobs, operation, works)
    await tick(world, 5)
    done = await world.document("clauses/a.txt")
    assert done.state is DocumentState.DONE
    assert world.azure.names() == []


async def test_a_slice_ends_after_its_requests_whatever_else_fails() -> None:
    """A table that cannot be read for one deployment does not let the function end over another's request."""
    world = World.of(config("aaa"), config("bbb"))
    world.upload("aaa/1.txt")
    await opened(world)
    has_unfinished = world.app.documents.has_unfinished

    async def flaky(deployment: str) -> Any:
        if deployment == "bbb":
            raise StorageError("table storage did not answer")
        return await has_unfinished(deployment)

    record = await world.record("aaa")
    etag = (await world.record("bbb")).etag
    await world.app.context.ledger.save(replace(record, deployment="bbb", etag=etag))
    object.__setattr__(world.app.documents, "has_unfinished", flaky)
    with pytest.raises(PartFailed, match="bbb"):
        await world.app.drain_backlog(50)
    assert (await world.document("aaa/1.txt", "aaa")).state is DocumentState.DONE


async def test_a_slice_that_ends_by_an_error_starts_no_other_request() -> None:
    """Nobody looks any more whether the deployment closes: what waits for the rate limit is handed back."""
    world = World.of(config(capacity=6))  # six requests a minute: one in ten seconds
    for number in range(3):
        world.upload(f"clauses/{number}.txt")
    await opened(world)
    page = world.tables.page

    async def fails_after_an_answer(table: str, *where: Any) -> Any:
        if table == "documents" and len(world.azure.asked) > 1:
            raise StorageError("table storage did not answer")
        return await page(table, *where)

    object.__setattr__(world.tables, "page", fails_after_an_answer)
    with pytest.raises(PartFailed, match="did not answer"):
        await world.app.drain_backlog(50)
    assert world.azure.asked == ["ready?", "some text"]
    object.__setattr__(world.tables, "page", page)
    await tick(world, 2)
    states = {(await world.document(f"clauses/{number}.txt")).state for number in range(3)}
    assert states == {DocumentState.DONE}


async def test_a_slice_that_azure_refuses_starts_no_other_request() -> None:
    """The others wait for the rate limit, and nobody looks any more whether the deployment closes."""
    world = World.of(config(capacity=6))
    for number in range(3):
        world.upload(f"clauses/{number}.txt")
    await opened(world)
    ask, asked_at = world.azure.ask, []

    async def refused(*request: Any, timeout: float) -> ModelAnswer:
        asked_at.append(world.clock.monotonic())
        if len(asked_at) == 1:
            await world.clock.sleep(1.0)
            raise ServiceRefused("400", code="OperationNotSupported", status=400)
        return await ask(*request, timeout=timeout)

    world.azure.ask = refused  # type: ignore[method-assign]
    await world.app.drain_backlog(50)
    assert asked_at[-1] - asked_at[0] < 2.0


async def test_a_deployment_that_does_not_answer_any_more_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The documents wait, and there is an alert."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(hours=2))))
    await tick(world, 10)
    world.azure.fail_next("ask", DeploymentNotFound("gone", code="DeploymentNotFound"))
    world.upload("clauses/a.txt")
    await tick(world, 1)
    assert "drain_failed" in caplog.text
    assert (await world.document("clauses/a.txt")).attempts == 0


async def test_a_creation_that_takes_hours_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """It may cost money from the create request on."""
    world = World.of(config())
    world.azure.provision_seconds = 10**6
    world.upload("clauses/a.txt")
    while world.clock.now() < START + timedelta(minutes=58):
        await tick(world, 1)
    assert "create_failed" not in caplog.text
    await tick(world, 5)
    assert "creating it for over an hour" in caplog.text


async def test_an_account_with_nothing_left_is_not_asked_any_more() -> None:
    """Taken out of the file and emptied, it may be deleted in Azure."""
    world = await open_and_unwanted()
    await tick(world, 3)
    app = world.reconfigured(config("other")).app
    elsewhere = replace(ACCOUNT, resource_id=f"{ACCOUNT.resource_id}2")
    moved = replace(app, settings=replace(app.settings, accounts={elsewhere.resource_id: elsewhere}))
    assert [account.resource_id for account in await moved.accounts()] == [elsewhere.resource_id]


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('{"n":1' + "0" * 400 + "}", {"properties": {"n": {"type": "number", "multipleOf": 0.01}}}),
        ('{"a":' * 240 + "{}" + "}" * 240, {"properties": {"a": {"$ref": "#"}}}),
    ],
    ids=["too large a number", "nested too deeply"],
)
def test_an_answer_that_breaks_the_validator_is_just_unusable(text: str, schema: dict[str, Any]) -> None:
    """What a model answers is untrusted."""
    request = ModelRequest((), 10, {"type": "object", **schema})
    with pytest.raises(AnswerUnusable, match="cannot be checked"):
        accept(ModelAnswer(text, "stop", "m", 1, 1), request)
