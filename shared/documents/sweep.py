"""Sweep the inbox: account for every upload, even if its event was lost, and however many wait.

A sweep takes 25 s at most and continues where the last one stopped; nothing is read as a whole. In order:

1. The lap: unfinished rows, oldest first, a page at a time. The walk need not look up the uploads they name.
2. The walk: the inbox, a page at a time. It looks up every unknown upload, and records a new one.
3. The look ahead, if the walk does not reach the end: it lists the inbox without looking uploads up, and
   records the newest unknown ones first. So the last upload does not wait for a hundred thousand before it.
4. The condemned: rows of the lap whose document killed its workers too often.
5. The vanished: rows of the lap whose uploads the walk did not see. They were overwritten or deleted.

Note [What is not final yet]. Many uploaders create an empty blob and write it later: an empty blob rests for
ten minutes, by the storage's clock, before it is refused. Litter and folder markers are no documents and stay
in the inbox. Neither they nor resting blobs have a row or an alert.
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
from shared.documents.backlog import DocumentLedger
from shared.documents.condemned import settle_condemned
from shared.documents.identity import INBOX, deployment_of, gone, id_of, is_final
from shared.documents.lap import Lap, LapPart
from shared.documents.litter import is_nobodys
from shared.documents.results import Results
from shared.documents.seen import Seen
from shared.documents.sweep_position import LastSweep, Position, read_position, write_position
from shared.errors import Changed, Missing, StorageError, shown
from shared.model import Document, Settings
from shared.ports import BlobItem, Blobs, Clock, Tables

SWEEP_SECONDS = 25.0
REST = timedelta(minutes=10)
"""How long an empty blob rests after its last change; see Note [What is not final yet]."""

_LISTED = 5000  # blobs of a page, the most that Azure lists at once
_LOOKED_UP, _AT_ONCE = 500, 8  # uploads looked up together; uploads recorded, and blobs checked, concurrently
_ENOUGH = 16  # from this number of uploads of a deployment on, its rows are read together
_NEWEST = 1000  # unknown uploads that a look ahead keeps
_LATEST = timedelta(minutes=5)  # a look ahead looks up every unknown upload that is younger
_LAP_SECONDS, _ACCOUNT_SECONDS, _RESERVE = 1.0, 1.5, 1.0  # shares of a sweep; the reserve is for the vanished
_BETWEEN_CLEARINGS = timedelta(minutes=5)  # leftovers exist only if a process died before it deleted them
_LEFT_TO_EVENTS = timedelta(seconds=30)  # during a burst of events, younger uploads are left to theirs
_SAVE_SECONDS = 5.0  # to save the position of a sweep that its caller cancels


@dataclass
class SweepReport:
    """The outcome of a sweep."""

    seen: int = 0
    taken_in: int = 0
    settled: int = 0
    resting: int = 0  # empty blobs that may still be written
    complete: bool = False
    errors: list[Exception] = field(default_factory=list)

    @property
    def unaccounted(self) -> int:
        """Return the number of uploads that could not be recorded; the next sweep retries. Target 0."""
        return len(self.errors)


class _Upload(NamedTuple):
    """An upload; the newest is the greatest."""

    modified_at: datetime
    document_id: str
    item: BlobItem


class Sweep:
    """Sweep the inbox. Safe to repeat, also concurrently in another process."""

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
        seen: Seen,
    ) -> None:
        """`partition` returns an upload's partition by its name. `take_in` records an upload."""
        self._clock = clock
        self._tables = tables
        self._blobs = blobs
        self._ledger = ledger
        self._results = results
        self._settings = settings
        self._partition = partition
        self._take_in = take_in
        self._seen = seen
        self._cleared_at: datetime | None = None
        self._lap = Lap(clock, ledger, settings.deployments, self._seen)

    async def last(self) -> LastSweep | None:
        """Return when the inbox was last swept, and how many uploads failed; None if it never was."""
        at = await read_position(self._tables)
        return LastSweep(at.began_at, at.unaccounted, at.walked_at, at.resting) if at else None

    async def run(self) -> SweepReport:
        """Sweep once. Save the position also if the caller's time limit or an error ends the sweep."""
        now, until, report = self._clock.now(), self._clock.monotonic() + SWEEP_SECONDS, SweepReport()
        at = await read_position(self._tables) or Position(now)
        at.began_at = now
        try:
            await self._account(at, report, until)
        except (asyncio.CancelledError, Exception):
            with contextlib.suppress(StorageError, TimeoutError):
                async with asyncio.timeout(_SAVE_SECONDS):
                    await write_position(self._tables, at)
            self._publish(at, report)
            raise
        await write_position(self._tables, at)
        self._publish(at, report)
        if self._cleared_at is None or now - self._cleared_at >= _BETWEEN_CLEARINGS:
            for name in self._settings.deployments:
                for leftover in await self._ledger.leftovers(name):
                    await self._results.clear(leftover)
            self._cleared_at = now
        return report

    async def _account(self, at: Position, report: SweepReport, until: float) -> None:
        part = LapPart()
        await self._lap.read(part, at.lap, at.began_at, self._clock.monotonic() + _LAP_SECONDS)
        until -= _RESERVE
        # If the last look ahead did not reach the end, it comes first.
        if at.ahead or not await self._walk(at, report, part, until, _ACCOUNT_SECONDS):
            await self._look_ahead(at, report, part, until)
            # In the same time, a page of the lap names more uploads than the walk could look up.
            if not self._lap.complete and self._clock.monotonic() < until:
                await self._lap.read(part, at.lap, at.began_at, until)
            if self._clock.monotonic() < until:
                await self._walk(at, report, part, until, SWEEP_SECONDS)
        report.settled += await settle_condemned(part.documents, self._results, self._clock.now())
        await self._settle_vanished(at, report, part, until + _RESERVE)

    # --- the walk -----------------------------------------------------------------------------

    async def _walk(
        self, at: Position, report: SweepReport, part: LapPart, until: float, accounting: float
    ) -> bool:
        """Account for one page after another until the time is up or this sweep has seen everything once.

        Return False if looking up and recording took `accounting` seconds: newer uploads may follow.
        """
        anew = False
        while True:
            if not at.token:
                if anew:
                    return True
                anew = True
                self._seen.begin_walk()
                at.begin_walk(self._clock.now() - _LEFT_TO_EVENTS)  # it may leave younger ones
            try:
                page = await self._blobs.list(INBOX, at.token or None, _LISTED)
            except StorageError:
                at.token = ""  # storage may refuse the token: begin anew
                raise
            report.seen += len(page.items)
            began, failed = self._clock.monotonic(), len(report.errors)
            unknown, resting = self._unknown(page.items, part)
            report.resting += resting
            finished = await self._account_for(unknown, report, min(began + accounting, until))
            at.unaccounted += len(report.errors) - failed
            accounting -= self._clock.monotonic() - began if unknown else 0.0
            if not finished:  # the next sweep reads the page again for the rest of it
                return self._clock.monotonic() > until
            at.resting += resting
            at.token = page.token or ""
            if not at.token:
                self._seen.end_walk()
                at.end_walk()
                report.complete = True
            if self._clock.monotonic() > until:
                return True
            if accounting <= 0.0 and at.token:
                return False

    def _unknown(self, items: Sequence[BlobItem], part: LapPart) -> tuple[list[_Upload], int]:
        """Return the unknown uploads, and the number of resting ones."""
        unknown, resting, now = list[_Upload](), 0, part.server_time or self._clock.now()
        events_come = self._seen.is_recording
        for item in items:
            if is_nobodys(item):
                continue
            document_id = id_of(item, self._partition(item.name))
            self._seen.note_here(document_id)
            upload = _Upload(item.modified_at, document_id, item)
            if self._is_accounted(upload) or (events_come and now - item.modified_at < _LEFT_TO_EVENTS):
                continue
            if not item.size and now - item.modified_at < REST:
                resting += 1
            else:
                unknown.append(upload)
        return unknown, resting

    def _is_accounted(self, upload: _Upload) -> bool:
        return self._seen.is_accounted(upload.document_id, upload.item.archived)

    async def _look_ahead(self, at: Position, report: SweepReport, part: LapPart, until: float) -> None:
        """List the inbox faster than the walk, and record the newest of the unknown uploads."""
        newest: list[_Upload] = []  # a heap, the oldest of them first
        while True:
            try:
                page = await self._blobs.list(INBOX, at.ahead or None, _LISTED)
            except StorageError:
                at.ahead = ""
                raise
            for upload in self._unknown(page.items, part)[0]:
                heapq.heappush(newest, upload)
                if len(newest) > _NEWEST:
                    heapq.heappop(newest)
            at.ahead = page.token or ""
            if not at.ahead or self._clock.monotonic() > until - _RESERVE:
                break
        newest.sort(reverse=True)
        latest = (part.server_time or self._clock.now()) - _LATEST
        for first in range(0, len(newest), _AT_ONCE):
            some = newest[first : first + _AT_ONCE]
            recorded = await asyncio.gather(*(self._ledger.get(upload.document_id) for upload in some))
            new = [upload for upload, known in zip(some, recorded, strict=True) if known is None]
            for upload, known in zip(some, recorded, strict=True):
                if known is not None and not is_final(known):
                    self._seen.note_waiting(upload.document_id)
            await asyncio.gather(*(self._record(upload, report) for upload in new))
            # Many are recorded: older uploads existed when the sweeps before looked ahead.
            if self._clock.monotonic() > until or (not new and some[-1].modified_at < latest):
                break

    async def _account_for(self, uploads: Sequence[_Upload], report: SweepReport, until: float) -> bool:
        """Look up and record as many as the time allows, at least a few; return whether those were all."""
        for start in range(0, len(uploads), _LOOKED_UP):
            rest = await self._not_waiting(uploads[start : start + _LOOKED_UP])
            for first in range(0, len(rest), _AT_ONCE):
                if first and self._clock.monotonic() > until:
                    return False
                some = rest[first : first + _AT_ONCE]
                await asyncio.gather(*(self._record(upload, report) for upload in some))
            if self._clock.monotonic() > until:
                return start + _LOOKED_UP >= len(uploads)
        return True

    async def _not_waiting(self, uploads: Sequence[_Upload]) -> list[_Upload]:
        """Return those that may not be recorded yet. Many of one deployment are looked up by its rows."""
        by_deployment, waiting = defaultdict[str, list[str]](list), set[str]()
        for upload in uploads:
            by_deployment[deployment_of(upload.document_id)].append(upload.document_id)
        for name, document_ids in by_deployment.items():
            if name in self._settings.deployments and len(document_ids) >= _ENOUGH:
                waiting |= await self._ledger.unfinished_among(name, document_ids)
        for document_id in waiting:
            self._seen.note_waiting(document_id)
        return [upload for upload in uploads if upload.document_id not in waiting]

    async def _record(self, upload: _Upload, report: SweepReport) -> None:
        if self._is_accounted(upload):
            return  # its event came since the inbox was listed
        try:
            document = await self._take_in(upload.item)
        except Exception as error:  # one bad upload must not delay the others, or the passes
            report.errors.append(error)
            return
        report.taken_in += 1
        if not is_final(document):
            self._seen.note_waiting(document.id)
        elif not document.moved_to:
            self._seen.note_left(document.id, upload.item.archived)

    # --- the vanished -------------------------------------------------------------------------

    async def _settle_vanished(self, at: Position, report: SweepReport, part: LapPart, until: float) -> None:
        """Settle waiting documents whose upload was overwritten or deleted by its owner.

        The rows were read before the inbox was listed. Uploads that the walk did not see are checked. If the
        time does not suffice for all, the lap of another process continues there.
        """
        missing = [document for document in part.documents if not self._seen.is_here(document.id)]
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
        at.lap = part.looked_at_to

    async def _settle_if_gone(self, document: Document, report: SweepReport) -> None:
        item = await self._blobs.stat(INBOX, document.name)
        if item is not None and item.etag == document.source_etag:
            return
        state, reason = gone(Changed() if item else Missing())
        await self._results.settle(document, state, reason, self._clock.now())
        report.settled += 1

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
            alert(Alert.UNACCOUNTED_DOCUMENTS, f"{remedy}: {shown(first)}")
        if (why := at.why_behind(now)) is not None:
            alert(Alert.INBOX_BEHIND, why)
