"""What happens to a document, in memory and virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.app import PartFailed
from shared.documents.readers.part import Part
from shared.documents.readers.sandbox import Sandbox
from shared.documents.sweep import REST
from shared.errors import ReaderUnavailable, StorageError
from shared.model import DocumentState, OneOffWindow, Task, UploadStart, prompt
from shared.wiring import assemble
from tests.fakes.clock import START, VirtualClock
from tests.fakes.world import World, config, settings
from tests.unit.settings_file import SCHEMA

LATER = OneOffWindow(START + timedelta(hours=1), START + timedelta(hours=2), stop_when_empty=True)
SCHEDULED = config("clauses", LATER, uploads=UploadStart.SCHEDULED)


async def arrives(world: World, name: str = "clauses/a.txt", data: str | bytes = "some text") -> None:
    """Upload a file, and deliver its event."""
    world.upload(name, data)
    await world.app.document_uploaded(name)


async def test_an_event_that_comes_twice_makes_one_document() -> None:
    """Deliveries can repeat."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await asyncio.gather(*(world.app.document_uploaded("clauses/a.txt") for _ in range(3)))
    await world.app.document_uploaded("clauses/a.txt")
    history = await world.app.documents.listed("clauses", None, "", 100)
    assert len(history.documents) == 1
    assert len(world.results()) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"   \n", "white space"),
        (b"GIF89a", "picture"),
        (b"\x00\x01\x02\x03" * 50, "binary"),
        (b"x" * 1_000_001, "max_document_bytes"),
        (b"word " * 190_000, "tokens at once"),
        (b"word " * 30_000, "max_cost_per_document"),
    ],
)
async def test_what_cannot_be_answered_costs_nothing(data: bytes, reason: str) -> None:
    """The reason is on the document and beside the file, and nothing is deployed for it."""
    world = World.of(config(task=Task(prompt("Summarise."), 100, None, max_cost_per_document=0.01)))
    await arrives(world, "clauses/bad.txt", data)
    await world.tick()
    document = await world.document("clauses/bad.txt")
    assert document.state is DocumentState.FAILED
    assert reason in document.reason
    assert world.azure.count("put") == 0
    assert world.blobs.names("inbox") == []
    moved = document.moved_to.removeprefix("failed/")
    assert world.blobs.names("failed") == [moved, f"{moved}.reason.txt"]


async def test_an_empty_file_rests_and_is_then_refused() -> None:
    """Event and sweep leave it at first. The storage's clock counts, as the app's may be wrong."""
    world = World.of(config())
    ahead = VirtualClock(START + timedelta(hours=3))
    parts = (ahead, world.tables, world.blobs, world.azure, world.azure)
    world = replace(world, app=assemble(settings(config()), *parts))
    await arrives(world, "clauses/a.txt", b"")
    report = await world.app.intake.sweep()
    assert (report.resting, report.unaccounted, report.complete) == (1, 0, True)
    world.clock.advance(REST.total_seconds() - 1)
    await world.tick()
    history = await world.app.documents.listed("clauses", None, "", 10)
    assert (history.documents, world.blobs.names("inbox")) == ((), ["clauses/a.txt"])
    world.clock.advance(2)
    await world.tick()
    document = await world.document("clauses/a.txt")
    assert (document.state, document.reason) == (DocumentState.FAILED, "the file is empty")
    assert document.moved_to.startswith("failed/")
    assert world.blobs.names("inbox") == []


@pytest.mark.parametrize("rests", [0, 60, 560])
async def test_a_file_that_is_created_empty_and_written_later_is_answered(
    rests: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Append blobs, Data Lake, SFTP and mounts do so; there is no alert meanwhile."""
    world = World.of(config())
    await arrives(world, "clauses/a.txt", b"")
    world.clock.advance(rests)
    await world.tick()
    world.upload("clauses/a.txt", "at last")
    await world.until(lambda: "at last" in world.azure.asked, timedelta(minutes=9))
    history = await world.app.documents.listed("clauses", None, "", 10)
    assert [each.state for each in history.documents] == [DocumentState.DONE]
    assert "document_failed" not in caplog.text


async def test_litter_and_folder_markers_stay_without_a_row(caplog: pytest.LogCaptureFixture) -> None:
    """Files that programs leave in the inbox are no documents, also outside any folder."""
    world = World.of(config())
    for name in ("Thumbs.db", "clauses/~$letter.docx", "clauses/letter.txt~", "unknown/.DS_Store"):
        world.upload(name, "litter")
    world.blobs.upload("inbox", "clauses/2026", b"", is_folder=True)
    world.upload("clauses/2026/", b"")
    names = world.blobs.names("inbox")
    for name in names:
        await world.app.document_uploaded(name)
    world.clock.advance(3600)
    await world.tick()
    assert world.blobs.names("inbox") == names
    for partition in ("clauses", "unknown", "_unknown"):
        history = await world.app.documents.listed(partition, None, "", 10)
        assert history.documents == ()
    assert not [line for line in caplog.messages if "alert" in line]


async def test_an_archived_file_is_refused_once_and_answered_when_it_is_rehydrated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It can be neither read nor moved: one row, one alert, and it stays. Rehydrated, it has a next run."""
    world = World.of(config())
    caplog.set_level(logging.INFO)
    for name in ("clauses/a.txt", "clauses/b.pdf"):
        world.upload(name, "some text" if name.endswith("txt") else b"GIF89a")
        world.blobs.set_archived("inbox", name, True)
    await world.app.document_uploaded("clauses/a.txt")
    for _ in range(5):
        await world.tick()
        world.clock.advance(60)
    refused = await world.document("clauses/a.txt")
    assert (refused.state, refused.moved_to) == (DocumentState.FAILED, "")
    assert "rehydrate it, or upload it again" in refused.reason
    assert world.blobs.names("inbox") == ["clauses/a.txt", "clauses/b.pdf"]
    assert sum('"state": "failed"' in line for line in caplog.messages) == 2, "each is logged once"
    assert (await world.app.intake.sweep()).unaccounted == 0
    for name in ("clauses/a.txt", "clauses/b.pdf"):
        world.blobs.set_archived("inbox", name, False)
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=10))
    answered = await world.document("clauses/a.txt")
    assert (answered.state, answered.run) == (DocumentState.DONE, 2)
    assert "picture" in (await world.document("clauses/b.pdf")).reason


@pytest.mark.parametrize(
    ("name", "partition", "reason"),
    [
        ("clausse/a.txt", "clausse", "did you mean 'clauses'"),
        ("📄/a.txt", "_unknown", "no deployment is called"),
        ("a.txt", "_unknown", "outside any folder"),
    ],
)
async def test_an_upload_to_no_deployment_says_so(name: str, partition: str, reason: str) -> None:
    """The reason names the known deployments, and the file is kept."""
    world = World.of(config())
    await arrives(world, name)
    document = await world.document(name, partition)
    assert document.state is DocumentState.FAILED
    assert reason in document.reason
    assert document.moved_to.startswith("failed/")
    assert world.azure.count("put") == 0


async def test_a_folder_is_found_in_any_case() -> None:
    """People write Clauses/ and clauses/."""
    world = World.of(config())
    await arrives(world, "Clauses/a.txt")
    assert (await world.document("Clauses/a.txt")).state is DocumentState.DONE


async def test_an_upload_overwritten_while_it_waits_is_superseded() -> None:
    """The newer version is a document of its own, and only it is answered."""
    world = World.of(SCHEDULED)
    world.upload("clauses/a.txt", "old")
    await world.tick()
    world.clock.advance(60)
    world.upload("clauses/a.txt", "new")
    await world.tick()
    history = await world.app.documents.listed("clauses", None, "", 10)
    assert [each.state for each in history.documents] == [DocumentState.SUPERSEDED, DocumentState.WAITING]
    await world.until(lambda: "new" in world.azure.asked, timedelta(hours=2))
    assert "old" not in world.azure.asked


async def test_an_upload_deleted_while_it_waits_is_withdrawn_and_starts_nothing() -> None:
    """A batch window with nothing left hosts nothing."""
    world = World.of(SCHEDULED)
    world.upload("clauses/a.txt")
    await world.tick()
    world.blobs.remove("inbox", "clauses/a.txt")
    for _ in range(130):
        await world.tick()
        world.clock.advance(60)
    assert (await world.document("clauses/a.txt")).state is DocumentState.WITHDRAWN
    assert world.azure.count("put") == 0


async def test_what_was_deleted_and_is_restored_as_it_was_waits_again() -> None:
    """A container was deleted and undeleted: its documents are answered."""
    world = World.of(SCHEDULED)
    world.upload("clauses/a.txt")
    await world.tick()
    kept = dict(world.blobs._containers["inbox"])
    world.blobs.remove("inbox", "clauses/a.txt")

    async def is_withdrawn() -> bool:
        return (await world.document("clauses/a.txt")).state is DocumentState.WITHDRAWN

    await world.until(is_withdrawn, timedelta(minutes=10))
    world.blobs._containers["inbox"].update(kept)
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(hours=2))
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE


async def test_an_upload_overwritten_while_it_is_answered_loses_neither() -> None:
    """The first version's result stands; the second has one of its own; the move deletes neither."""
    world = World.of(config())
    world.upload("clauses/a.txt", "first")

    async def overwrite() -> None:
        while "ready?" not in world.azure.asked:
            await world.clock.sleep(0.5)
        world.upload("clauses/a.txt", "second")
        await world.app.document_uploaded("clauses/a.txt")

    await asyncio.gather(world.app.document_uploaded("clauses/a.txt"), overwrite())
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=5))
    assert "second" in world.azure.asked
    newest = await world.document("clauses/a.txt")
    assert newest.state is DocumentState.DONE


async def test_a_document_that_the_content_filter_refuses_fails_alone() -> None:
    """It is a dead letter with its reason; its neighbours are answered."""
    world = World.of(config())
    world.upload("clauses/bad.txt", "[[content_filter]]")
    await arrives(world, "clauses/good.txt")
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=5))
    assert (await world.document("clauses/bad.txt")).state is DocumentState.FAILED
    assert "content filter" in (await world.document("clauses/bad.txt")).reason
    assert (await world.document("clauses/good.txt")).state is DocumentState.DONE


async def test_a_document_that_always_fails_is_a_dead_letter_after_five_attempts() -> None:
    """Its deployment is deleted: one bad document does not keep a model hosted."""
    world = World.of(config(task=Task(prompt("Title?"), 100, {**SCHEMA, "required": ["title", "missing"]})))
    world.upload("clauses/odd.txt")
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(hours=1))
    document = await world.document("clauses/odd.txt")
    assert document.state is DocumentState.FAILED
    assert "gave up after 5 attempts" in document.reason
    assert document.attempts == 4
    assert document.cost > 0, "the cost of five answers is recorded"
    await world.until(lambda: world.azure.names() == [], timedelta(minutes=3))


async def test_an_answer_that_conforms_to_the_schema_is_stored_as_a_value() -> None:
    """Not as a string of JSON."""
    world = World.of(config(task=Task(prompt("Title?"), 100, SCHEMA)))
    await arrives(world)
    stored = json.loads(await world.blobs.read("results", (await world.document("clauses/a.txt")).result))
    assert stored["answer"] == {"title": "an answer"}


async def test_a_worker_that_lost_its_claim_changes_nothing() -> None:
    """It paused beyond its claim and ends after another worker took over: the source stays, too."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await world.app.intake.arrived("clauses/a.txt")
    stale = await world.document("clauses/a.txt")
    taken_over = await world.app.documents.save(replace(stale, state=DocumentState.CLAIMED))
    await world.app.results.settle(stale, DocumentState.FAILED, "gave up", world.clock.now())
    assert await world.document("clauses/a.txt") == taken_over
    assert world.blobs.names("inbox") == ["clauses/a.txt"]


async def test_a_reader_that_does_not_start_is_no_document_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits, unrecorded and then recorded, until files can be read again: no attempt and no crash."""
    calls = 0

    async def read(*_: object) -> list[Part]:
        nonlocal calls
        calls += 1
        if calls in (1, 2, 4, 5):  # two sweeps, and two slices
            raise ReaderUnavailable("the process ends at once")
        return [Part("A page.")]

    monkeypatch.setattr(Sandbox, "read", read)
    world = World.of(config())
    world.upload("clauses/page.html", "<html><p>A page.")
    for _ in range(5):
        with contextlib.suppress(PartFailed):
            await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=10))
    document = await world.document("clauses/page.html")
    assert (document.state, document.attempts, document.crashes) == (DocumentState.DONE, 0, 0)
    assert calls == 6


async def crash(*_: object) -> bool:
    """Stand in for a storage call in which the process dies."""
    raise StorageError("the process died here")


async def test_a_crash_between_record_and_delete_is_completed_by_the_sweep() -> None:
    """The document is finished and its source is still in the inbox: it is deleted, not answered again."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    delete = world.blobs.delete
    world.blobs.delete = crash  # type: ignore[assignment]
    with pytest.raises(PartFailed):
        await world.until(lambda: bool(world.results()), timedelta(minutes=3))
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE
    assert world.blobs.names("inbox") == ["clauses/a.txt"]
    world.blobs.delete = delete  # type: ignore[method-assign]
    await world.app.reconcile()
    assert world.blobs.names("inbox") == []
    assert world.azure.asked.count("some text") == 1


async def test_a_crash_between_result_and_record_pays_the_answer_once() -> None:
    """The stored result is adopted when the claim has run out."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    copy = world.blobs.copy
    world.blobs.copy = crash  # type: ignore[method-assign]
    with pytest.raises(PartFailed):
        await world.until(lambda: bool(world.results()), timedelta(minutes=3))
    world.blobs.copy = copy  # type: ignore[method-assign]
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=8))
    document = await world.document("clauses/a.txt")
    assert (document.state, document.crashes, document.attempts) == (DocumentState.DONE, 0, 0)
    assert world.azure.asked.count("some text") == 1


async def test_an_upload_that_cannot_be_recorded_raises_for_the_host() -> None:
    """Only then does the trigger raise, so that the host tries again."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    world.tables.write = crash  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        await world.app.document_uploaded("clauses/a.txt")


async def test_a_document_of_a_deployment_taken_out_of_the_file_fails_with_its_reason() -> None:
    """It does not wait for a deployment that is no longer hosted."""
    world = World.of(SCHEDULED, config("other"))
    world.upload("clauses/a.txt")
    await world.tick()
    world = world.reconfigured(config("other"))
    await world.tick()
    document = await world.document("clauses/a.txt")
    assert document.state is DocumentState.FAILED
    assert "no deployment is called" in document.reason


async def test_a_large_inbox_is_walked_in_pieces() -> None:
    """More uploads than a page are all recorded, and the next walk continues where the last stopped."""
    world = World.of(SCHEDULED)
    for n in range(1203):
        world.upload(f"clauses/{n:04}.txt")
    for _ in range(3):
        await world.app.intake.sweep()
    demand = await world.app.documents.demand("clauses")
    assert demand.more
    assert len([each async for each in world.app.documents.unfinished("clauses")]) == 1203
