"""`reconcile` and `submit` over the app in memory."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import InvalidRequest, ProviderRefused, StorageError
from shared.model import Hosted, OneOffWindow, RecordState, UploadStart
from tests.fakes.clock import START
from tests.fakes.world import World, config
from tests.unit.command_line import command

NIGHT = OneOffWindow(START + timedelta(hours=10), START + timedelta(hours=16), stop_when_empty=True)


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    """A document."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear all")
    return path


# --- reconcile ---------------------------------------------------------------------------------------


async def test_reconcile_sweeps_passes_and_tells_what_was_decided() -> None:
    """An upload without an event is found, and its deployment created."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    answer = await command(world, "reconcile")
    assert answer.code == 0
    assert answer.out.splitlines()[0] == "main: a pass was made"
    assert answer.out.splitlines()[-1].split()[:5] == ["main", "clauses", "wait", "creating", "up"]
    assert world.azure.names() == ["clauses"]


async def test_reconcile_drains_what_is_ready() -> None:
    """Called by cron and nothing else, documents are answered and the deployment goes."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    for _ in range(4):
        assert (await command(world, "reconcile", "--drain")).code == 0
        world.clock.advance(60)
    assert (await world.document("clauses/a.txt")).state == "done"
    assert len(world.azure.deleted) == 1


async def test_reconcile_tells_when_there_is_nothing_to_do() -> None:
    """The second pass within a quarter of an hour does not even list; as JSON it says so, too."""
    world = World.of(config())
    await command(world, "reconcile")
    shown = (await command(world, "reconcile", "--json")).json
    assert shown == {"passes": [{"account": "main", "outcome": "idle", "decisions": []}], "problems": []}
    assert "within 15 minutes" in (await command(world, "reconcile")).out
    assert world.azure.count("list") == 1
    world.clock.advance(15 * 60)
    await command(world, "reconcile")
    assert world.azure.count("list") == 2


async def test_reconcile_fails_when_part_of_it_did() -> None:
    """The account could not be listed: exit code 1, with the reason; the sweep was made all the same."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    world.azure.fail_next("list", ProviderRefused("no right to list", code="AuthorizationFailed"))
    answer = await command(world, "reconcile")
    assert answer.code == 1
    assert "failed: main: no right to list" in answer.err
    assert (await world.document("clauses/a.txt")).state == "waiting"


async def test_reconcile_fails_when_draining_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice that lost the storage is reported, after the decisions."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await command(world, "up", "clauses", "--for", "2h", "--owner", "d", "--reason", "r", "--wait")

    async def broken(*_: object) -> None:
        raise StorageError("table storage did not answer")

    monkeypatch.setattr("shared.serve.drain", broken)
    answer = await command(world, "reconcile", "--drain", "--json")
    assert answer.code == 1
    assert answer.json["passes"][0]["outcome"] == "done"
    assert answer.json["problems"] == ["clauses: table storage did not answer"]


# --- submit ------------------------------------------------------------------------------------------


async def test_submit_hands_documents_in_and_leaves_the_rest_to_the_timers(letter: Path) -> None:
    """They lie in the inbox under their names, recorded; nothing is created by the command itself."""
    world = World.of(config())
    shown = (await command(world, "submit", "clauses", str(letter), "--json")).json
    (document,) = shown["documents"]
    assert document["state"] == "waiting"
    assert document["file"] == str(letter)
    assert world.blobs.names("inbox") == ["clauses/letter.txt"]
    assert world.azure.count("put") == 0


async def test_submit_drives_the_flow_and_prints_the_answers(letter: Path) -> None:
    """From nothing deployed to the answer and nothing deployed again, with no timer running."""
    world = World.of(config())
    world.azure.answer = "It is \x1b[31mred\x1b[0m.\nReally."
    answer = await command(world, "submit", "clauses", str(letter), "--wait")
    assert answer.code == 0
    assert answer.out.endswith(f"{letter}:\nIt is [31mred[0m.\nReally.\n")
    assert "0 of 1 finished; clauses is creating" in answer.err
    assert [each.cut for each in world.azure.deleted] == [0]


async def test_submit_stays_until_what_nobody_needs_is_deleted(
    letter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure takes its time to list: the command that has its answer already sees the deletion through."""
    world = World.of(config())
    listed = world.azure.deployments

    async def slow(account: str, *, timeout: float) -> Mapping[str, Hosted]:
        await world.clock.sleep(5)
        return await listed(account, timeout=timeout)

    monkeypatch.setattr(world.azure, "deployments", slow)
    answer = await command(world, "submit", "clauses", str(letter), "--wait")
    assert answer.code == 0
    assert len(world.azure.deleted) == 1


async def test_submit_writes_results_into_a_folder(letter: Path, tmp_path: Path) -> None:
    """As FOLDER/FILE.json, the whole result; a name of any script comes out as it went in."""
    other = tmp_path / "Müller 100%41 – ok?.txt"
    other.write_text("Dear Sir")
    out = tmp_path / "new" / "folder"
    world = World.of(config())
    answer = await command(world, "submit", "clauses", str(letter), str(other), "--out", str(out), "--json")
    assert answer.code == 0
    assert {path.name for path in out.iterdir()} == {"letter.txt.json", "Müller 100%41 – ok?.txt.json"}
    result = json.loads((out / f"{other.name}.json").read_text())
    assert result["answer"] == "an answer"
    assert result["document"]["name"] == other.name
    saved = [each["saved"] for each in answer.json["documents"]]
    assert saved == [str(out / "letter.txt.json"), str(out / f"{other.name}.json")]


async def test_submit_fails_when_a_document_did_and_answers_the_others(letter: Path, tmp_path: Path) -> None:
    """A refusal at the door, one of the model, a file that is not there: each with its reason."""
    empty, refused = tmp_path / "empty.txt", tmp_path / "refused.txt"
    empty.write_bytes(b"")
    refused.write_text("[[content_filter]]")
    big = tmp_path / "big.txt"
    big.write_bytes(b"x" * 1_000_001)
    world = World.of(config())
    paths = (letter, empty, refused, big, tmp_path / "missing.txt", tmp_path)
    answer = await command(world, "submit", "clauses", *map(str, paths), "--wait", "--json")
    assert answer.code == 1
    states = {Path(each["file"]).name: (each["state"], each["reason"]) for each in answer.json["documents"]}
    assert states["letter.txt"][0] == "done"
    assert states["empty.txt"] == ("refused", "the file is empty")
    assert states["refused.txt"][0] == "failed"
    assert "content filter" in states["refused.txt"][1]
    too_large = "the file has 1,000,001 bytes; limits.max_document_bytes is 1,000,000"
    assert states["big.txt"] == ("refused", too_large)
    assert states["missing.txt"] == ("refused", "the file cannot be read (No such file or directory)")
    assert states[tmp_path.name] == ("refused", "the file cannot be read (Is a directory)")
    assert world.blobs.names("inbox") == []


async def test_submit_gives_up_after_its_timeout_and_the_document_waits_on(letter: Path) -> None:
    """A deployment with a window at night answers it then; exit code 1 tells that it is not done."""
    world = World.of(config("clauses", NIGHT, uploads=UploadStart.SCHEDULED))
    answer = await command(world, "submit", "clauses", str(letter), "--wait", "--timeout", "1m", "--json")
    assert answer.code == 1
    assert answer.json["documents"][0]["state"] == "waiting"
    assert world.clock.now() - START < timedelta(minutes=2)
    world.clock.advance(10 * 3600)
    await world.until(lambda: world.results() != [], timedelta(hours=1))


async def test_submit_waits_for_what_somebody_else_drives(letter: Path) -> None:
    """A timer holds the drain lease: the command's flow returns at once, and its document is answered."""
    world = World.of(config())
    world.azure.answer_seconds = 20.0
    world.upload("clauses/first.txt")
    await world.app.intake.sweep()
    other = asyncio.create_task(world.app.drive(world.app.settings.deployments["clauses"], 400.0))
    await world.clock.sleep(10)
    answer = await command(world, "submit", "clauses", str(letter), "--wait")
    await other
    assert answer.code == 0
    assert (await world.document("clauses/first.txt")).state == "done"
    assert sorted(world.azure.asked) == ["Dear all", "ready?", "some text"]


async def test_submit_stops_when_azure_refuses_for_good(letter: Path) -> None:
    """Without the right to list it fails at once; the document stays recorded."""
    world = World.of(config())
    world.azure.fail_next("list", ProviderRefused("no right to list", code="AuthorizationFailed"))
    with pytest.raises(ProviderRefused):
        await command(world, "submit", "clauses", str(letter), "--wait")
    assert (await world.document("clauses/letter.txt")).state == "waiting"
    assert (await world.record()).state is RecordState.ABSENT


async def test_submit_refuses_what_would_overwrite_its_own_results(letter: Path, tmp_path: Path) -> None:
    """Two files of one name, before anything is handed in."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "letter.txt").write_text("Another")
    world = World.of(config())
    twice = (str(letter), str(tmp_path / "b" / "letter.txt"))
    with pytest.raises(InvalidRequest, match=r"two of the files are called 'letter.txt'"):
        await command(world, "submit", "clauses", *twice, "--out", str(tmp_path / "out"))
    assert world.blobs.names("inbox") == []


@pytest.mark.parametrize("folder", ["letter.txt", "letter.txt/answers", "locked"])
async def test_submit_checks_the_folder_of_the_results_first(
    letter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """One that cannot be made or written to is named, and nothing is handed in."""
    monkeypatch.setattr(os, "access", lambda path, _: path.name != "locked")
    world = World.of(config())
    with pytest.raises(InvalidRequest, match=rf"--out .*{folder}: results cannot be written there \(.+\)"):
        await command(world, "submit", "clauses", str(letter), "--out", str(letter.parent / folder))
    assert world.blobs.names("inbox") == []


async def test_a_result_that_cannot_be_written_is_printed_and_fails_the_command(letter: Path) -> None:
    """Another thing has its name, or the disk is full: the answer is paid for, and not lost."""
    world, out = World.of(config()), letter.parent / "out"
    (out / "letter.txt.json").mkdir(parents=True)
    answer = await command(world, "submit", "clauses", str(letter), "--out", str(out))
    assert answer.code == 1
    assert "letter.txt.json (Is a directory), and stays in storage" in answer.out
    assert "an answer" in answer.out


async def test_a_file_without_an_end_is_refused_at_the_limit() -> None:
    """Such as a pipe: it tells no size."""
    world = World.of(config())
    answer = await command(world, "submit", "clauses", "/dev/zero")
    assert answer.code == 1
    assert "limits.max_document_bytes is 1,000,000" in answer.out
