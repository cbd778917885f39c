"""Blame: a document fails only by its own fault, and an outage costs neither documents nor hosting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.app import PartFailed
from shared.documents.alone import MAX_LONE_CRASHES, SUSPECT_AFTER
from shared.documents.claims import MAX_ATTEMPTS
from shared.errors import (
    AccessDenied,
    ModelError,
    ModelUnavailable,
    ProviderBusy,
    RateLimited,
    RequestRefused,
    ServiceRefused,
)
from shared.hosting.answering import Trouble, note_slice
from shared.model import (
    TINY,
    Document,
    DocumentState,
    ModelAnswer,
    ModelRequest,
    OneOffWindow,
    RecordState,
    Task,
    prompt,
)
from shared.timing import TIMING
from tests.fakes.clock import START
from tests.fakes.world import World, config

MINUTE = timedelta(minutes=1)
SLICE = 178.0  # seconds: long enough for a document to be given up, and not cut short by its end
Fault = Callable[[ModelRequest], ModelError | None]


def meets(world: World, fault: Fault) -> None:
    """Make requests raise the error that `fault` has for them."""
    ask = type(world.azure).ask

    async def faulty(endpoint: str, deployment: str, request: ModelRequest, *, timeout: float) -> ModelAnswer:
        if (error := fault(request)) is not None and deployment in world.azure.names():
            if error.code == "timeout":
                await world.clock.sleep(timeout)
            raise error
        return await ask(world.azure, endpoint, deployment, request, timeout=timeout)

    world.azure.ask = faulty  # type: ignore[method-assign]


async def ticks(world: World, minutes: int) -> None:
    """Run both timers each minute; either may fail."""
    for _ in range(minutes):
        for timer in (world.app.reconcile(), world.app.drain_backlog(SLICE)):
            with contextlib.suppress(PartFailed):
                await timer
        world.clock.advance(60 - world.clock.monotonic() % 60)


async def documents(world: World) -> list[Document]:
    """Return all documents, by arrival."""
    return [*(await world.app.documents.listed("clauses", None, "", 1000)).documents]


async def states(world: World) -> set[tuple[DocumentState, int]]:
    """Return the states of documents, each with its attempts."""
    return {(each.state, each.attempts) for each in await documents(world)}


def hosted_minutes(world: World) -> float:
    """Return the minutes of hosting by Azure's record."""
    ends = [(each.gone or world.clock.now()) - each.created for each in world.azure.state.generations]
    return sum(ends, timedelta()) / MINUTE


REFUSALS = [
    ServiceRefused("the deployment is paused", code="DeploymentPaused", status=423),
    ServiceRefused("the model is retired", code="ModelRetired", status=410),
    ServiceRefused("not allowed", code="405", status=405),
    ServiceRefused("not supported", code="OperationNotSupported", status=400),
    AccessDenied("the firewall says no", code="Firewall", status=403),
    ServiceRefused("a dependency failed", code="424", status=424),
    ServiceRefused("nobody knows", code="TeapotError", status=418),
]


async def meets_for(world: World, fault: Fault, minutes: int, documents_waiting: int) -> None:
    """Upload documents, which meet the fault for so long, and must lose no attempt by it."""
    meets(world, fault)
    for number in range(documents_waiting):
        world.upload(f"clauses/{number}.txt")
    await ticks(world, minutes)
    found = [(each.state, each.attempts) for each in await documents(world)]
    assert found == [(DocumentState.WAITING, 0)] * documents_waiting


async def all_are_answered(world: World) -> None:
    """Without the fault, each document is answered at its first attempt."""
    meets(world, lambda _: None)
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=80))
    assert await states(world) == {(DocumentState.DONE, 0)}


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.code)
async def test_what_azure_refuses_to_everybody_costs_no_document(
    error: ModelError, caplog: pytest.LogCaptureFixture
) -> None:
    """For two hours: the backlog waits without an attempt, hosting is bounded, the alert names the code."""
    world = World.of(config())
    await meets_for(world, lambda _: error, 120, 8)
    assert f'"code": "{error.code}"' in caplog.text
    assert "not_answering" in caplog.text
    assert hosted_minutes(world) < 60
    await all_are_answered(world)


@pytest.mark.parametrize("probe_too", [True, False])
async def test_an_outage_costs_neither_documents_nor_hosting(
    probe_too: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Three hours of 503, also if tiny requests are answered: each generation ends within 15 minutes."""
    world = World.of(config())
    outage = ModelUnavailable("503", code="503", status=503)
    await meets_for(world, lambda asked: outage if probe_too or asked.text != TINY.text else None, 180, 20)
    ready = timedelta(seconds=world.azure.provision_seconds)
    stood = [
        (each.gone or world.clock.now()) - each.created - ready for each in world.azure.state.generations
    ]
    assert max(stood) <= 15 * MINUTE
    assert hosted_minutes(world) < 75
    assert "not_answering" in caplog.text
    await all_are_answered(world)


async def test_a_delete_that_has_to_be_repeated_counts_one_generation_without_an_answer() -> None:
    """Another write runs on the account for a while: the next create must not wait an hour for that."""
    world = World.of(config())
    meets(
        world,
        lambda asked: ModelUnavailable("503", code="503", status=503) if asked.text != TINY.text else None,
    )
    world.upload("clauses/a.txt")
    await ticks(world, 6)
    world.azure.fail_next("delete", *[ProviderBusy("busy", code="RequestConflict")] * 8)
    await world.until(lambda: world.azure.count("delete") > 8, within=timedelta(hours=1))
    assert (await world.record()).backoff.unanswered_runs == 1


@pytest.mark.parametrize(
    "error",
    [
        RateLimited("429", code="429", status=429, retry_after=86_400),
        RateLimited("429", code="429", status=429, retry_after=1),
        ServiceRefused("unknown", code="unsupported_value", status=400),
        ModelUnavailable("500", code="500", status=500),
    ],
    ids=["429 for a day", "429", "400", "500"],
)
@pytest.mark.parametrize("others", [0, 6])
async def test_one_document_that_is_refused_for_ever_is_to_blame(error: ModelError, others: int) -> None:
    """The others are answered meanwhile; it ends after five attempts, and so does its hosting."""
    world = World.of(config())
    meets(world, lambda asked: error if "odd" in asked.text else None)
    world.upload("clauses/odd.txt", "an odd one")
    for number in range(others):
        world.upload(f"clauses/{number}.txt")
    await ticks(world, 6)
    answered = [each for each in await documents(world) if each.state is DocumentState.DONE]
    assert len(answered) == others
    for _ in range(60):
        await ticks(world, 1)
        if not world.blobs.names("inbox") and not world.azure.names():
            break
    (odd,) = (each for each in await documents(world) if each.name == "clauses/odd.txt")
    assert (odd.state, odd.attempts) == (DocumentState.FAILED, MAX_ATTEMPTS - 1)
    assert "gave up after 5 attempts" in odd.reason
    assert hosted_minutes(world) < 60


async def test_an_answer_opens_again_what_closes_for_lack_of_one() -> None:
    """The answer comes while it closes, and others wait: the next pass does not delete it."""
    world = World.of(config(capacity=6))
    outage = ModelUnavailable("500", status=500)
    meets(world, lambda request: outage if request.text != TINY.text else None)
    world.upload("clauses/a.txt")
    while (record := await world.record()).generation.unanswered_since is None:
        await ticks(world, 1)
    closing = replace(record, state=RecordState.CLOSING)
    await world.app.context.ledger.save(closing)
    for answered in (False, True):
        trouble = None if answered else Trouble(world.clock.now(), "500", silent=False)
        await note_slice(
            world.app.context.ledger,
            record.hosted_id,
            world.clock.now(),
            answered=answered,
            trouble=trouble,
        )
        is_noted = (await world.record()).generation.unanswered_since is None
        assert is_noted == answered
    await world.app.reconcile()
    assert (await world.record()).state is RecordState.OPEN


async def test_what_was_refused_is_asked_after_the_others() -> None:
    """It arrived first. A slice ends where it is refused again, and would never reach the others."""
    world = World.of(config(capacity=6))
    refused = ServiceRefused("400 unsupported_value", code="unsupported_value", status=400)
    asked = list[str]()

    def fault(request: ModelRequest) -> ModelError | None:
        asked.append(request.text)
        return refused if request.text == "refused" else None

    meets(world, fault)
    world.upload("clauses/a.txt", "refused")
    await ticks(world, 4)
    assert "refused" in asked
    asked.clear()
    world.clock.advance(120)
    world.upload("clauses/b.txt", "later")
    await world.app.reconcile()
    with contextlib.suppress(PartFailed):
        await world.app.drain_backlog(SLICE)
    assert (await world.document("clauses/b.txt")).state is DocumentState.DONE
    assert [text for text in asked if text != TINY.text] == ["later", "refused"]


async def test_a_limit_that_others_use_up_blames_nobody() -> None:
    """429 for all but tiny requests, and the headers say that nothing is left: the document waits."""
    world = World.of(config())
    ask = type(world.azure).ask

    async def used_up(
        endpoint: str, deployment: str, request: ModelRequest, *, timeout: float
    ) -> ModelAnswer:
        if request.text != TINY.text:
            raise RateLimited("429", code="429", status=429, retry_after=20)
        answer = await ask(world.azure, endpoint, deployment, request, timeout=timeout)
        return replace(answer, remaining_tokens=30)

    world.azure.ask = used_up  # type: ignore[method-assign]
    world.upload("clauses/a.txt")
    await ticks(world, 90)
    (document,) = await documents(world)
    assert (document.state, document.attempts) == (DocumentState.WAITING, 0)


async def test_a_window_keeps_what_serves_others() -> None:
    """The app itself is refused all the time: no re-creation in the window, as others may be served."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(hours=8))))
    meets(world, lambda _: AccessDenied("no", code="Firewall", status=403))
    world.upload("clauses/a.txt")
    await ticks(world, 40)
    assert (world.azure.count("put"), world.azure.count("delete")) == (1, 0)


@pytest.mark.parametrize(
    "error",
    [
        RequestRefused("max_tokens reached", code="invalid", status=400),
        ServiceRefused("unknown parameter", code="unsupported_parameter", status=400),
        RateLimited("429", status=429),
    ],
    ids=lambda error: str(error.status),
)
async def test_a_probe_that_is_limited_or_judged_shows_that_the_deployment_is_there(
    error: ModelError,
) -> None:
    """As of a reasoning model with a small budget, or a busy model: it is open, and answers documents."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(hours=2))))
    meets(world, lambda asked: error if asked.text == TINY.text else None)
    world.upload("clauses/a.txt")
    await ticks(world, 60)
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE
    assert (world.azure.count("put"), world.azure.count("delete")) == (1, 0)


async def test_requests_that_time_out_count_towards_the_cap() -> None:
    """Azure may charge for abandoned requests: a document whose answer never ends reaches its cost limit."""
    world = World.of(config(task=Task(prompt("Summarise."), 1000, max_cost_per_document=0.005)))
    meets(
        world,
        lambda asked: ModelUnavailable("no answer", code="timeout") if asked.text != TINY.text else None,
    )
    world.upload("clauses/a.txt")
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(hours=2))
    document = await world.document("clauses/a.txt")
    assert document.state is DocumentState.FAILED
    assert "max_cost_per_document" in document.reason
    assert document.cost >= 2 * 1000 * 1.60 / 1_000_000


# --- crashes -----------------------------------------------------------------------------------------


async def test_a_document_that_kills_workers_takes_no_other_with_it() -> None:
    """The process dies whenever it is asked; the five beside it are answered, and it alone is blamed."""
    world = World.of(config())
    killed: list[int] = []

    class Died(BaseException):
        """The process has ended: none of its code has an effect any more."""

    async def deadly(endpoint: str, deployment: str, request: ModelRequest, *, timeout: float) -> Any:
        if "deadly" in request.text:
            await world.clock.sleep(1)
            killed.append(sum(each.state is DocumentState.CLAIMED for each in await waiting(world)))
            raise Died
        return await ask(world.azure, endpoint, deployment, request, timeout=timeout)

    ask = type(world.azure).ask
    world.azure.ask = deadly  # type: ignore[method-assign]
    world.azure.answer_seconds = 5
    world.upload("clauses/deadly.txt", "a deadly one")
    for number in range(5):
        world.upload(f"clauses/{number}.txt")
    for _ in range(120):
        await world.app.reconcile()
        await _until_death(world, Died)
        world.clock.advance(60)
        if not world.blobs.names("inbox"):
            break
    found = {each.name: each for each in await documents(world)}
    deadly_one = found.pop("clauses/deadly.txt")
    assert {each.state for each in found.values()} == {DocumentState.DONE}
    assert deadly_one.state is DocumentState.FAILED
    assert "nothing else" in deadly_one.reason
    assert len(killed) == SUSPECT_AFTER + MAX_LONE_CRASHES
    assert killed[SUSPECT_AFTER:] == [1] * MAX_LONE_CRASHES


async def test_what_is_to_blame_for_crashes_is_settled_though_nothing_is_hosted() -> None:
    """Another deployment for it would only cost money: the sweep settles it after its last claim expires."""
    world = World.of(config())
    world.upload("clauses/deadly.txt")
    await world.app.intake.sweep()
    (deadly,) = await waiting(world)
    claimed_until = world.clock.now() + timedelta(seconds=TIMING.work_lease_seconds)
    before = replace(deadly, state=DocumentState.CLAIMED, alone=True, claimed_until=claimed_until)
    before = replace(before, crashes=SUSPECT_AFTER + 2, lone_crashes=MAX_LONE_CRASHES - 1)
    await world.app.documents.save(before)
    await world.app.intake.sweep()
    assert (await world.document("clauses/deadly.txt")).state is DocumentState.CLAIMED
    world.clock.advance(TIMING.work_lease_seconds + 1)
    await world.app.reconcile()
    settled = await world.document("clauses/deadly.txt")
    assert (settled.state, settled.lone_crashes) == (DocumentState.FAILED, MAX_LONE_CRASHES)
    assert "nothing else" in settled.reason
    assert world.azure.count("put") == 0


async def waiting(world: World) -> list[Document]:
    return [each async for each in world.app.documents.unfinished("clauses")]


async def _until_death(world: World, died: type[BaseException]) -> None:
    """Run a slice until the process dies, and leave its unfinished work as it is."""
    slice_ = asyncio.create_task(world.app.drain_backlog(50))
    with contextlib.suppress(died, PartFailed):
        await slice_
    app = world.app
    world.app = world.reconfigured(*app.settings.deployments.values()).app
    world.clock.advance(TIMING.work_lease_seconds)


async def test_a_suspect_is_not_kept_waiting_by_what_comes_later() -> None:
    """Documents arrive all the time: after ten minutes it is processed alone, and answered."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(hours=8))))
    world.azure.answer_seconds = 100
    await ticks(world, 2)
    world.upload("clauses/hit.txt", "hit by two crashes")
    await world.app.reconcile()
    (hit,) = await waiting(world)
    await world.app.documents.save(replace(hit, crashes=SUSPECT_AFTER))
    for minute in range(8):
        for number in range(100):
            world.upload(f"clauses/{minute}-{number}.txt")
        await ticks(world, 1)
        if (await world.document("clauses/hit.txt")).state is DocumentState.DONE:
            return
    raise AssertionError("it is never worked on")
