"""Define what all slices of draining share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from shared.documents.alone import SoloGate
from shared.documents.backlog import DocumentLedger
from shared.documents.results import Results
from shared.documents.source import Sources
from shared.hosting.ledger import Ledger
from shared.model import Document, Prices
from shared.ports import Clock, Model, Tables
from shared.timing import Timing


@dataclass
class DrainTools:
    """The tools that every slice uses. `gate`: a suspect is processed alone in its process."""

    clock: Clock
    timing: Timing
    tables: Tables
    model: Model
    documents: DocumentLedger
    results: Results
    ledger: Ledger
    prices: Prices
    sources: Sources
    gate: SoloGate = field(default_factory=SoloGate)

    async def claimable(self, deployment: str) -> AsyncIterator[Document]:
        """Yield the documents that may be claimed now, oldest first: neither claimed nor pausing."""
        now = self.clock.now()
        async for document in self.documents.unfinished(deployment):
            claimed = document.claimed_until is not None and document.claimed_until > now
            resting = document.not_before is not None and document.not_before > now
            if not claimed and not resting:
                yield document
