"""A document is done only when its own result is stored, whatever else storage holds at that place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.documents.places import beside, finished_name, result_name
from shared.errors import StorageError
from shared.model import Document, DocumentState, ModelAnswer, Task, prompt
from tests.fakes.clock import START
from tests.fakes.world import World, config
from tests.unit.test_adversity import tick

NAME = "clauses/private name.txt"


async def waiting(world: World) -> Document:
    """The uploaded document, recorded."""
    world.upload(NAME)
    await world.app.reconcile()
    return await world.document(NAME)


def result_of(document: Document, /, run: int = 1, **changes: Any) -> bytes:
    """Return a result by another worker, with some of its keys changed."""
    body = {
        "document": {"id": document.id, "run": run},
        "answer": "theirs",
        "spent": {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.1},
    }
    return json.dumps(body | changes).encode()


DAMAGED: dict[str, Callable[[Document], bytes]] = {
    "of another document": lambda document: result_of(document, document={"id": "other~1", "run": 1}),
    "of another run": lambda document: result_of(document, run=2),
    "without a cost": lambda document: result_of(document, spent={"prompt_tokens": None}),
    "without an answer": lambda document: result_of(document).replace(b'"answer"', b'"other"'),
    "cut off": lambda document: result_of(document)[:-9],
    "not a number": lambda document: result_of(document).replace(b"0.1", b"NaN"),
    "not JSON": lambda _: b"\xff\xfe\x00",
    "not an object": lambda _: b'["document", "spent", "answer"]',
    "nested": lambda _: b"[" * 100_000,
}


async def test_while_results_is_being_deleted_nothing_is_done(caplog: pytest.LogCaptureFixture) -> None:
    """The document waits, with an alert; when the container can be made again, it is done with a result."""
    world = World.of(config())
    await waiting(world)
    world.blobs.delete_container("results")
    await tick(world, 10)
    document = await world.document(NAME)
    assert (document.state, document.attempts, document.crashes) == (DocumentState.WAITING, 0, 0)
    assert "storage_refused" in caplog.text
    world.blobs.deleted("results")
    await tick(world, 8)
    document = await world.document(NAME)
    assert document.state is DocumentState.DONE
    assert json.loads(await world.blobs.read("results", document.result))["document"]["id"] == document.id


@pytest.mark.parametrize("damage", DAMAGED)
async def test_a_foreign_blob_in_the_place_of_a_result_is_no_result(
    damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The document waits, is asked once only, and says what to move away; then it is answered."""
    world = World.of(config())
    document = await waiting(world)
    theirs = DAMAGED[damage](document)
    world.blobs.upload("results", result_name(document), theirs)
    await tick(world, 10)
    document = await world.document(NAME)
    assert (document.state, document.attempts, document.crashes) == (DocumentState.WAITING, 0, 0)
    assert world.azure.asked.count("some text") == 1
    assert await world.blobs.read("results", result_name(document)) == theirs
    assert "storage_refused" in caplog.text and "move the blob away" in caplog.text
    assert "private" not in caplog.text
    world.blobs.remove("results", result_name(document))
    await tick(world, 8)
    document = await world.document(NAME)
    assert document.state is DocumentState.DONE
    assert json.loads(await world.blobs.read("results", document.result))["document"]["id"] == document.id


async def test_an_own_result_that_is_there_already_is_adopted() -> None:
    """Another drainer has answered the same run: its answer stays, and nothing is asked or written again."""
    world = World.of(config())
    document = await waiting(world)
    world.blobs.upload("results", result_name(document), result_of(document))
    await tick(world, 8)
    document = await world.document(NAME)
    assert document.state is DocumentState.DONE
    assert json.loads(await world.blobs.read("results", document.result))["answer"] == "theirs"


async def test_done_without_a_result_is_refused() -> None:
    """The last check stands where documents become final."""
    world = World.of(config())
    document = await waiting(world)
    with pytest.raises(Exception, match="without a result"):
        await world.app.results.settle(document, DocumentState.DONE, "answered", START)
    assert (await world.document(NAME)).state is DocumentState.WAITING


async def test_a_source_that_azure_keeps_is_finished_once(caplog: pytest.LogCaptureFixture) -> None:
    """An archived file cannot be copied out of the inbox: the document has its end, and stays there."""
    world = World.of(config())
    document = await waiting(world)
    world.blobs.refuse("inbox", NAME, "BlobArchived")
    await world.app.results.settle(document, DocumentState.FAILED, "it is archived", START)
    await tick(world, 3)
    document = await world.document(NAME)
    assert (document.state, document.moved_to) == (DocumentState.FAILED, "")
    assert world.blobs.names("inbox") == [NAME]
    assert "a finished file stays" in caplog.text
    assert "unaccounted" not in caplog.text


async def test_a_copy_that_became_immutable_is_the_copy() -> None:
    """A crash after the copy, and a policy that forbids a second one: the move still ends."""
    world = World.of(config())
    document = await waiting(world)
    kept = finished_name(document)
    world.blobs.upload("processed", kept, b"some text")
    world.blobs.refuse("processed", kept, "BlobImmutableDueToPolicy")
    await tick(world, 8)
    document = await world.document(NAME)
    assert (document.state, document.moved_to) == (DocumentState.DONE, f"processed/{kept}")
    assert world.blobs.names("inbox") == []


async def test_a_missing_inbox_withdraws_no_document() -> None:
    """A container that is gone may be restored: what lay in it is unknown, and waits."""
    world = World.of(config())
    await waiting(world)
    world.blobs.delete_container("inbox")
    await tick(world, 8)
    assert (await world.document(NAME)).state is DocumentState.WAITING


@pytest.mark.parametrize("dies", ["never", "after the result"])
async def test_an_answer_that_is_text_lies_there_as_a_text_file_before_the_document_is_done(
    dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the app dies between the two: the next worker finds the result and writes it."""
    world = World.of(config())
    document = await waiting(world)
    create, lost = world.blobs.create, []

    async def dying(container: str, name: str, data: bytes, content_type: str) -> str:
        if container == "results":
            assert (await world.document(NAME)).state is not DocumentState.DONE
        if name.endswith(".txt") and container == "results" and dies != "never" and not lost:
            lost.append(name)
            raise RuntimeError("the process ends here")
        return await create(container, name, data, content_type)

    monkeypatch.setattr(world.blobs, "create", dying)
    await tick(world, 20)
    done = await world.document(NAME)
    assert done.state is DocumentState.DONE and bool(lost) == (dies != "never")
    assert world.blobs.names("results") == sorted([result_name(document), beside(document, ".txt")])
    assert await world.blobs.read("results", beside(document, ".txt")) == b"an answer\n"
    assert world.azure.asked.count("some text") == 1, "nothing is asked again"


@pytest.mark.parametrize("there", [True, False])
async def test_a_text_file_that_cannot_be_written_keeps_no_document(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands there is not overwritten, and what storage refuses is left out."""
    world = World.of(config())
    document = await waiting(world)
    if there:
        world.blobs.upload("results", beside(document, ".txt"), b"somebody's")
    create = world.blobs.create

    async def refusing(container: str, name: str, data: bytes, content_type: str) -> str:
        if name.endswith(".txt") and container == "results" and not there:
            raise StorageError("no", code="AccountIsDisabled")
        return await create(container, name, data, content_type)

    monkeypatch.setattr(world.blobs, "create", refusing)
    await tick(world, 10)
    assert (await world.document(NAME)).state is DocumentState.DONE
    assert world.results() == [result_name(document)]
    if there:
        assert await world.blobs.read("results", beside(document, ".txt")) == b"somebody's"


@pytest.mark.parametrize("dies", ["never", "after the result"])
async def test_a_structured_answer_lies_there_for_people_too(
    dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a page with the places of its quotes, and as a table; also if another worker has stored it."""
    row = {"type": "object", "properties": {"quote": {"type": "string"}}}
    schema = {"type": "object", "properties": {"clauses": {"type": "array", "items": row}}}
    world = World.of(config(task=Task(prompt("Summarise."), 100, schema, quotes=("quote",))))
    document = await waiting(world)
    ask, create, lost = world.azure.ask, world.blobs.create, []

    async def answering(*request: Any, **options: Any) -> ModelAnswer:
        answer = '{"clauses": [{"quote": "some text"}, {"quote": "=1+1"}]}'
        return replace(await ask(*request, **options), text=answer)

    async def dying(container: str, name: str, data: bytes, content_type: str) -> str:
        if name.endswith(".md") and dies != "never" and not lost:
            lost.append(name)
            raise RuntimeError("the process ends here")
        return await create(container, name, data, content_type)

    monkeypatch.setattr(world.azure, "ask", answering)
    monkeypatch.setattr(world.blobs, "create", dying)
    await tick(world, 20)
    assert (await world.document(NAME)).state is DocumentState.DONE and bool(lost) == (dies != "never")
    stem = result_name(document).removesuffix(".json")
    assert world.blobs.names("results") == [f"{stem}{end}" for end in (".csv", ".json", ".md")]
    page = await world.blobs.read("results", f"{stem}.md")
    assert page.startswith(b"# private name.txt\n\n## Clauses\n\n| Quote |\n")
    assert "| “=1+1” (not found in the document) |".encode() in page
    rows = (await world.blobs.read("results", f"{stem}.csv")).decode("utf-8-sig").splitlines()
    assert rows == [
        "quote,quote (place)",
        "some text,found in the document",
        "'=1+1,not found in the document",
    ]
    assert world.azure.asked.count("some text") == 1, "nothing is asked again"


@pytest.mark.parametrize(
    "evidence", [1, {"at": 1}, [{"at": 1}, 2, {"at": "/a", "verified": True, "page": {}}]]
)
async def test_stored_evidence_is_not_trusted(evidence: Any) -> None:
    """Whatever stands there, the document is done."""
    world = World.of(config())
    document = await waiting(world)
    theirs = result_of(document, answer={"a": "b"}, evidence=evidence)
    world.blobs.upload("results", result_name(document), theirs)
    await tick(world, 8)
    assert (await world.document(NAME)).state is DocumentState.DONE
    assert len(world.blobs.names("results")) == 2
