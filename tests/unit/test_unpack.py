"""A ZIP archive is a folder of documents: each has its own outcome, once, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.app import PartFailed
from shared.documents import unpack
from shared.documents.readers.archive import Archive, File
from shared.documents.source import Sources
from shared.documents.unpack import UNPACKED
from shared.doors import api
from shared.model import Document, DocumentState, OneOffWindow, RecordState, UploadStart
from tests.fakes.clock import START
from tests.fakes.world import World, config
from tests.unit.command_line import command
from tests.unit.readers.test_archive import patched, zipped
from tests.unit.test_requeue import Killed, gone, mortal

DONE, FAILED = DocumentState.DONE, DocumentState.FAILED
NAME = "clauses/reports.zip"
LATER = OneOffWindow(START + timedelta(hours=1), START + timedelta(hours=2), stop_when_empty=True)
SCHEDULED = config("clauses", LATER, uploads=UploadStart.SCHEDULED)
TWO = zipped(("a.txt", "letter a"), ("b.txt", "letter b"))
MIXED = zipped(
    *(
        ("2026/a.txt", "letter a"),
        ("b.md", "# letter b"),
        ("c.csv", "a;b\n1;2"),
        ("__MACOSX/._c.csv", "litter"),
    ),
    *(("scan.png", b"\x89PNG"), ("inner.zip", TWO), ("empty.txt", "")),
)
REASONS = {"scan.png": "picture", "inner.zip": "ZIP archive: unpack it", "empty.txt": "is empty"}


async def documents(world: World) -> dict[str, Document]:
    """Return all documents by their names in the archive; the archive's is the empty one."""
    history = await world.app.documents.listed("clauses", None, "", 2000)
    found = {each.name.removeprefix(NAME).removeprefix("/"): each for each in history.documents}
    assert len(found) == len(history.documents)
    return found


async def finished(world: World, minutes: int = 20) -> dict[str, Document]:
    """Run the timers until nothing is unfinished and nothing hosted; return the documents."""

    async def over() -> bool:
        return not await world.app.documents.has_unfinished("clauses") and not world.blobs.names("inbox")

    for _ in range(3):
        with contextlib.suppress(PartFailed):
            await world.until(over, timedelta(minutes=minutes))
    await gone(world)
    return await documents(world)


async def check_mixed(world: World, found: dict[str, Document]) -> None:
    """Check the outcome of each file of `MIXED`, and that nothing else is left anywhere."""
    good = ("2026/a.txt", "b.md", "c.csv")
    assert {name: each.state for name, each in found.items()} == {
        **dict.fromkeys(("", *good), DONE),
        **dict.fromkeys(REASONS, FAILED),
    }
    for name, reason in REASONS.items():
        assert reason in found[name].reason
    assert (world.blobs.names(UNPACKED), world.blobs.names("inbox")) == ([], [])
    assert len(world.results()) == 4
    kept = [f"processed/{name}" for name in world.blobs.names("processed")]
    assert kept == sorted(found[name].moved_to for name in ("", *good))
    files = [f"failed/{name}" for name in world.blobs.names("failed") if not name.endswith(".reason.txt")]
    assert files == sorted(found[name].moved_to for name in ("inner.zip", "scan.png"))
    listing = json.loads(await world.blobs.read("results", found[""].result))
    assert {each["name"]: each["id"] for each in listing["documents"]} == {
        name: each.id for name, each in found.items() if name
    }
    page = await world.tables.page("documents", "clauses", "c ", "c ~", 10)
    assert page.rows == (), "nothing is left to tidy up"


async def test_each_file_has_its_own_outcome(caplog: pytest.LogCaptureFixture) -> None:
    """Three are answered and three refused, each with its reason; logs name none of them."""
    caplog.set_level(logging.DEBUG, "lamplighter")
    world = World.of(config())
    world.upload(NAME, MIXED)
    await world.app.document_uploaded(NAME)
    assert world.results()[1:], "its event drives the deployment"
    found = await finished(world)
    await check_mixed(world, found)
    assert len([text for text in world.azure.asked if text != "ready?"]) == 3
    assert found["2026/a.txt"].moved_to.startswith("processed/clauses/reports.zip/2026/a.")
    shown = (await api.document(world.app, found[""].id)).body
    assert (shown["reason"], shown["cost"], shown["unpacked_from"]) == ("unpacked: 6 documents", 0, None)
    assert (await api.document(world.app, found["b.md"].id)).body["unpacked_from"] == found[""].id
    result = (await api.result(world.app, found["b.md"].id)).body
    assert result["document"]["unpacked_from"] == found[""].id
    assert not any(name in caplog.text for name in ("reports", "2026/", "b.md", "scan", "inner"))


@pytest.mark.parametrize(
    ("data", "refused", "place"),
    [
        (zipped(("scan.png", b"\x89PNG"), ("inner.zip", TWO)), {"scan.png", "inner.zip"}, "processed/"),
        (zipped(("Thumbs.db", "x")), {""}, "failed/"),
        (patched(TWO, flags=1), {""}, "failed/"),
    ],
)
async def test_what_cannot_be_answered_costs_no_hosting(data: bytes, refused: set[str], place: str) -> None:
    """Nothing in the archive can be answered, or the archive itself cannot be unpacked."""
    world = World.of(config())
    world.upload(NAME, data)
    await world.tick()
    found = await documents(world)
    assert {name for name, each in found.items() if each.state is FAILED} == refused
    assert found[""].moved_to.startswith(place)
    assert (world.azure.count("put"), world.blobs.names(UNPACKED)) == (0, [])


async def test_a_file_that_cannot_be_unpacked_is_refused_without_its_bytes() -> None:
    """The archive in `processed` has it. It cannot be requeued, and the refusal says what to do instead."""
    world = World.of(SCHEDULED)
    world.upload(NAME, zipped(("large.txt", b"some words " * 100_000), ("a.txt", "letter a")))
    await world.tick()
    large = (await documents(world))["large.txt"]
    assert "limits.max_document_bytes is 1,000,000" in large.reason
    assert (large.state, large.moved_to, world.blobs.names("failed")) == (FAILED, "", [])
    assert "submit it again" in (await api.requeue(world.app, large.id)).body["error"]


@pytest.mark.parametrize("hosted", [False, True], ids=["by the intake", "by the drain"])
async def test_a_crash_before_any_write_loses_and_doubles_nothing(
    hosted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that unpacks is killed before each of its writes in turn."""
    monkeypatch.setattr(unpack, "_AT_ONCE", 2)
    survived = False
    for dies_at in range(1, 99):
        world = World.of(config())
        if hosted:
            world = await recorded_unread(MIXED)
            for _ in range(10):
                await world.app.reconcile()
                world.clock.advance(30)
            assert (await world.record()).state is RecordState.OPEN
        else:
            world.upload(NAME, MIXED)
        with mortal(world, dies_at) as writes:
            try:
                await (world.app.drain_backlog(25) if hosted else world.app.intake.sweep())
            except (Killed, PartFailed):
                pass
            else:
                survived = len(writes) < dies_at
        world.clock.advance(300)
        await check_mixed(world, await finished(world))
        asked = [text for text in world.azure.asked if text != "ready?"]
        assert len(asked) - len(set(asked)) <= (3 if hosted else 0), "only a request in flight is repeated"
        if survived:
            break
    assert survived, "it was killed at each of its writes, and once at none"
    assert dies_at > 15


async def recorded_unread(data: bytes) -> World:
    """Return a world with an archive that was recorded unread, as its deployment was hosted then."""
    world = World.of(config())
    world.upload(NAME, data)
    world.app.drain_tools.hosted_here.add("clauses")
    await world.app.intake.sweep()
    world.app.drain_tools.hosted_here.clear()
    assert [each.state for each in (await documents(world)).values()] == [DocumentState.WAITING]
    return world


async def test_an_archive_of_a_hosted_deployment_is_unpacked_by_the_drain() -> None:
    """It is recorded unread. What the drain finds in it has the same outcomes."""
    world = await recorded_unread(MIXED)
    await check_mixed(world, await finished(world))
    world = await recorded_unread(zipped(("Thumbs.db", "x")))
    assert "holds no document" in (await finished(world))[""].reason


async def test_a_file_and_an_archive_are_requeued() -> None:
    """They are read where they were moved to, where their owner has corrected them."""
    world = World.of(config())
    world.upload(NAME, MIXED)
    scan = (await finished(world))["scan.png"]
    world.blobs.upload("failed", scan.moved_to.removeprefix("failed/"), b"its text")
    assert (await api.requeue(world.app, scan.id)).status == 202
    assert (await finished(world))["scan.png"].run == 2
    assert "its text" in world.azure.asked
    inner = (await documents(world))["inner.zip"]
    assert "ZIP archive" in (await api.requeue(world.app, inner.id)).body["error"]

    world = World.of(config())
    world.upload(NAME, patched(TWO, flags=1))
    archive = (await finished(world))[""]
    world.blobs.upload("failed", archive.moved_to.removeprefix("failed/"), TWO)
    assert (await api.requeue(world.app, archive.id)).status == 202
    found = await finished(world)
    assert {(name, each.state) for name, each in found.items()} == {
        ("", DONE),
        ("a.txt", DONE),
        ("b.txt", DONE),
    }
    assert found[""].moved_to.startswith("processed/") and world.blobs.names("failed") == []


@pytest.mark.parametrize("overwrites", [True, False])
async def test_its_files_are_answered_whatever_becomes_of_the_archive_meanwhile(overwrites: bool) -> None:
    """It is overwritten or deleted while it is unpacked: the newer one is a document of its own."""
    world = World.of(config())
    world.upload(NAME, TWO)
    create, meanwhile = world.blobs.create, [True]

    async def changed_meanwhile(container: str, *arguments: Any) -> str:
        if container == UNPACKED and meanwhile:
            meanwhile.clear()
            world.blobs.remove("inbox", NAME)
            if overwrites:
                world.clock.advance(1)
                world.upload(NAME, zipped(("a.txt", "a newer letter")))
        return await create(container, *arguments)

    world.blobs.create = changed_meanwhile  # type: ignore[method-assign]
    await world.until(lambda: len(world.results()) == (5 if overwrites else 3), timedelta(minutes=20))
    history = await world.app.documents.listed("clauses", None, "", 10)
    assert {each.state for each in history.documents} == {DONE}
    assert (
        sorted({*world.azure.asked} - {"ready?"})
        == ["a newer letter", *(["letter a", "letter b"])][not overwrites :]
    )
    assert (world.blobs.names(UNPACKED), world.blobs.names("inbox")) == ([], [])


async def test_two_processes_that_unpack_at_once_make_each_document_once() -> None:
    """Also if one of them is so slow that the other's documents are answered by then."""
    world = World.of(config())
    world.upload(NAME, TWO)
    create, goes_on, slow = world.blobs.create, asyncio.Event(), 2

    async def create_late(container: str, *arguments: Any) -> str:
        nonlocal slow
        if container == UNPACKED and slow:
            slow -= 1
            await goes_on.wait()
        return await create(container, *arguments)

    world.blobs.create = create_late  # type: ignore[method-assign]
    late = asyncio.create_task(world.reconfigured(config()).app.intake.arrived(NAME))
    while slow:
        await asyncio.sleep(0)
    await world.app.document_uploaded(NAME)
    assert len(world.results()) == 3
    goes_on.set()
    await late
    found = await finished(world)
    assert [each.state for each in found.values()] == [DONE] * 3
    assert (len(world.results()), len(world.azure.asked), world.blobs.names(UNPACKED)) == (3, 3, [])


async def test_a_file_that_is_deleted_where_it_waits_is_withdrawn() -> None:
    """Nothing waits for it for ever."""
    world = World.of(SCHEDULED)
    world.upload(NAME, TWO)
    await world.tick()
    for name in world.blobs.names(UNPACKED):
        world.blobs.remove(UNPACKED, name)
    found = await finished(world, minutes=90)
    assert {found["a.txt"].state, found["b.txt"].state} == {DocumentState.WITHDRAWN}
    assert found["a.txt"].reason == "the file was deleted from unpacked before it was answered"


# --- many, and large ---------------------------------------------------------------------------------


async def test_what_its_caller_cuts_short_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand files: checks stop after some seconds; a second try stages only what is not recorded."""
    monkeypatch.setattr(unpack, "CHECKED_SECONDS", 30.0)
    world = World.of(SCHEDULED)
    members = [("scan.png", b"\x89PNG"), *((f"{number}.txt", b"a letter") for number in range(999))]
    world.upload(NAME, zipped(*members))
    check, checked, staged = Sources.check, 0, 0
    create = world.blobs.create

    async def check_slowly(*arguments: Any, **named: Any) -> None:
        nonlocal checked
        checked += 1
        world.clock.advance(1)
        await check(*arguments, **named)

    async def create_some(container: str, *arguments: Any) -> str:
        nonlocal staged
        staged += container == UNPACKED
        if staged == 500:
            raise asyncio.CancelledError
        return await create(container, *arguments)

    monkeypatch.setattr(Sources, "check", check_slowly)
    world.blobs.create = create_some  # type: ignore[method-assign]
    with contextlib.suppress(asyncio.CancelledError):
        await world.app.intake.sweep()
    assert checked == 30
    await world.app.intake.sweep()
    assert staged <= 1000 + unpack._AT_ONCE
    found = await documents(world)
    assert len(found) == 1001 and found[""].state is DONE
    assert (
        found["scan.png"].state is FAILED
        and sum(each.state is DocumentState.WAITING for each in found.values()) == 999
    )


async def test_a_large_file_is_read_when_its_turn_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive, the file and its text would be in memory together: the drain refuses it."""
    monkeypatch.setattr(unpack, "CHECKED_BYTES", 4)
    world = World.of(config())
    world.upload(NAME, zipped(("small.png", b"\x89PNG"), ("large.png", b"\x89PNG and more")))
    await world.app.intake.sweep()
    found = await documents(world)
    assert (found["small.png"].state, found["large.png"].state) == (FAILED, DocumentState.WAITING)
    assert "picture" in (await finished(world))["large.png"].reason


async def test_one_large_file_is_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones are unpacked beside it."""
    inside, most = set[str](), 0
    read, check = Archive.read, Sources.check

    def noted(self: Archive, file: File) -> bytes:
        inside.add(file.path)
        return read(self, file)

    async def checked(self: Sources, data: bytes, **named: Any) -> None:
        nonlocal most
        most = max(most, sum(name.startswith("large") for name in inside))
        await check(self, data, **named)
        inside.clear()

    monkeypatch.setattr(Archive, "read", noted)
    monkeypatch.setattr(Sources, "check", checked)
    world = World.of(SCHEDULED)
    members = [
        (f"large {number}.txt", b"some words and more " * 10_000 + bytes([97 + number]))
        for number in range(4)
    ]
    world.upload(NAME, zipped(*members, ("small.txt", "text"), method=0))
    await world.app.intake.sweep()
    assert most == 1 and len(await documents(world)) == 6


# --- the doors ---------------------------------------------------------------------------------------


async def test_an_archive_is_submitted_by_http() -> None:
    """The answer is its result at once, with the ids of its documents; one that is refused is not stored."""
    world = World.of(config())
    reply = await api.submit(world.app, "clauses", "reports.zip", TWO, None)
    assert reply.status == 200
    ids = [each["id"] for each in reply.body["documents"]]
    assert [(await api.document(world.app, each)).body["state"] for each in ids] == ["waiting"] * 2
    refused = await api.submit(world.app, "clauses", "more.zip", patched(TWO, flags=1), None)
    assert (refused.status, world.blobs.names("inbox")) == (400, [])
    assert "zip its files without one" in refused.body["error"]


async def test_a_command_waits_for_the_documents_of_an_archive(tmp_path: Path) -> None:
    """Each has its line, and its result its own file; two of one name do not overwrite each other."""
    path, out = tmp_path / "reports.zip", tmp_path / "out"
    path.write_bytes(zipped(("2026/a.txt", "letter a"), ("2026/A.txt", "letter A"), ("scan.png", b"\x89PNG")))
    world = World.of(config())
    answer = await command(world, "submit", "clauses", str(path), "--out", str(out))
    assert answer.code == 1, "one file failed"
    assert "4 of 4 finished" in answer.err
    assert f"{path}/scan.png" in answer.out and "picture" in answer.out
    results = sorted(str(each.relative_to(out)) for each in out.rglob("*.json"))
    assert len(results) == 3 and {"reports.zip.json", "reports.zip/2026/a.txt.json"} < {*results}
    assert {json.loads((out / each).read_text())["answer"] for each in results} == {None, "an answer"}
