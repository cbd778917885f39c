"""The sweep: every upload is accounted for, whatever became of its event, however many wait.

Each sweep takes 10 s at most and goes on where the last one stopped; nothing is read as a whole. In order:

1. The lap: unfinished rows, oldest first, a page at a time. What they name need not be asked for again.
2. The walk: the inbox, a page at a time. What is not known is looked up, and recorded if it is new.
3. The look ahead, where the walk does not reach the end: the listing runs on, and the newest uploads that
   nobody knows are recorded first. So the last upload does not wait for the hundred thousand before it.
4. The vanished: rows of the lap whose uploads the walk did not see were overwritten or deleted.

Note [What is not final yet]. Many uploaders create an empty blob and write it later: an empty blob rests for
ten minutes, by the storage's clock, before it is judged. Litter and folder markers are nobody's documents and
stay where they are; neither they nor what rests has a row or an alert.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.alerts import Alert, alert, event
from shared.documents.backlog import INBOX, DocumentLedger, gone, id_of, is_final
from shared.documents.litter import is_litter
from shared.documents.results import Results
from shared.documents.seen import Seen
from shared.errors import Changed, LamplighterError, Missing, StorageError
from shared.model import Document, Settings
from shared.ports import BlobItem, Blobs, Clock, Replace, Tables
from shared.rows import from_row, to_values

SWEEP_SECONDS = 10.0
SWEEPS = "sweeps"  # table
REST = timedelta(minutes=10)
"""How long an empty blob rests after its last change; see Note [What is not final yet]."""
BEHIND = timedelta(minutes=10)
"""A walk that takes longer, or that cannot account for everything, raises an alert."""

_LISTED = 5000  # blobs of a page, as many as Azure lists at once
_LOOKED_UP, _AT_ONCE = 500, 8  # uploads looked up together; uploads recorded, and blobs looked at, at once
_ENOUGH = 16  # uploads of a deployment from which on their rows are read together
_NEWEST = 1000  # uploads that a look ahead keeps
_KEPT = 5000  # documents of a lap, to be looked at whether they vanished
_LATEST = timedelta(minutes=5)  # uploads of so long are all looked up by a look ahead
_LAP_SECONDS, _ACCOUNT_SECONDS, _RESERVE = 1.0, 1.5, 1.0  # shares of a sweep; the reserve is for the vanished
_ROW = "walk"
_BEHIND_ALL = "~"  # sorts behind every document of a deployment
_SAVE_SECONDS = 5.0  # for keeping where a sweep stopped that its caller ends


@dataclass
class SweepReport:
    """What a sweep saw and did."""

    seen: int = 0
    taken_in: int = 0
    settled: int = 0
    resting: int = 0  # empty blobs that may still be written
    complete: bool = False
    errors: list[Exception] = field(default_factory=list)

    @property
    def unaccounted(self) -> int:
        """Uploads that could not be recorded, which the next sweep tries again. Target 0."""
        return len(self.errors)


@dataclass(frozen=True)
class LastSweep:
    """What is kept of a sweep."""

    began_at: datetime
    unaccounted: int  # uploads that could not be recorded; target 0
    walked_at: datetime | None  # every upload from before is accounted for; None: no walk has come to its end


@dataclass
class Position:
    """Where the sweeps are: a row. A former version wrote and reads its first three columns only."""

    began_at: datetime  # the last sweep
    token: str = ""  # where the walk goes on; empty: at the start
    unaccounted: int = 0  # of this walk by now
    ahead: str = ""  # where the look ahead goes on
    lap: str = ""  # the last document of the lap that was looked at
    walk_began_at: datetime | None = None
    walked_at: datetime | None = None  # when the last walk began that accounted for everything
    behind_since: datetime | None = None  # when the first walk began since that has not


class _Upload(NamedTuple):
    """An upload; the newest is the greatest."""

    modified_at: datetime
    document_id: str
    item: BlobItem


@dataclass
class _Lap:
    """What a sweep read of the unfinished rows: documents that are to lie in the inbox."""

    documents: list[Document] = field(default_factory=list)
    server_time: datetime | None = None
    read_to: str = ""  # the last document read; empty: the lap is at its end
    left_out: bool = False  # there were more than are kept

    def keep(self, documents: Sequence[Document], now: datetime) -> None:
        """Keep those that nobody has claimed and that were not moved: their source lies in the inbox."""
        for document in documents:
            if document.moved_to or (document.claimed_until and document.claimed_until > now):
                continue
            if len(self.documents) == _KEPT:
                self.left_out = True
                return
            self.documents.append(document)


class Sweep:
    """Sweeps the inbox. Safe to repeat, also at the same time elsewhere."""

    def __init__(
        self,
        clock: Clock,
        tables: Tables,
        blobs: Blobs,
        ledger: DocumentLedger,
        results: Results,
        settings: Settings,
        partition: Callable[[str], str],
        take_in: Callable[[BlobItem], Awaitable[Document]],
    ) -> None:
        """`partition`: of an upload by its name. `take_in` records an upload."""
        self._clock = clock
        self._tables = tables
        self._blobs = blobs
        self._ledger = ledger
        self._results = results
        self._settings = settings
        self._partition = partition
        self._take_in = take_in
        self._seen = Seen()
        self._lapped = False  # whether this process has come to the end of a lap
        self._lap_at: str | None = None  # how far this process has read; the row: how far all was looked at

    async def last(self) -> LastSweep | None:
        """When the inbox was last swept, and what could not be recorded; None if it never was."""
        at = await self._position()
        return LastSweep(at.began_at, at.unaccounted, at.walked_at) if at else None

    async def run(self) -> SweepReport:
        """Sweep once. Where it stops is kept also when its caller's time limit or an error ends it."""
        now, until, report = self._clock.now(), self._clock.monotonic() + SWEEP_SECONDS, SweepReport()
        at = await self._position() or Position(now)
        at.began_at = now
        try:
            await self._account(at, report, until)
        except (asyncio.CancelledError, Exception):
            with contextlib.suppress(StorageError, TimeoutError):
                async with asyncio.timeout(_SAVE_SECONDS):
                    await self._keep(at)
            self._publish(at, report)
            raise
        await self._keep(at)
        self._publish(at, report)
        for name in self._settings.deployments:
            for leftover in await self._ledger.leftovers(name):
                await self._results.clear(leftover)
        return report

    async def _account(self, at: Position, report: SweepReport, until: float) -> None:
        lap = _Lap()
        await self._read_lap(at, lap, self._clock.monotonic() + _LAP_SECONDS)
        until -= _RESERVE
        # Where the last look ahead did not reach the end, it goes first.
        if at.ahead or not await self._walk(at, report, lap, until, _ACCOUNT_SECONDS):
            await self._look_ahead(at, report, lap, until)
            # A page of the lap tells of more uploads than the walk could look up in that time.
            if not self._lapped and self._clock.monotonic() < until:
                await self._read_lap(at, lap, until)
            if self._clock.monotonic() < until:
                await self._walk(at, report, lap, until, SWEEP_SECONDS)
        await self._settle_vanished(at, report, lap, until + _RESERVE)

    # --- the lap ------------------------------------------------------------------------------

    async def _read_lap(self, at: Position, lap: _Lap, until: float) -> None:
        """Read unfinished rows on from where this process, or else the last sweep, stopped."""
        names = sorted(self._settings.deployments)
        last = at.lap if self._lap_at is None else self._lap_at
        if not last:
            self._seen.begin_lap()
        for name in names:
            if name < _deployment(last):
                continue
            more = True
            while more:
                stretch = await self._ledger.unfinished_after(name, last if _deployment(last) == name else "")
                lap.server_time = lap.server_time or stretch.server_time
                for document in stretch.documents:
                    self._seen.note_waiting(document.id)
                lap.keep(stretch.documents, at.began_at)
                last = stretch.documents[-1].id if stretch.documents else f"{name}~{_BEHIND_ALL}"
                more = stretch.more
                if self._clock.monotonic() > until and (more or name != names[-1]):
                    lap.read_to = self._lap_at = last
                    return
        self._seen.end_lap()
        lap.read_to = self._lap_at = ""
        self._lapped = True

    # --- the walk -----------------------------------------------------------------------------

    async def _walk(
        self, at: Position, report: SweepReport, lap: _Lap, until: float, accounting: float
    ) -> bool:
        """Account for page after page until the time is up, or everything was seen once in this sweep.

        False: looking up and recording took `accounting` seconds, and there may be newer uploads further on.
        """
        anew = False
        while True:
            if not at.token:
                if anew:
                    return True
                anew = True
                self._begin_walk(at)
            try:
                page = await self._blobs.list(INBOX, at.token or None, _LISTED)
            except StorageError:
                at.token = ""  # it may be the token that storage refuses: begin anew
                raise
            report.seen += len(page.items)
            began, failed = self._clock.monotonic(), len(report.errors)
            unknown, resting = self._unknown(page.items, lap)
            report.resting += resting
            finished = await self._account_for(unknown, report, min(began + accounting, until))
            at.unaccounted += len(report.errors) - failed
            accounting -= self._clock.monotonic() - began if unknown else 0.0
            if not finished:  # the next sweep reads the page again, for what is left of it
                return self._clock.monotonic() > until
            at.token = page.token or ""
            if not at.token:
                self._end_walk(at)
                report.complete = True
            if self._clock.monotonic() > until:
                return True
            if accounting <= 0.0 and at.token:
                return False

    def _begin_walk(self, at: Position) -> None:
        self._seen.begin_walk()
        at.unaccounted = 0
        at.walk_began_at = self._clock.now()
        at.behind_since = at.behind_since or at.walk_began_at

    def _end_walk(self, at: Position) -> None:
        self._seen.end_walk()
        if not at.unaccounted:
            at.walked_at, at.behind_since = at.walk_began_at, None

    def _unknown(self, items: Sequence[BlobItem], lap: _Lap) -> tuple[list[_Upload], int]:
        """The uploads of which nothing is known, and how many rest."""
        unknown, resting, now = list[_Upload](), 0, lap.server_time or self._clock.now()
        for item in items:
            if is_nobodys(item):
                continue
            document_id = id_of(item, self._partition(item.name))
            self._seen.note_here(document_id)
            if self._seen.is_accounted(document_id, item.archived):
                continue
            if not item.size and now - item.modified_at < REST:
                resting += 1
            else:
                unknown.append(_Upload(item.modified_at, document_id, item))
        return unknown, resting

    async def _look_ahead(self, at: Position, report: SweepReport, lap: _Lap, until: float) -> None:
        """List on, past what the walk has still to look up, and record the newest of what nobody knows."""
        newest: list[_Upload] = []  # a heap, the oldest of them first
        while True:
            try:
                page = await self._blobs.list(INBOX, at.ahead or None, _LISTED)
            except StorageError:
                at.ahead = ""
                raise
            for upload in self._unknown(page.items, lap)[0]:
                heapq.heappush(newest, upload)
                if len(newest) > _NEWEST:
                    heapq.heappop(newest)
            at.ahead = page.token or ""
            if not at.ahead or self._clock.monotonic() > until - _RESERVE:
                break
        newest.sort(reverse=True)
        latest = (lap.server_time or self._clock.now()) - _LATEST
        for first in range(0, len(newest), _AT_ONCE):
            some = newest[first : first + _AT_ONCE]
            recorded = await asyncio.gather(*(self._ledger.get(each.document_id) for each in some))
            new = [each for each, known in zip(some, recorded, strict=True) if known is None]
            for each, known in zip(some, recorded, strict=True):
                if known is not None and not is_final(known):
                    self._seen.note_waiting(each.document_id)
            await asyncio.gather(*(self._record(each, report) for each in new))
            # What is older, behind many that are recorded, was there when the former sweeps came by.
            if self._clock.monotonic() > until or (not new and some[-1].modified_at < latest):
                break

    async def _account_for(self, uploads: Sequence[_Upload], report: SweepReport, until: float) -> bool:
        """Look up and record as many as the time allows, a few at the least; whether that was all of them."""
        for start in range(0, len(uploads), _LOOKED_UP):
            rest = await self._not_waiting(uploads[start : start + _LOOKED_UP])
            for first in range(0, len(rest), _AT_ONCE):
                if first and self._clock.monotonic() > until:
                    return False
                await asyncio.gather(*(self._record(each, report) for each in rest[first : first + _AT_ONCE]))
            if self._clock.monotonic() > until:
                return start + _LOOKED_UP >= len(uploads)
        return True

    async def _not_waiting(self, uploads: Sequence[_Upload]) -> list[_Upload]:
        """Those that are not surely recorded: where there are many of a deployment, by its rows."""
        by_deployment, waiting = defaultdict[str, list[str]](list), set[str]()
        for upload in uploads:
            by_deployment[_deployment(upload.document_id)].append(upload.document_id)
        for name, document_ids in by_deployment.items():
            if name in self._settings.deployments and len(document_ids) >= _ENOUGH:
                waiting |= await self._ledger.unfinished_among(name, document_ids)
        for document_id in waiting:
            self._seen.note_waiting(document_id)
        return [upload for upload in uploads if upload.document_id not in waiting]

    async def _record(self, upload: _Upload, report: SweepReport) -> None:
        try:
            document = await self._take_in(upload.item)
        except Exception as error:  # one bad upload must not keep the others, or the passes, waiting
            report.errors.append(error)
            return
        report.taken_in += 1
        if not is_final(document):
            self._seen.note_waiting(document.id)
        elif not document.moved_to:
            self._seen.note_left(document.id, upload.item.archived)

    # --- the vanished -------------------------------------------------------------------------

    async def _settle_vanished(self, at: Position, report: SweepReport, lap: _Lap, until: float) -> None:
        """What waited and is not in the inbox any more was overwritten or deleted by its owner.

        The rows were read before the inbox was listed. What the walk did not see is looked at, and where the
        time does not allow that for all, the lap goes on there when the process is another.
        """
        missing = [document for document in lap.documents if not self._seen.is_here(document.id)]
        for first in range(0, len(missing), _AT_ONCE):
            if first and self._clock.monotonic() > until:
                at.lap = missing[first - 1].id
                return
            some = missing[first : first + _AT_ONCE]
            outcomes = await asyncio.gather(
                *(self._settle_if_gone(document, report) for document in some), return_exceptions=True
            )
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome
        at.lap = lap.documents[-1].id if lap.left_out else lap.read_to

    async def _settle_if_gone(self, document: Document, report: SweepReport) -> None:
        item = await self._blobs.stat(INBOX, document.name)
        if item is not None and item.etag == document.source_etag:
            return
        state, reason = gone(Changed() if item else Missing())
        await self._results.settle(document, state, reason, self._clock.now())
        report.settled += 1

    # --- what is kept and told ----------------------------------------------------------------

    async def _position(self) -> Position | None:
        row = await self._tables.get(SWEEPS, INBOX, _ROW)
        if row is None:
            return None
        at = from_row(Position, row)
        if at.walk_began_at is None:  # a former version's
            at.walk_began_at = at.began_at
            if at.token or at.unaccounted:
                at.behind_since = at.began_at
            else:
                at.walked_at = at.began_at
        return at

    async def _keep(self, at: Position) -> None:
        await self._tables.write(SWEEPS, INBOX, [Replace(_ROW, to_values(at), etag=None)])

    def _publish(self, at: Position, report: SweepReport) -> None:
        now = self._clock.now()
        event(
            "sweep",
            seen=report.seen,
            taken_in=report.taken_in,
            resting=report.resting,
            unaccounted=report.unaccounted,
            age_seconds=(now - at.walked_at).total_seconds() if at.walked_at else None,
        )
        if report.unaccounted:
            remedy = f"{report.unaccounted} upload(s) could not be recorded; the next sweep tries again"
            first = report.errors[0]
            told = str(first) if isinstance(first, LamplighterError) else type(first).__name__
            alert(Alert.UNACCOUNTED_DOCUMENTS, f"{remedy}: {told}")
        if at.behind_since is not None and now - at.behind_since >= BEHIND:
            alert(Alert.INBOX_BEHIND, _behind(at, now))


def is_nobodys(item: BlobItem) -> bool:
    """Whether a blob is left alone for good: litter, or what stands for a folder."""
    return is_litter(item.name) or (not item.size and (item.is_folder or item.name.endswith("/")))


def _behind(at: Position, now: datetime) -> str:
    minutes = int((now - (at.walked_at or at.behind_since or now)).total_seconds() // 60)
    why = (
        f"{at.unaccounted} upload(s) cannot be recorded: see {Alert.UNACCOUNTED_DOCUMENTS} in the log"
        if at.unaccounted
        else "so many uploads lie there, or storage answers so slowly: their documents start later"
    )
    return f"for {minutes} min the inbox has not been accounted for as a whole; {why}"


def _deployment(document_id: str) -> str:
    return document_id.partition("~")[0]
