"""The next run of a dead letter, in memory and virtual time: from `failed`, and only once."""

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
from shared.documents.places import result_name
from shared.doors import api
from shared.errors import InvalidRequest, StorageError
from shared.model import Document, DocumentState, OneOffWindow, RecordState, Task, UploadStart, prompt
from shared.ports import Replace
from shared.rows import to_values
from tests.fakes.clock import START
from tests.fakes.world import World, config
from tests.unit.command_line import command

NIGHT = OneOffWindow(START + timedelta(hours=10), START + timedelta(hours=16), stop_when_empty=True)
NAME = "clauses/letter.txt"


async def failed(world: World, name: str = NAME, text: str = "Dear all") -> Document:
    """Return a document that the model refused once, with its source corrected and nothing deployed."""
    world.upload(name, f"[[content_filter]] {text}")
    await world.app.document_uploaded(name)
    await gone(world)
    document = await world.document(name)
    assert (document.state, document.run) == (DocumentState.FAILED, 1)
    correct(world, document, text.encode())
    return document


async def dead_letter() -> tuple[World, Document]:
    """Return a world with one failed document, whose source has been corrected."""
    world = World.of(config())
    return world, await failed(world)


def kept_name(document: Document) -> str:
    """Return the name of its source in `failed`."""
    return document.moved_to.removeprefix("failed/")


def correct(world: World, document: Document, data: bytes) -> None:
    """Replace the source of a failed document where it lies."""
    world.blobs.upload("failed", kept_name(document), data)


async def gone(world: World) -> None:
    """Tick until nothing is deployed."""
    for _ in range(20):
        if (await world.record()).state is RecordState.ABSENT:
            return
        await world.tick()
        world.clock.advance(30)
    raise AssertionError("it is still deployed")


async def finished(world: World, name: str = NAME, minutes: int = 30) -> Document:
    """Run the timers, and return the document, which must be final."""
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
    """Requeue it by HTTP, and return the body of the answer."""
    reply = await api.requeue(world.app, document.id)
    assert reply.status == status, reply.body
    return dict(reply.body)


def note_of(document: Document) -> str:
    return f"{kept_name(document)}.reason.txt"


# --- the next run ------------------------------------------------------------------------------------


async def test_a_dead_letter_is_answered_in_its_next_run() -> None:
    """It is read where it was moved to; the timers create, answer, clean up and delete."""
    world, before = await dead_letter()
    shown = await requeue(world, before)
    assert (shown["state"], shown["run"], shown["attempts"]) == ("waiting", 2, 0)
    assert shown["moved_to"] == before.moved_to
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
    """Where documents do not start the deployment, a requeued document does not either."""
    world, before = await dead_letter()
    world = world.reconfigured(config("clauses", NIGHT, uploads=UploadStart.SCHEDULED))
    shown = await requeue(world, before)
    assert "wait for the next window" in shown["reason"]
    for _ in range(5):
        await world.tick()
        world.clock.advance(60)
    assert (await world.document(NAME)).state is DocumentState.WAITING
    world.clock.advance(10 * 3600)
    assert (await finished(world)).state is DocumentState.DONE


async def test_what_fails_again_has_the_new_reason_beside_it() -> None:
    """The source stays, the note is replaced, and the document may be requeued again."""
    world, before = await dead_letter()
    note = await world.blobs.read("failed", note_of(before))
    await requeue(world, before)
    correct(world, before, b"GIF89a")
    again = await finished(world)
    assert (again.state, again.run, again.moved_to) == (DocumentState.FAILED, 2, before.moved_to)
    assert "picture" in again.reason
    assert world.blobs.names("failed") == [kept_name(before), note_of(before)]
    assert await world.blobs.read("failed", note_of(before)) == f"{again.reason}\n".encode() != note
    correct(world, before, b"Dear all")
    await requeue(world, again)
    assert (await finished(world)).run == 3


async def test_attempts_and_crashes_start_again_and_cost_adds_up() -> None:
    """The limit per document covers all runs; so do the token counts."""
    world, before = await dead_letter()
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
    """Store the document in this state."""
    key = f"d {document.id.partition('~')[2]}"
    await world.tables.write("documents", "clauses", [Replace(key, to_values(document), None)])


# --- what cannot be requeued -------------------------------------------------------------------------


async def test_what_still_cannot_be_answered_is_refused_and_costs_nothing() -> None:
    """Over its cost limit, too large or no text: 409 with the reason, and nothing is changed or deployed."""
    world = World.of(config(task=Task(prompt("Summarise."), 100, None, 0.01)))
    before = await failed(world)
    await _write(world, replace(before, cost=0.0099))
    creates = world.azure.count("put")
    assert "max_cost_per_document" in (await requeue(world, before, 409))["error"]
    await _write(world, before)
    for data, reason in ((b"", "empty"), (b"x" * 1_000_001, "max_document_bytes"), (b"GIF89a", "picture")):
        correct(world, before, data)
        assert reason in (await requeue(world, before, 409))["error"]
    assert (await world.document(NAME)).state is DocumentState.FAILED
    await world.tick()
    assert world.azure.count("put") == creates


async def test_a_source_that_is_gone_cannot_be_read_again() -> None:
    """It was deleted from `failed`, or was never there."""
    world, before = await dead_letter()
    world.blobs.remove("failed", kept_name(before))
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
    """The refusal says the state and what to do instead."""
    world, before = await dead_letter()
    await _write(world, replace(before, state=state))
    shown = await requeue(world, before, 409)
    assert f"it is {state}" in shown["error"] and says in shown["error"]


async def test_a_document_of_no_deployment_and_an_unknown_id() -> None:
    """409 with the likely name, and 404."""
    world, before = await dead_letter()
    elsewhere = world.reconfigured(config("clause"))
    shown = await requeue(elsewhere, before, 409)
    assert shown["error"] == "no deployment is called 'clauses': did you mean 'clause'?"
    assert (await api.requeue(world.app, "clauses~20261123T080000-0123456789abcdef")).status == 404
    assert (await api.requeue(world.app, "nonsense")).status == 404


async def test_an_upload_to_an_unknown_folder_is_requeued_once_its_deployment_exists() -> None:
    """It failed because no deployment had that name."""
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
    """Both callers get the same answer; a later call changes nothing either."""
    world, before = await dead_letter()
    read, both = world.blobs.read, asyncio.Barrier(2)

    async def together(container: str, name: str, etag: str | None = None) -> bytes:
        data = await read(container, name, etag)
        await both.wait()
        return data

    world.blobs.read = together  # type: ignore[method-assign]
    shown = await asyncio.gather(*(requeue(world, before) for _ in range(2)))
    world.blobs.read = read  # type: ignore[method-assign]
    assert [(each["state"], each["run"]) for each in shown] == [("waiting", 2)] * 2
    assert (await requeue(world, before))["run"] == 2
    assert (await finished(world)).run == 2
    assert world.azure.asked.count("Dear all") == 1
    assert "it is done" in (await requeue(world, before, 409))["error"]


async def test_a_late_requeue_does_not_start_a_third_run() -> None:
    """It read the dead letter before another requeue, and writes after that run has ended."""
    world, before = await dead_letter()
    await requeue(world, before)
    after = await finished(world)
    late = replace(before, state=DocumentState.WAITING, run=2)
    assert not await world.app.documents.try_reopen(late)
    assert await world.document(NAME) == after
    assert (await world.app.documents.demand("clauses")).unfinished == 0


async def test_the_same_upload_still_in_the_inbox_is_the_same_document() -> None:
    """A crash left it there before the requeue: event and sweep add no document, and it is removed."""
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
    correct(world, before, b"Dear all")
    await requeue(world, before)
    await asyncio.gather(world.app.document_uploaded(NAME), world.app.reconcile())
    after = await finished(world)
    assert (after.state, after.run) == (DocumentState.DONE, 2)
    assert world.blobs.names("inbox") == []
    history = await world.app.documents.listed("clauses", None, "", 10)
    assert len(history.documents) == 1


async def test_a_newer_upload_of_the_same_name_is_a_document_of_its_own() -> None:
    """Neither takes the other's source away."""
    world, before = await dead_letter()
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


async def test_deleting_the_source_meanwhile_withdraws_the_document() -> None:
    """It is final with that reason, and nothing waits for it for ever."""
    world, before = await dead_letter()
    await requeue(world, before)
    world.blobs.remove("failed", kept_name(before))
    after = await finished(world)
    assert after.state is DocumentState.WITHDRAWN
    assert after.reason == "the file was deleted from failed before it was answered"
    assert world.azure.names() == []


async def test_a_file_corrected_while_it_is_answered_is_not_deleted() -> None:
    """The answered version is kept in `processed`; the version that nobody read stays in `failed`."""
    world, before = await dead_letter()
    await requeue(world, before)
    copy = world.blobs.copy

    async def corrected_meanwhile(*arguments: Any) -> None:
        await copy(*arguments)
        correct(world, before, b"a newer text")

    world.blobs.copy = corrected_meanwhile  # type: ignore[method-assign]
    after = await finished(world)
    assert after.state is DocumentState.DONE
    assert await world.blobs.read("processed", after.moved_to.removeprefix("processed/")) == b"Dear all"
    assert world.blobs.names("failed") == [kept_name(before)]


async def test_a_document_says_that_its_deployment_was_removed_from_the_file() -> None:
    """It is answered when the deployment is configured again."""
    world, before = await dead_letter()
    await requeue(world, before)
    without = world.reconfigured(config("other"))
    await without.tick()
    shown = (await api.document(without.app, before.id)).body
    assert (shown["state"], shown["reason"]) == (
        "waiting",
        "no deployment is called 'clauses': known are other",
    )
    assert (await finished(world)).state is DocumentState.DONE


class Killed(BaseException):
    """The process ends: only the end of the slice catches this."""


@contextlib.contextmanager
def mortal(world: World, dies_at: int) -> Iterator[list[str]]:
    """End the process before its nth write; yield the writes so far."""
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
    """The slice that answers a requeued document is killed before each write in turn."""
    survived = False
    for dies_at in range(1, 60):
        world, before = await dead_letter()
        await requeue(world, before)
        if outcome is DocumentState.FAILED:
            correct(world, before, b"GIF89a")
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
            assert world.blobs.names("failed") == [kept_name(before), note_of(before)], dies_at
            assert "picture" in (await world.blobs.read("failed", note_of(before))).decode()
        page = await world.tables.page("documents", "clauses", "c ", "c ~", 10)
        assert page.rows == (), "nothing is left to tidy up"
        if survived:
            break
    assert survived, "the slice was killed at each of its writes, and once at none"
    assert dies_at > 8


# --- the command -------------------------------------------------------------------------------------


async def test_requeue_by_id() -> None:
    """Each id has its outcome; the exit code is 1 if one could not be requeued."""
    world = World.of(config())
    first = await failed(world, "clauses/a.txt", "Dear A")
    second = await failed(world, "clauses/b.txt", "Dear B")
    world.blobs.remove("failed", kept_name(second))
    answer = await command(world, "requeue", first.id)
    assert answer.code == 0
    assert answer.out.splitlines()[1].split()[:3] == [first.id, "waiting", "2"]
    answer = await command(world, "requeue", second.id, "nonsense", "--json")
    assert answer.code == 1
    shown = answer.json["documents"]
    assert [(each["id"], each["state"]) for each in shown] == [(second.id, None), ("nonsense", None)]
    assert "is not there any more" in shown[0]["error"]
    assert shown[1]["error"] == "no document has this id: the list of documents shows each one's"
    assert answer.json["more"] is False


async def test_requeue_everything_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oldest first, up to a limit; the next call takes the rest."""
    monkeypatch.setattr("shared.doors.cli.requeue.MOST", 2)
    world = World.of(config("clauses", NIGHT))
    documents = []
    for name in ("c", "a", "b"):
        world.upload(f"clauses/{name}.txt", "GIF89a")
        await world.app.document_uploaded(f"clauses/{name}.txt")
        document = await world.document(f"clauses/{name}.txt")
        correct(world, document, name.encode())
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
    """Ids, or everything of one deployment that failed, and not both."""
    world = World.of(config())
    with pytest.raises(InvalidRequest, match="name documents by their ids, or --deployment NAME --failed"):
        await command(world, "requeue", *arguments)
