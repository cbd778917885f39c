"""Define what all slices of draining share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from shared.documents.alone import SoloGate
from shared.documents.backlog import DocumentLedger
from shared.documents.pacer import Limits, Pacer
from shared.documents.records.staging import Staging
from shared.documents.results import Results
from shared.documents.source import Sources
from shared.documents.unpack import Unpacker
from shared.hosting.ledger import Ledger
from shared.model import DeploymentConfig, Document, Generation, Prices
from shared.ports import Blobs, Clock, Model, Tables
from shared.timing import Timing


@dataclass
class DrainTools:
    """The tools that every slice uses. `gate`: a suspect is processed alone in its process.

    `drained_here`: the deployments whose drain lease a worker of this process holds. `hosted_here`: those of
    them that are created or open, so that what waits for them is read soon.
    """

    clock: Clock
    timing: Timing
    tables: Tables
    blobs: Blobs
    model: Model
    documents: DocumentLedger
    results: Results
    ledger: Ledger
    prices: Prices
    sources: Sources
    unpacker: Unpacker
    staging: Staging
    gate: SoloGate = field(default_factory=SoloGate)
    drained_here: set[str] = field(default_factory=set)
    hosted_here: set[str] = field(default_factory=set)
    _pacers: dict[str, tuple[int, Pacer]] = field(default_factory=dict)

    def pacer(self, config: DeploymentConfig, generation: Generation) -> Pacer:
        """Return the pacer of a deployment's generation, with its present limits.

        It outlives a slice: what one slice has sent counts for the next one.
        """
        limits = Limits(
            generation.tokens_per_minute or config.spec.tokens_per_minute,
            generation.requests_per_minute or config.spec.requests_per_minute,
            generation.token_renewal,
            generation.request_renewal,
        )
        number, pacer = self._pacers.get(config.name, (None, None))
        if pacer is None or number != generation.number:
            pacer = Pacer(self.clock, limits)
            self._pacers[config.name] = (generation.number, pacer)
        pacer.follow(limits)
        return pacer

    async def claimable(self, deployment: str) -> AsyncIterator[Document]:
        """Yield the documents that may be claimed now, oldest first: neither claimed nor pausing."""
        now = self.clock.now()
        async for document in self.documents.unfinished(deployment):
            claimed = document.claimed_until is not None and document.claimed_until > now
            resting = document.not_before is not None and document.not_before > now
            if not claimed and not resting:
                yield document
