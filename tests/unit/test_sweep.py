"""The sweep at length: long backlogs, slow storage, time limits. In memory and virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from shared.alerts import forget
from shared.app import PartFailed
from shared.documents import backlog, sweep
from shared.documents.backlog import DOCUMENTS
from shared.documents.identity import identify, short_id
from shared.documents.seen import Seen
from shared.documents.sweep_position import LastSweep
from shared.errors import StorageError
from shared.model import ALWAYS, Document, DocumentState, RecordState, UploadStart
from shared.ports import BlobItem, BlobPage, Insert, Keys, Page, Remove, Replace, Row
from shared.reports.status import listed
from shared.rows import to_values
from shared.wiring import assemble
from tests.fakes.azure import MemoryAzure
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.clock import START, VirtualClock
from tests.fakes.tables import MemoryTables
from tests.fakes.world import World, config, settings
from tests.unit.command_line import command

SCHEDULED = config(uploads=UploadStart.SCHEDULED)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of every page and batch, so that a thousand documents are many."""
    for where, name in ((backlog, "_MOST"), (sweep, "_LISTED"), (sweep, "_LOOKED_UP"), (sweep, "_NEWEST")):
        monkeypatch.setattr(where, name, getattr(where, name) // 10)


class SlowTables(MemoryTables):
    """Every call takes its time, one after the other, and what is read is counted."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.clock, self.rows_read = clock, 0

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """See the port."""
        self.clock.advance(0.01)
        return await super().get(table, partition, key)

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        """See the port."""
        page = await super().page(table, partition, start, stop, limit)
        self.clock.advance(0.02 + 0.01 * len(page.rows))
        self.rows_read += len(page.rows)
        return page

    async def keys(self, table: str, partition: str, start: str, stop: str, limit: int) -> Keys:
        """See the port."""
        found = await super().keys(table, partition, start, stop, limit)
        self.clock.advance(0.02 + 0.002 * len(found.keys))
        return found

    async def write(
        self, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> tuple[str, ...]:
        """See the port."""
        self.clock.advance(0.02)
        return await super().write(table, partition, changes)


class SlowBlobs(MemoryBlobs):
    """The same of blobs."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.clock, self.stats = clock, 0

    async def list(self, container: str, token: str | None, limit: int) -> BlobPage:
        """See the port."""
        page = await super().list(container, token, limit)
        self.clock.advance(0.1 + 0.004 * len(page.items))
        return page

    async def stat(self, container: str, name: str) -> BlobItem | None:
        """See the port."""
        self.clock.advance(0.01)
        self.stats += 1
        return await super().stat(container, name)


class SlowWorld:
    """The app on slow storage, with so many documents that wait, in an order that their names do not tell."""

    def __init__(self, waiting: int) -> None:
        self.clock = VirtualClock()
        self.tables, self.blobs = SlowTables(self.clock), SlowBlobs(self.clock)
        self.azure = MemoryAzure(self.clock)
        self.world = self.started_anew()
        self.documents = list[Document]()
        for number in Random(waiting).sample(range(waiting), waiting):
            self.blobs.upload("inbox", f"clauses/{number:06}.txt", b"some text")
            self.documents.append(identify(self.blobs.item("inbox", f"clauses/{number:06}.txt"), "clauses"))
            self.clock.advance(0.1)

    async def record(self) -> None:
        """Write the rows of what lies there."""
        rows = [(short_id(each), to_values(each)) for each in self.documents]
        changes = [Insert(f"{kind} {key}", values) for key, values in rows for kind in "dw"]
        for first in range(0, len(changes), 100):
            await self.tables.write(DOCUMENTS, "clauses", changes[first : first + 100])

    def started_anew(self) -> World:
        """The app in a new process."""
        app = assemble(settings(SCHEDULED), self.clock, self.tables, self.blobs, self.azure, self.azure)
        self.world = World(self.clock, self.tables, self.blobs, self.azure, app)
        return self.world

    async def sweep(self) -> sweep.SweepReport:
        """A sweep, and the time until the next minute."""
        began = self.clock.monotonic()
        report = await self.world.app.intake.sweep()
        took = self.clock.monotonic() - began
        assert took < 2 * sweep.SWEEP_SECONDS, "the flow would have ended it"
        self.clock.advance(60 - took)
        return report


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("restarts", [False, True], ids=["one process", "a new process each minute"])
@pytest.mark.parametrize("name", ["clauses/000000-new.txt", "clauses/000500-new.txt", "clauses/zzz.txt"])
async def test_a_long_backlog_does_not_hide_a_new_upload(name: str, restarts: bool) -> None:
    """Thousands wait and are recorded: the next one is recorded within two minutes, by few reads."""
    slow = SlowWorld(2_500)
    await slow.record()
    slow.blobs.upload("inbox", name, b"the newest")
    for _ in range(2):
        read = slow.tables.rows_read
        report = await slow.sweep()
        assert slow.tables.rows_read - read < 2_500, "time bounds what a sweep reads"
        assert report.unaccounted == 0
        if restarts:
            slow.started_anew()
    recorded = identify(slow.blobs.item("inbox", name), "clauses")
    known = await slow.world.app.documents.get(recorded.id)
    assert known is not None and known.state is DocumentState.WAITING


@pytest.mark.usefixtures("small_pages")
async def test_a_long_backlog_is_walked_as_a_whole_and_what_vanished_is_settled() -> None:
    """In pieces, with nothing in memory but ids: deleted and overwritten ones get their final states."""
    slow = SlowWorld(500)
    await slow.record()
    gone = ["clauses/000000.txt", "clauses/000250.txt", "clauses/000499.txt"]
    for name in gone:
        slow.blobs.remove("inbox", name)
    slow.blobs.upload("inbox", "clauses/000001.txt", b"overwritten")
    for _ in range(30):
        await slow.sweep()
    last = await slow.world.app.intake.last_sweep()
    assert last is not None and last.walked_at is not None
    assert slow.clock.now() - last.walked_at < timedelta(minutes=3)
    known = {each.name: each for each in slow.documents}
    states = [await slow.world.app.documents.get(known[name].id) for name in [*gone, "clauses/000001.txt"]]
    assert [each and each.state for each in states] == [DocumentState.WITHDRAWN] * 3 + [
        DocumentState.SUPERSEDED
    ]
    looked = slow.blobs.stats
    await slow.sweep()
    assert slow.blobs.stats == looked, "what the walk saw is not looked at once more"


@pytest.mark.usefixtures("small_pages")
async def test_what_was_never_recorded_is_made_good_the_newest_first() -> None:
    """After a day without the app: as many as time allows each minute, and the last upload does not wait."""
    slow = SlowWorld(2_000)
    slow.blobs.upload("inbox", "clauses/zzz.txt", b"the newest")
    report = await slow.sweep()
    assert report.taken_in > 40
    newest = identify(slow.blobs.item("inbox", "clauses/zzz.txt"), "clauses")
    assert await slow.world.app.documents.get(newest.id) is not None
    before = report.taken_in
    for _ in range(3):
        report = await slow.sweep()
        assert report.taken_in > before / 4


async def test_a_sweep_that_is_ended_by_its_time_limit_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A listing hangs, minute after minute: each sweep still gets a page further."""
    monkeypatch.setattr(sweep, "_LISTED", 10)
    world = World.of(SCHEDULED)
    for number in range(40):
        world.upload(f"clauses/{number:02}.txt")
    list_page, pages = world.blobs.list, list[str | None]()

    async def second_hangs(container: str, token: str | None, limit: int) -> Any:
        pages.append(token)
        if len(pages) % 2 == 0:
            await asyncio.Event().wait()
        return await list_page(container, token, limit)

    world.blobs.list = second_hangs  # type: ignore[method-assign]
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await world.app.intake.sweep()
    assert pages == [None, *(f"clauses/{number}.txt" for number in ("09", "09", "19", "19", "29"))]
    assert (await world.app.documents.demand("clauses")).unfinished == 30


async def test_a_sweep_that_takes_long_does_not_delay_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The passes wait for a while, and then run beside the sweep, which still ends."""
    monkeypatch.setattr("shared.app.PASSES_WAIT_SECONDS", 0.05)
    world, listed = World.of(config("clauses", ALWAYS)), asyncio.Event()
    world.upload("clauses/a.txt")
    list_page = world.blobs.list

    async def slow(container: str, token: str | None, limit: int) -> Any:
        await listed.wait()
        return await list_page(container, token, limit)

    world.blobs.list = slow  # type: ignore[method-assign]
    timer = asyncio.create_task(world.app.reconcile())
    async with asyncio.timeout(30):
        while (await world.record()).state is not RecordState.CREATING:
            await asyncio.sleep(0.01)
        assert not await world.app.documents.has_unfinished("clauses")
        listed.set()
        await timer
    assert await world.app.documents.has_unfinished("clauses")


async def test_an_inbox_that_is_not_accounted_for_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Listings fail for a quarter of an hour, or one upload cannot be recorded for so long."""
    world = World.of(config())
    await world.app.intake.sweep()
    world.upload("clauses/a.txt")
    list_page, read = world.blobs.list, world.blobs.read

    async def broken(*_: Any) -> Any:
        raise StorageError("blob storage did not answer")

    world.blobs.list = broken  # type: ignore[method-assign]
    for _ in range(9):
        world.clock.advance(60)
        with pytest.raises(PartFailed):
            await world.app.reconcile()
    assert "inbox_behind" not in caplog.text
    for _ in range(3):
        world.clock.advance(60)
        with pytest.raises(PartFailed):
            await world.app.reconcile()
    assert "inbox_behind" in caplog.text and "for 11 min" in caplog.text
    world.blobs.list, world.blobs.read = list_page, broken  # type: ignore[method-assign]
    caplog.clear()
    forget()
    with pytest.raises(PartFailed):
        await world.app.reconcile()
    assert "1 upload(s) cannot be recorded" in caplog.text
    world.blobs.read = read  # type: ignore[method-assign]
    caplog.clear()
    forget()
    await world.app.reconcile()
    assert "inbox_behind" not in caplog.text
    last = await world.app.intake.last_sweep()
    assert last is not None and last.began_at == world.clock.now()
    assert last.walked_at == last.began_at - timedelta(seconds=30)  # younger uploads may be left to events


async def test_a_row_of_a_former_version_is_read() -> None:
    """It knew a token, a time and a count."""
    world = World.of(config())
    values = {"token": "", "began_at": START, "unaccounted": 0}
    await world.tables.write("sweeps", "inbox", [Replace("walk", values, etag=None)])
    assert await world.app.intake.last_sweep() == LastSweep(START, 0, START, 0)
    walking = {**values, "token": "clauses/05.txt", "unaccounted": 2}
    await world.tables.write("sweeps", "inbox", [Replace("walk", walking, etag=None)])
    assert await world.app.intake.last_sweep() == LastSweep(START, 2, None, 0)
    world.upload("clauses/06.txt")
    world.upload("clauses/04.txt")
    assert (await world.app.intake.sweep()).seen == 3, "on to the end, then from the start"
    assert (await world.app.documents.demand("clauses")).unfinished == 2


async def test_an_empty_upload_that_rests_is_shown() -> None:
    """Nobody has to wonder for ten minutes where it is; once it is judged, it does not rest any more."""
    world = World.of(config())
    world.upload("clauses/empty.txt", "")
    for minute, resting in ((0, 1), (9, 1), (10, 0)):
        world.clock.advance(60 * minute - (world.clock.now() - START).total_seconds())
        await world.app.reconcile()
        report = await listed(world.app)
        assert report.sweep is not None and report.sweep.resting == resting
        line = "1 empty upload(s) rest for 10 minutes, as they may still be written."
        assert (line in (await command(world, "status")).out) is bool(resting)


def test_what_a_process_remembers_is_bounded_and_forgets_what_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What both walks have not met again on a whole round is not known any more."""
    monkeypatch.setattr("shared.documents.seen.LIMIT", 3)
    ids = [f"clauses~20261123T080000-{number:016x}" for number in range(4)]
    seen = Seen()
    seen.begin_lap()
    seen.begin_walk()
    for each in ids:
        seen.note_waiting(each)
        seen.note_here(each)
    assert [seen.is_accounted(each, False) for each in ids] == [True, True, True, False]
    seen.end_lap()
    seen.end_walk()
    seen.begin_lap()
    seen.begin_walk()
    seen.note_waiting(ids[0])
    seen.note_here(ids[1])
    assert seen.is_accounted(ids[2], False) and seen.is_here(ids[2]), "the round is not at its end"
    seen.end_lap()
    seen.end_walk()
    assert [seen.is_accounted(each, False) for each in ids] == [True, False, False, False]
    assert [seen.is_here(each) for each in ids] == [False, True, False, False]
    seen.note_waiting(ids[3])
    assert seen.is_accounted(ids[3], False), "there is room again"
