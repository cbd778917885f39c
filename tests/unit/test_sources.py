"""Sources as stories: rows and files become documents once, and answers come to the target."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from shared.alerts import Alert
from shared.app import Lamplighter
from shared.errors import StorageError
from shared.model import (
    ALWAYS,
    ContainerSource,
    DatabaseSource,
    Document,
    DocumentState,
    OneOffWindow,
    Source,
    Task,
    UploadStart,
    prompt,
)
from shared.model.sources import OF_ROWS
from shared.sources.known import Known, digest_of, packed, unpacked
from shared.sources.when import LEAD, LOOK_EVERY, is_looked_at, pause, rest
from shared.wiring import assemble
from tests.fakes.azure import MemoryAzure
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.clock import START, VirtualClock
from tests.fakes.sources import MemoryConnections, MemoryRows, answer_all
from tests.fakes.tables import MemoryTables
from tests.fakes.world import config, settings
from tests.unit.test_notify import raised

DATABASE = DatabaseSource("postgresql://reader@db/claims", "select 1", "id", ("",), "version", "answers")
CONTAINER = ContainerSource("https://theirs.blob.core.windows.net", "scans")
HOUR = timedelta(hours=1)


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """A port whose process is killed at the call of that number, before or after its effect."""

    def __init__(self, port: Any, calls: itertools.count[int], last: int, *, after: bool) -> None:
        self._port, self._calls, self._last, self._after = port, calls, last, after

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **options: Any) -> Any:
            number = next(self._calls)
            if number > self._last or (number == self._last and not self._after):
                raise Killed
            answer = await getattr(self._port, name)(*arguments, **options)
            if number == self._last:
                raise Killed
            return answer

        return call


@dataclass
class Place:
    """The app with a source, in memory. Each call of `app` is a new process."""

    clock: VirtualClock
    tables: MemoryTables
    blobs: MemoryBlobs
    connections: MemoryConnections
    source: Source

    @classmethod
    def of(cls, source: Source) -> Place:
        clock = VirtualClock()
        return cls(clock, MemoryTables(clock), MemoryBlobs(clock), MemoryConnections(clock), source)

    @property
    def rows(self) -> MemoryRows:
        return self.connections.of_rows

    def app(self, tables: Any = None, blobs: Any = None) -> Lamplighter:
        records = OF_ROWS if isinstance(self.source, DatabaseSource) else None
        task = Task(prompt("Summarise."), 100, records=records)
        deployment = replace(config(task=task, uploads=UploadStart.SCHEDULED), source=self.source)
        azure = MemoryAzure(self.clock)
        app = assemble(
            settings(replace(deployment, windows=(ALWAYS,))),
            *(self.clock, tables or self.tables, blobs or self.blobs, azure, azure),
            connections=self.connections,
        )
        app.sources.most_rows = 3
        return app

    async def work(self, app: Lamplighter) -> None:
        """Let a process look, answer what it has found, and write the answers."""
        self.clock.advance(2 * HOUR.total_seconds())
        await app.sync_sources()
        await answer_all(app, self.blobs, "clauses", _answer)
        await app.sync_sources()

    async def documents(self) -> list[Document]:
        return list((await self.app().documents.listed("clauses", None, "", 1000)).documents)

    def asked(self) -> Counter[str]:
        """Return how often each version of a row stands in a file of rows that became a document."""
        lines = [
            json.loads(line)
            for name in self.blobs.names("processed")
            for line in self.blobs._containers["processed"][name].data.splitlines()
        ]
        return Counter(f"{line['key']} {line['version']}" for line in lines)


def _answer(text: str) -> object:
    return ValueError("filtered") if "bad" in text else text.upper()


# --- rows -----------------------------------------------------------------------------------------


async def test_rows_are_answered_once_and_changed_ones_again() -> None:
    """Seven rows in files of three; a changed and a new one later; an error is written, too."""
    place = Place.of(DATABASE)
    app, quoted = place.app(), """it's "quoted" \\ ; -- \0 \ud800"""
    place.rows.rows = {f"k{number}": ("1", f"text {number}") for number in range(6)} | {quoted: ("1", "bad")}
    await place.work(app)
    assert place.asked() == dict.fromkeys([*(f"k{number} 1" for number in range(6)), f"{quoted} 1"], 1)
    assert len(await place.documents()) == 3
    answers = {key: (row.answer, row.error) for key, row in place.rows.target.items()}
    assert answers["k3", "1"] == ('"TEXT 3"', None)
    place.rows.rows |= {"k3": ("2", "bad now"), "k0.5": ("1", "new")}
    await place.work(app)
    answers = {key: (row.answer, row.error) for key, row in place.rows.target.items()}
    assert answers["k3", "2"] == (None, "content_filter: filtered")
    assert answers["k0.5", "1"] == ('"NEW"', None) and answers["k3", "1"] == ('"TEXT 3"', None)
    assert len(await place.documents()) == 4 and set(place.asked().values()) == {1}


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after it"])
async def test_a_kill_at_any_call_loses_no_row_and_asks_none_twice(*, after: bool) -> None:
    """Each call of tables and blobs is once the last one of a process; another process goes on."""
    for last in itertools.count():
        place, calls = Place.of(DATABASE), itertools.count()
        place.rows.rows = {f"k{number}": ("1", f"text {number}") for number in range(7)}
        mortal = [Mortal(port, calls, last, after=after) for port in (place.tables, place.blobs)]
        try:
            await place.work(place.app(*mortal))
        except Killed:
            place.rows.rows["k2"] = ("2", "changed meanwhile")
            await place.work(place.app())
        else:
            break
        await place.work(place.app())
        once = place.asked()
        assert (
            set(once.values()) == {1}
            and "k2 2" in once
            and {f"k{n}" for n in range(7)} <= {key.split()[0] for key in once}
        ), last
        assert {f"{key} {version}" for key, version in place.rows.target} == set(once), last
    assert last > 30


async def test_two_processes_at_once_claim_each_row_once() -> None:
    """One has read the ledger, then the other claims: the first ends its look, and finds nothing later."""
    place = Place.of(DATABASE)
    place.rows.rows = {f"k{number}": ("1", "text") for number in range(7)}
    one, other = place.app(), place.app()
    page = place.rows.page

    async def slow(start: str, limit: int) -> Any:
        place.rows.page = page  # type: ignore[method-assign]
        await other.sync_sources()
        place.rows.rows["j"] = ("1", "new")  # so that the two would claim different files
        return await page(start, limit)

    place.rows.page = slow  # type: ignore[method-assign]
    await one.sync_sources()
    await place.work(one)
    assert place.asked() == dict.fromkeys(["j 1", *(f"k{number} 1" for number in range(7))], 1)


async def test_the_app_itself_answers_what_a_source_brings() -> None:
    """From the rows through record files, the model and the results to the target, by the timers alone."""
    place = Place.of(DATABASE)
    app = place.app()
    place.rows.rows = {f"k{number}": ("1", f"text {number}") for number in range(7)} | {"void": ("1", " ")}
    for _ in range(60):
        await app.sync_sources()
        await app.reconcile()
        await app.drain_backlog(50.0)
        place.clock.advance(60)
    assert place.rows.target.keys() == {(key, "1") for key in place.rows.rows}
    assert all(row.answer for (key, _), row in place.rows.target.items() if key != "void")
    assert str(place.rows.target["void", "1"].error).startswith("empty_record: ")
    assert {document.state for document in await place.documents()} == {DocumentState.DONE}


async def test_a_target_that_is_down_delays_its_answers_only(caplog: pytest.LogCaptureFixture) -> None:
    """Answers stay in the results, one alert says so, tries become rarer, and rows are taken meanwhile."""
    place = Place.of(DATABASE)
    app = place.app()
    place.rows.rows, place.rows.down = {"a": ("1", "first")}, "target"
    await place.work(app)
    place.rows.rows["b"] = ("1", "second")
    await place.work(app)
    assert not place.rows.target and place.asked() == {"a 1": 1, "b 1": 1}
    (told,) = [each for each in raised(caplog) if each["event"] == Alert.TARGET_UNWRITABLE]
    assert "the target is down" in told["remedy"] and "start it" in told["remedy"]
    place.rows.down = ""
    await app.sync_sources()
    assert not place.rows.target  # it waits for its next try
    await place.work(app)
    assert {key for key, _ in place.rows.target} == {"a", "b"}


async def test_a_source_that_is_down_is_looked_at_later(caplog: pytest.LogCaptureFixture) -> None:
    """What is answered already comes to the target all the same."""
    place = Place.of(DATABASE)
    app = place.app()
    place.rows.rows = {"a": ("1", "first")}
    await app.sync_sources()
    place.rows.down = "source"
    await place.work(app)
    assert {each["event"] for each in raised(caplog)} == {Alert.SOURCE_UNREADABLE} and place.rows.target
    place.rows.down = ""
    place.rows.rows["b"] = ("1", "second")
    await place.work(app)
    assert {key for key, _ in place.rows.target} == {"a", "b"}


async def test_what_a_requeued_document_brings_is_written_too() -> None:
    """For a week after it was finished: of its rows, one had no answer in the first run."""
    place = Place.of(DATABASE)
    place.rows.rows = {"a": ("1", "bad"), "b": ("1", "fine")}
    await place.work(app := place.app())
    assert place.rows.target["a", "1"].error and place.rows.target["b", "1"].answer
    (document,) = await place.documents()
    again = replace(document, state=DocumentState.WAITING, run=2, refused=0, finished_at=None)
    assert await app.documents.try_reopen(again)
    await answer_all(app, place.blobs, "clauses")
    await place.work(app)
    assert place.rows.target["a", "1"].answer == '"BAD"' and not place.rows.target["a", "1"].error


async def test_answers_that_the_target_refuses_hold_up_no_others(caplog: pytest.LogCaptureFixture) -> None:
    """A key that no column can hold: the others are written, and an alert counts it."""
    place = Place.of(DATABASE)
    place.rows.rows = {"a": ("1", "first"), "\0": ("1", "second")}
    await place.work(app := place.app())
    assert {key for key, _ in place.rows.target} == {"a"}
    (told,) = [each for each in raised(caplog) if each["event"] == Alert.TARGET_UNWRITABLE]
    assert "1 of 2 answers" in told["remedy"]
    place.rows.target.clear()
    await place.work(app)
    assert not place.rows.target, "its claim is closed: nothing is written again and again"


# --- files ----------------------------------------------------------------------------------------


async def test_files_of_a_container_become_documents_and_stay_there() -> None:
    """What can be answered waits, what cannot is refused before anything is hosted; a change is a new one."""
    place = Place.of(CONTAINER)
    app, theirs = place.app(), place.connections.of_files
    theirs.put("2026/letter.txt", "Dear Sir")
    theirs.put("2026/nothing.txt", "  ")
    theirs.put("2026/empty.txt", "")
    theirs.put(".DS_Store", "x")
    before = theirs.blobs.names("theirs")
    await app.sync_sources()
    await app.sync_sources()
    states = {document.name: document.state for document in await place.documents()}
    assert states == {
        "clauses/2026/letter.txt": DocumentState.WAITING,
        "clauses/2026/nothing.txt": DocumentState.FAILED,
    }
    theirs.put("2026/letter.txt", "Dear Madam")
    theirs.put("2026/empty.txt", "not any more")
    place.clock.advance(2 * LOOK_EVERY.total_seconds())
    await place.app().sync_sources()
    names = Counter(document.name for document in await place.documents())
    assert names["clauses/2026/letter.txt"] == 2 and names["clauses/2026/empty.txt"] == 1
    assert theirs.blobs.names("theirs") == before


async def test_a_file_that_cannot_be_read_now_hinders_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It is taken by a later look; one that its storage refuses for good is a document that says so."""
    place = Place.of(CONTAINER)
    theirs, read_range = place.connections.of_files, place.connections.of_files.read_range
    for name in ("a.txt", "b.txt", "c.txt"):
        theirs.put(name, f"This is {name}.")
    theirs.blobs.refuse("theirs", "b.txt", "BlobUsesCustomerSpecifiedEncryption")

    async def failing(name: str, *rest: Any) -> bytes:
        if name == "a.txt":
            raise StorageError("storage is busy")
        return await read_range(name, *rest)

    theirs.read_range = failing  # type: ignore[method-assign]
    await place.app().sync_sources()
    states = {document.name: document.state for document in await place.documents()}
    assert states == {"clauses/b.txt": DocumentState.FAILED, "clauses/c.txt": DocumentState.WAITING}
    assert Alert.SOURCE_UNREADABLE in {each["event"] for each in raised(caplog)}
    theirs.read_range = read_range  # type: ignore[method-assign]
    place.clock.advance(2 * HOUR.total_seconds())
    await place.app().sync_sources()
    assert len(await place.documents()) == 3


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after it"])
async def test_a_kill_at_any_call_loses_no_file_and_takes_none_twice(*, after: bool) -> None:
    """Also a file that is refused, and one that is gone when it is copied."""
    for last in itertools.count():
        place, calls = Place.of(CONTAINER), itertools.count()
        for name in ("a.txt", "b.txt", "blank.txt"):
            place.connections.of_files.put(name, " " if name == "blank.txt" else f"This is {name}.")
        mortal = [Mortal(port, calls, last, after=after) for port in (place.tables, place.blobs)]
        try:
            await place.app(*mortal).sync_sources()
        except Killed:
            place.clock.advance(2 * LOOK_EVERY.total_seconds())
            await place.app().sync_sources()
        else:
            break
        documents = await place.documents()
        assert sorted(document.name for document in documents) == [
            f"clauses/{name}" for name in ("a.txt", "b.txt", "blank.txt")
        ], last
        assert len(place.blobs.names("taken")) == 2, last
    assert last > 10


# --- the parts ------------------------------------------------------------------------------------


def test_a_source_is_looked_at_from_the_lead_to_the_window_s_end() -> None:
    """With the file's lead or, if it is learned, ten minutes; a closure closes."""
    window = OneOffWindow(START, START + 2 * HOUR)
    learned = replace(config("clauses", window), lead=None)
    for deployment, lead in ((config("clauses", window), timedelta(minutes=15)), (learned, LEAD)):
        edges = [START - lead - timedelta.resolution, START - lead, START + 2 * HOUR]
        assert [is_looked_at(deployment, at) for at in edges] == [False, True, False]
        assert is_looked_at(deployment, START + HOUR)
    assert rest(timedelta(seconds=3)) == LOOK_EVERY and rest(timedelta(minutes=2)) == timedelta(minutes=20)
    assert [pause(number) for number in (1, 2, 20)] == [HOUR / 60, HOUR / 30, HOUR]


def test_known_digests_are_eight_bytes_each_and_found_at_any_number() -> None:
    """A key and a version never run together, and merged digests are found as new ones are."""
    assert digest_of("ab", "c") != digest_of("a", "bc")
    known, digests = Known(), [digest_of(str(number), "1") for number in range(120_000)]
    for first in range(0, len(digests), 30_000):
        known.add(unpacked(packed(digests[first : first + 30_000])))
    assert all(map(known.has, digests)) and not known.has(digest_of("120001", "1"))
