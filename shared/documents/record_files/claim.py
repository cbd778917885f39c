"""Hold the claim of a file while its records are asked: renew it, and save the progress with it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from shared.alerts import event
from shared.documents.claims import Claims
from shared.documents.drain_tools import DrainTools
from shared.errors import Changed, StorageError
from shared.model import Document

RENEWAL_SECONDS = 10.0
"""Between two renewals: so old is the progress, and so long may a cancellation wait."""
_REPORTED = 6  # renewals between two lines of the log


class RecordClaim:
    """The claim of one try. `saved`: the row as it was written last, or as somebody else has changed it."""

    def __init__(
        self,
        tools: DrainTools,
        claims: Claims,
        document: Document,
        progress: Callable[[Document], Document],
        tick: Callable[[], None],
    ) -> None:
        """`progress`: returns the row with the present counts and cost. `tick`: called at every renewal."""
        self._documents = tools.documents
        self._clock = tools.clock
        self._claims = claims
        self._progress = progress
        self._tick = tick
        self._pause = min(RENEWAL_SECONDS, tools.timing.work_lease_seconds / 8)
        self._turn = asyncio.Lock()
        self._until = 0.0
        self.lost = False
        """Whether another worker has the file."""
        self.saved = document
        self._holds(document)

    @property
    def until(self) -> float:
        """Return when it ends, in monotonic seconds, unless it is renewed."""
        return -1.0 if self.lost else self._until

    @contextlib.asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renew it meanwhile."""
        renewal = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            async with self._turn:  # a write in progress ends: the row's version must be known
                renewal.cancel()
            await asyncio.wait([renewal])

    async def still_holds(self) -> bool:
        """Look whether another worker has the file now; False if so."""
        await self._save(None)
        return not self.lost

    async def _renew(self) -> None:
        before = done_of(self._progress(self.saved))
        for times in itertools.count(1):
            began = self._clock.monotonic()
            await self._clock.sleep(self._pause)
            self._tick()
            done = done_of(self._progress(self.saved))
            minutes = (self._clock.monotonic() - began) / 60
            await self._save((done - before) / minutes if minutes else 0.0)
            before = done
            if times % _REPORTED == 0:
                _report(self.saved)

    async def _save(self, rate: float | None) -> None:
        async with self._turn:
            current = self._progress(self.saved)
            current = current if rate is None else replace(current, rate=round(rate, 1))
            try:
                self._holds(await self._claims.renew(current))
            except Changed:
                await self._look()
            except StorageError:
                pass  # the claim runs out, and with it the right to start requests

    async def _look(self) -> None:
        with contextlib.suppress(StorageError):
            found = await self._documents.get(self.saved.id)
            if found is None or found.claimed_by != self.saved.claimed_by:
                self.lost = True
            else:  # somebody cancelled it, or the answer of our own write was lost
                self._holds(found)

    def _holds(self, document: Document) -> None:
        assert document.claimed_until is not None
        self.saved = document
        lasts = (document.claimed_until - self._clock.now()).total_seconds()
        self._until = self._clock.monotonic() + lasts


def done_of(document: Document) -> int:
    """Return the records that have an outcome."""
    return document.answered + document.refused


def _report(document: Document) -> None:
    event(
        "records",
        deployment=document.deployment,
        document=document.id,
        total=document.records,
        answered=document.answered,
        failed=document.refused,
        per_minute=document.rate,
        cost=round(document.cost, 4),
        expected_cost=round(document.expected_cost, 4),
    )
