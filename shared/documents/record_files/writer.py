"""Keep the outcomes of one try: those that come while others are written go together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from shared.documents.drain_tools import DrainTools
from shared.documents.record_files.claim import RecordClaim
from shared.documents.records.answer_log import MOST_BYTES, AnswerLog, Entry, Known
from shared.documents.spent import spent_of
from shared.errors import Changed, Missing, StorageError
from shared.model import Document

_PAUSE = 1.0  # seconds before outcomes that could not be kept are written again


class Try(Protocol):
    """The try whose outcomes are kept."""

    known: Known
    claim: RecordClaim

    @property
    def document(self) -> Document:
        """Return the document with its cost so far."""


class Writer:
    """Write entries in the order in which they come. `error`: why nothing more can be kept."""

    def __init__(self, tools: DrainTools, log: AnswerLog, its: Try, until: float) -> None:
        """`until`: no request starts later (monotonic)."""
        self._clock = tools.clock
        self._until = until + tools.timing.request_seconds + tools.timing.bookkeeping_seconds
        self._log = log
        self._try = its
        self._waiting = list[tuple[Entry, asyncio.Future[None]]]()
        self._wake = asyncio.Event()
        self._closed = False
        self.error: StorageError | None = None
        self.stalls = False
        """Whether the last write failed: more answers could not be kept either."""

    async def keep(self, entry: Entry) -> None:
        """Return when the entry is kept. Raises StorageError."""
        if self.error is not None:
            raise self.error
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, kept))
        self._wake.set()
        await kept

    def close(self) -> None:
        """Let `run` end when all is kept."""
        self._closed = True
        self._wake.set()

    async def run(self) -> None:
        """Write until it is closed. Who waits for an entry learns how that ended, whatever happens."""
        now = list[tuple[Entry, asyncio.Future[None]]]()
        try:
            while self._waiting or not self._closed:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    now = self._take()
                    await self._keep(now)
        finally:
            for _, kept in [*now, *self._waiting]:
                kept.cancel()

    def _take(self) -> list[tuple[Entry, asyncio.Future[None]]]:
        """Take the first entries that wait, as many as are written at a time."""
        some, size = 0, 0
        for entry, _ in self._waiting:
            size += len(entry.line)
            if some and size > MOST_BYTES:
                break
            some += 1
        now, self._waiting = self._waiting[:some], self._waiting[some:]
        return now

    async def _keep(self, some: Sequence[tuple[Entry, asyncio.Future[None]]]) -> None:
        if self.error is None:
            try:
                await self._append([entry for entry, _ in some])
            except StorageError as error:
                self.error = error
        for _, kept in some:
            if kept.done():
                continue
            if self.error is None:
                kept.set_result(None)
            else:
                kept.set_exception(self.error)

    async def _append(self, entries: Sequence[Entry]) -> None:
        """Keep entries, if need be again and again while slice and claim last. Raises StorageError."""
        known, claim, is_behind = self._try.known, self._try.claim, False
        spent = spent_of(self._try.document)  # once: a repetition is recognised by its bytes
        while True:
            try:
                if is_behind:
                    await self._log.load_on(known)
                await self._log.append(entries, spent, known)
                self.stalls = False
                return
            except Changed:
                # A worker that lost the claim wrote last, or this one has lost it.
                if not await claim.still_holds():
                    raise
                is_behind = True
            except Missing:  # the log was deleted
                raise
            except StorageError:
                self.stalls = True
                if self._clock.monotonic() + _PAUSE > min(claim.until, self._until):
                    raise
                await self._clock.sleep(_PAUSE)
