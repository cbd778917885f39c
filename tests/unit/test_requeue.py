"""A dead letter's next run, in memory and virtual time: from `failed`, once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.app import PartFailed
from shared.documents.results import result_name
from shared.doors import api
from shared.errors import StorageError
from shared.model import Document, DocumentState, OneOffWindow, RecordState, Task, UploadStart
from tests.fakes.clock import START
from tests.fakes.world import World, config
from tests.unit.command_line import command

NIGHT = OneOffWindow(START + timedelta(hours=10), START + timedelta(hours=16), stop_when_empty=True)
NAME = "clauses/letter.txt"


async def failed(world: World, name: str = NAME, text: str = "Dear all") -> Document:
    """A document that the model refused once; nothing is deployed any more."""
    world.upload(name, f"[[content_filter]] {text}")
    await world.app.document_uploaded(name)
    await gone(world)
    document = await world.document(name)
    assert (document.state, document.run) == (DocumentState.FAILED, 1)
    container, _, kept = document.moved_to.partition("/")
    # Somebody saw what the filter met, and mended the file where it lies.
    world.blobs.upload(container, kept, text.encode())
    return document


async def gone(world: World) -> None:
    """Nothing is deployed any more."""
    for _ in range(20):
        if (await world.record()).state is RecordState.ABSENT:
            return
        await world.tick()
        world.clock.advance(30)
    raise AssertionError("it is still deployed")


async def finished(world: World, name: str = NAME, minutes: int = 30) -> Document:
    """The document once it is final and tidied up, by the timers alone."""
    for _ in range(minutes * 2):
        with contextlib.suppress(PartFailed):
            await world.app.reconcile()
        with contextlib.suppress(PartFailed):
            await world.app.drain_backlog(25)
        world.clock.advance(30)
    document = await world.document(name)
    assert document.state not in (DocumentState.WAITING, DocumentState.CLAIMED)
    return document


async def requeue(world: World, document: Document, status: int = 202) -> dict[str, Any]:
    """By HTTP, with that outcome."""
    reply = await api.requeue(world.app, document.id)
    assert reply.status == status, reply.body
    return dict(reply.body)


def note_of(document: Document) -> str:
    return f"{document.moved_to.removeprefix('failed/')}.reason.txt"


# --- the next run ------------------------------------------------------------------------------------


async def test_a_dead_letter_is_answered_in_its_next_run() -> None:
    """Read where it was moved to; the timers create, answer, tidy up and delete."""
    world = World.of(config())
    before = await failed(world)
    told = await requeue(world, before)
    assert (told["state"], told["run"], told["attempts"]) == ("waiting", 2, 0)
    assert told["moved_to"] == before.moved_to
    assert world.blobs.names("inbox") == []
    assert (await world.app.documents.demand("clauses")).unfinished == 1
    after = await finished(world)
    assert (after.state, after.run) == (DocumentState.DONE, 2)
    assert after.result == result_name(after)
    assert after.result.endswith(".2.json")
    assert json.loads(await world.blobs.read("results", after.result))["document"]["run"] == 2
    assert world.azure.asked.count("Dear all") == 1
    assert after.moved_to == before.moved_to.replace("failed/", "processed/")
    assert await world.blobs.read("processed", after.moved_to.removeprefix("processed/")) == b"Dear all"
    assert world.blobs.names("failed") == []
    assert world.azure.names() == []


async def test_it_waits_for_its_window_like_any_document() -> None:
    """Where documents do not start the deployment, a requeued one does not either; the sweep lets it wait."""
    world = World.of(config())
    before = await failed(world)
    world = world.reconfigured(config("clauses", NIGHT, uploads=UploadStart.SCHEDULED))
    told = await requeue(world, before)
    assert "wait for the next window" in told["reason"]
    for _ in range(5):
        await world.tick()
        world.clock.advance(60)
    assert (await world.document(NAME)).state is DocumentState.WAITING
    world.clock.advance(10 * 3600)
    assert (await finished(world)).state is DocumentState.DONE


async def test_what_fails_again_has_the_new_reason_beside_it() -> None:
    """The source stays where it is, the note is replaced, and it may be requeued again."""
    world = World.of(config())
    before = await failed(world)
    note = await world.blobs.read("failed", note_of(before))
    container, _, kept = before.moved_to.partition("/")
    world.blobs.upload(container, kept, b"")
    world.blobs.upload(container, kept, b"mended [[content_filter]]")
    await requeue(world, before)
    world.blobs.upload(container, kept, b"%PDF")  # and broken in another way
    again = await finished(world)
    assert (again.state, again.run, again.moved_to) == (DocumentState.FAILED, 2, before.moved_to)
    assert "PDF" in again.reason
    assert world.blobs.names("failed") == [kept, note_of(before)]
    assert await world.blobs.read("failed", note_of(before)) == f"{again.reason}\n".encode() != note
    world.blobs.upload(container, kept, b"Dear all")
    await requeue(world, again)
    assert (await finished(world)).run == 3


async def test_attempts_and_crashes_begin_anew_and_cost_goes_on() -> None:
    """The cap per document holds over all runs; so do tokens."""
    world = World.of(config())
    before = await failed(world)
    spent = replace(before, attempts=5, crashes=3, cost=0.25, prompt_tokens=100, completion_tokens=10)
    await _write(world, spent)
    await requeue(world, before)
    waiting = await world.document(NAME)
    assert (waiting.attempts, waiting.crashes, waiting.reason) == (0, 0, "")
    assert (waiting.finished_at, waiting.result, waiting.claimed_until) == (None, "", None)
    assert (waiting.cost, waiting.prompt_tokens, waiting.completion_tokens) == (0.25, 100, 10)
    after = await finished(world)
    assert after.state is DocumentState.DONE
    assert after.cost > 0.25 and after.prompt_tokens > 100 and after.completion_tokens == 17


async def _write(world: World, document: Document) -> None:
    """As if it had ended so."""
    from shared.ports import Replace
    from shared.rows import to_values

    key = f"d {document.id.partition('~')[2]}"
    await world.tables.write("documents", "clauses", [Replace(key, to_values(document), None)])


# --- what cannot be requeued -------------------------------------------------------------------------


async def test_what_still_cannot_be_answered_is_refused_and_costs_nothing() -> None:
    """Its cap is spent, it is too large, it is no text: 409 with the reason, nothing changed or deployed."""
    world = World.of(config(task=Task("Summarise.", 100, None, 0.01)))
    before = await failed(world)
    await _write(world, replace(before, cost=0.0099))
    creates = world.azure.count("put")
    assert "max_cost_per_document" in (await requeue(world, before, 409))["error"]
    await _write(world, before)
    container, _, kept = before.moved_to.partition("/")
    for data, reason in ((b"", "empty"), (b"x" * 1_000_001, "max_document_bytes"), (b"%PDF", "PDF")):
        world.blobs.upload(container, kept, data)
        assert reason in (await requeue(world, before, 409))["error"]
    assert (await world.document(NAME)).state is DocumentState.FAILED
    await world.tick()
    assert world.azure.count("put") == creates


async def test_a_source_that_is_gone_cannot_be_read_again() -> None:
    """Deleted from `failed`, or never kept there."""
    world = World.of(config())
    before = await failed(world)
    world.blobs.remove("failed", before.moved_to.removeprefix("failed/"))
    assert "is not there any more" in (await requeue(world, before, 409))["error"]
    await _write(world, replace(before, moved_to=""))
    assert "was not kept" in (await requeue(world, before, 409))["error"]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (DocumentState.DONE, "submit it again"),
        (DocumentState.SUPERSEDED, "see the newer document"),
        (DocumentState.WITHDRAWN, "was deleted"),
    ],
)
async def test_only_what_failed_is_requeued(state: DocumentState, says: str) -> None:
    """With the reason and what to do."""
    world = World.of(config())
    before = await failed(world)
    await _write(world, replace(before, state=state))
    told = await requeue(world, before, 409)
    assert f"it is {state}" in told["error"] and says in told["error"]


async def test_a_document_of_no_deployment_and_an_unknown_id() -> None:
    """Its deployment is not in the file (any more): the likely name is told."""
    world = World.of(config())
    before = await failed(world)
    elsewhere = world.reconfigured(config("clause"))
    told = await requeue(elsewhere, before, 409)
    assert told["error"] == "no deployment is called 'clauses': did you mean 'clause'?"
    assert (await api.requeue(world.app, "clauses~20261123T080000-0123456789abcdef")).status == 404
    assert (await api.requeue(world.app, "nonsense")).status == 404


async def test_an_upload_to_a_misspelt_folder_once_the_deployment_exists() -> None:
    """It failed as nobody was called so; now somebody is."""
    world = World.of(config())
    world.upload("claims/a.txt")
    await world.app.document_uploaded("claims/a.txt")
    before = await world.document("claims/a.txt", "claims")
    assert before.state is DocumentState.FAILED
    world = world.reconfigured(config("claims"))
    await requeue(world, before)
    await world.until(lambda: len(world.results()) == 1, timedelta(minutes=10))
    assert (await world.document("claims/a.txt", "claims")).state is DocumentState.DONE


# --- whatever happens meanwhile ----------------------------------------------------------------------


async def test_two_requeues_at_the_same_time_are_one_run() -> None:
    """Whoever comes second finds it waiting, and is told so; later repetitions change nothing either."""
    world = World.of(config())
    before = await failed(world)
    read, both = world.blobs.read, asyncio.Barrier(2)

    async def together(container: str, name: str, etag: str | None = None) -> bytes:
        data = await read(container, name, etag)
        await both.wait()
        return data

    world.blobs.read = together  # type: ignore[method-assign]
    told = await asyncio.gather(*(requeue(world, before) for _ in range(2)))
    world.blobs.read = read  # type: ignore[method-assign]
    assert [(each["state"], each["run"]) for each in told] == [("waiting", 2)] * 2
    assert (await requeue(world, before))["run"] == 2
    assert (await finished(world)).run == 2
    assert world.azure.asked.count("Dear all") == 1
    assert "it is done" in (await requeue(world, before, 409))["error"]


async def test_a_requeue_that_comes_late_does_not_begin_yet_another_run() -> None:
    """It read the dead letter before somebody else's requeue, and writes when that run is over."""
    world = World.of(config())
    before = await failed(world)
    await requeue(world, before)
    after = await finished(world)
    late = replace(before, state=DocumentState.WAITING, run=2)
    assert not await world.app.documents.try_reopen(late)
    assert await world.document(NAME) == after
    assert (await world.app.documents.demand("clauses")).unfinished == 0


async def test_the_same_upload_still_in_the_inbox_is_the_same_document() -> None:
    """A crash left it there before the requeue: neither event nor sweep make another of it, and it goes."""
    world = World.of(config())
    delete = world.blobs.delete

    async def crash(*_: object) -> bool:
        raise StorageError("the process died here")

    world.blobs.delete = crash  # type: ignore[method-assign]
    world.upload(NAME, "Dear all [[content_filter]]")
    with contextlib.suppress(StorageError, PartFailed):
        await world.app.document_uploaded(NAME)
    world.blobs.delete = delete  # type: ignore[method-assign]
    before = await world.document(NAME)
    assert (before.state, world.blobs.names("inbox")) == (DocumentState.FAILED, [NAME])
    world.blobs.upload("failed", before.moved_to.removeprefix("failed/"), b"Dear all")
    await requeue(world, before)
    await asyncio.gather(world.app.document_uploaded(NAME), world.app.reconcile())
    after = await finished(world)
    assert (after.state, after.run) == (DocumentState.DONE, 2)
    assert world.blobs.names("inbox") == []
    history = await world.app.documents.listed("clauses", None, "", 10)
    assert len(history.documents) == 1


async def test_a_newer_upload_of_the_same_name_is_a_document_of_its_own() -> None:
    """Neither takes the other's source away."""
    world = World.of(config())
    before = await failed(world)
    await requeue(world, before)
    world.clock.advance(1)
    world.upload(NAME, "a newer letter")
    await finished(world)
    history = await world.app.documents.listed("clauses", None, "", 10)
    assert [(each.state, each.run) for each in history.documents] == [
        (DocumentState.DONE, 2),
        (DocumentState.DONE, 1),
    ]
    assert len(world.blobs.names("processed")) == len(world.results()) == 2


async def test_who_deletes_the_source_meanwhile_withdraws_it() -> None:
    """It is final with that reason, and nothing waits for it for ever."""
    world = World.of(config())
    before = await failed(world)
    await requeue(world, before)
    world.blobs.remove("failed", before.moved_to.removeprefix("failed/"))
    after = await finished(world)
    assert after.state is DocumentState.WITHDRAWN
    assert after.reason == "the file was deleted from failed before it was answered"
    assert world.azure.names() == []


async def test_a_file_mended_while_it_is_answered_is_not_deleted() -> None:
    """What was answered is kept in `processed`; a version that nobody read stays where it is."""
    world = World.of(config())
    before = await failed(world)
    container, _, kept = before.moved_to.partition("/")
    await requeue(world, before)
    copy = world.blobs.copy

    async def mended(*arguments: Any) -> None:
        await copy(*arguments)
        world.blobs.upload(container, kept, b"a newer text")

    world.blobs.copy = mended  # type: ignore[method-assign]
    after = await finished(world)
    assert after.state is DocumentState.DONE
    assert await world.blobs.read("processed", after.moved_to.removeprefix("processed/")) == b"Dear all"
    assert world.blobs.names("failed") == [kept]


async def test_a_deployment_that_is_taken_out_of_the_file_is_told() -> None:
    """Nothing hosts it: the document says so, and is answered when the deployment is back."""
    world = World.of(config())
    before = await failed(world)
    await requeue(world, before)
    without = world.reconfigured(config("other"))
    await without.tick()
    told = (await api.document(without.app, before.id)).body
    assert (told["state"], told["reason"]) == (
        "waiting",
        "no deployment is called 'clauses': known are other",
    )
    assert (await finished(world)).state is DocumentState.DONE


class Killed(BaseException):
    """The process is gone: nothing catches this but the end of the slice."""


@contextlib.contextmanager
def mortal(world: World, dies_at: int) -> Iterator[list[str]]:
    """The process dies before its nth write, and does nothing after it; yields the writes that it did."""
    done: list[str] = []
    calls = {
        (port, name): getattr(port, name)
        for port, names in (
            (world.tables, ("get", "page", "write")),
            (world.blobs, ("stat", "read", "create", "copy", "delete", "acquire_lease", "release_lease")),
        )
        for name in names
    }

    def wrapped(port: object, name: str) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            if name in ("write", "create", "copy", "delete"):
                done.append(name)
            if len(done) >= dies_at:
                raise Killed
            return await calls[port, name](*arguments, **named)

        return call

    for port, name in calls:
        setattr(port, name, wrapped(port, name))
    try:
        yield done
    finally:
        for (port, name), call in calls.items():
            setattr(port, name, call)


@pytest.mark.parametrize("outcome", [DocumentState.DONE, DocumentState.FAILED])
async def test_a_crash_between_any_two_steps_loses_nothing(outcome: DocumentState) -> None:
    """The slice that answers a requeued document is killed before each of its writes in turn."""
    survived = False
    for dies_at in range(1, 60):
        world = World.of(config())
        before = await failed(world)
        container, _, kept = before.moved_to.partition("/")
        await requeue(world, before)
        if outcome is DocumentState.FAILED:
            world.blobs.upload(container, kept, b"%PDF")
        for _ in range(10):
            await world.app.reconcile()
            world.clock.advance(30)
        assert (await world.record()).state is RecordState.OPEN
        with mortal(world, dies_at) as writes:
            try:
                await world.app.drain_backlog(25)
            except (Killed, PartFailed):
                pass
            else:
                survived = len(writes) < dies_at
        world.clock.advance(300)
        after = await finished(world, minutes=6)
        assert (after.state, after.run) == (outcome, 2), dies_at
        assert world.blobs.names("inbox") == []
        if outcome is DocumentState.DONE:
            assert world.blobs.names("failed") == [], dies_at
            assert [name.rpartition(".")[0][-2:] for name in world.results()] == [".2"]
            assert world.blobs.names("processed") == [after.moved_to.removeprefix("processed/")]
            assert await world.blobs.read("processed", world.blobs.names("processed")[0]) == b"Dear all"
        else:
            assert world.blobs.names("failed") == [kept, note_of(before)], dies_at
            assert "PDF" in (await world.blobs.read("failed", note_of(before))).decode()
        page = await world.tables.page("documents", "clauses", "c ", "c ~", 10)
        assert page.rows == (), "nothing is left to tidy up"
        if survived:
            break
    assert survived, "the slice was killed at each of its writes, and once at none"
    assert dies_at > 8


# --- the command -------------------------------------------------------------------------------------


async def test_requeue_by_id() -> None:
    """Each with its outcome; what could not be requeued makes the exit code 1."""
    world = World.of(config())
    first = await failed(world, "clauses/a.txt", "Dear A")
    second = await failed(world, "clauses/b.txt", "Dear B")
    world.blobs.remove("failed", second.moved_to.removeprefix("failed/"))
    answer = await command(world, "requeue", first.id)
    assert answer.code == 0
    assert answer.out.splitlines()[1].split()[:3] == [first.id, "waiting", "2"]
    answer = await command(world, "requeue", second.id, "nonsense", "--json")
    assert answer.code == 1
    told = answer.json["documents"]
    assert [(each["id"], each["state"]) for each in told] == [(second.id, None), ("nonsense", None)]
    assert "is not there any more" in told[0]["error"]
    assert told[1]["error"] == "no document has this id"
    assert answer.json["more"] is False


async def test_requeue_everything_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oldest first, so many at once at most; the rest with the next call."""
    from shared.doors.cli import requeue as module

    monkeypatch.setattr(module, "MOST", 2)
    world = World.of(config("clauses", NIGHT))
    documents = []
    for name in ("c", "a", "b"):
        world.upload(f"clauses/{name}.txt", "%PDF")
        await world.app.document_uploaded(f"clauses/{name}.txt")
        document = await world.document(f"clauses/{name}.txt")
        world.blobs.upload("failed", document.moved_to.removeprefix("failed/"), name.encode())
        documents.append(document)
        world.clock.advance(10)
    world.upload("clauses/done.txt")
    await world.app.document_uploaded("clauses/done.txt")
    answer = await command(world, "requeue", "--deployment", "CLAUSES", "--failed", "--json")
    assert (answer.code, answer.json["more"]) == (0, True)
    assert [each["id"] for each in answer.json["documents"]] == [each.id for each in documents[:2]]
    answer = await command(world, "requeue", "--deployment", "clauses", "--failed")
    assert documents[2].id in answer.out
    assert (await command(world, "requeue", "--deployment", "clauses", "--failed", "--json")).json == {
        "documents": [],
        "more": False,
    }


@pytest.mark.parametrize(
    "arguments",
    [(), ("--failed",), ("--deployment", "clauses"), ("some~id", "--failed", "--deployment", "clauses")],
)
async def test_requeue_says_what_it_is_to_requeue(arguments: tuple[str, ...]) -> None:
    """Ids, or everything that failed of one deployment, and not both."""
    from shared.errors import InvalidRequest

    world = World.of(config())
    with pytest.raises(InvalidRequest, match="name documents by their ids, or --deployment NAME --failed"):
        await command(world, "requeue", *arguments)
