"""Requests → answers: one deployment's waiting documents, answered within its limits.

The caller holds the deployment's drain lease. Claims, the work lease and If-None-Match results keep every
promise even if it lost that lease: two drainers would only share the deployment's limit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from shared.documents.alone import SoloGate
from shared.documents.backlog import DocumentLedger
from shared.documents.results import Results
from shared.documents.slice import DrainReport, Slice
from shared.documents.source import Sources
from shared.domain import Document, Hosting, Prices
from shared.errors import (
    StorageError,
)
from shared.hosting.leases import WORK_LEASE, WorkLease
from shared.hosting.ledger import Ledger
from shared.ports import Clock, Model, Tables


class Drainer:
    """Answers the documents of a deployment."""

    def __init__(
        self,
        clock: Clock,
        tables: Tables,
        model: Model,
        documents: DocumentLedger,
        results: Results,
        ledger: Ledger,
        prices: Prices,
        sources: Sources,
    ) -> None:
        self.sources = sources
        self.clock = clock
        self.tables = tables
        self.model = model
        self.documents = documents
        self.results = results
        self.ledger = ledger
        self.prices = prices
        self.gate = SoloGate()

    async def drain(self, hosting: Hosting, endpoint: str, until: float) -> DrainReport:
        """Answer what waits until nothing does, the deployment closes, or monotonic `until` has come.

        Requests that run at `until` end first. Raises StorageError when the fence cannot be entered.
        """
        if await anext(self.claimable(hosting.name), None) is None:
            return DrainReport()
        work = WorkLease(self.clock, self.tables, self.ledger, hosting.account, hosting.name)
        try:
            if not await work.enter():
                return DrainReport()
            assert work.record is not None
            slice_ = Slice(self, hosting, endpoint, until, work, work.record)
            async with _renewed(self.clock, work):
                return await slice_.run()
        finally:
            await work.leave()

    async def claimable(self, deployment: str) -> AsyncIterator[Document]:
        """The documents that may be worked on now, oldest first: neither claimed nor at rest."""
        now = self.clock.now()
        async for document in self.documents.unfinished(deployment):
            claimed = document.claimed_until is not None and document.claimed_until > now
            resting = document.not_before is not None and document.not_before > now
            if not claimed and not resting:
                yield document


@contextlib.asynccontextmanager
async def _renewed(clock: Clock, work: WorkLease) -> AsyncIterator[None]:
    async def renew() -> None:
        while True:
            await clock.sleep(WORK_LEASE / 3)
            # A renewal that fails lets the lease run out, and with it the right to start requests.
            with contextlib.suppress(StorageError):
                await work.enter()

    renewal = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewal.cancel()
        # A renewal under way must not write the lease again after it was left.
        await asyncio.wait([renewal])
