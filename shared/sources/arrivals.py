"""Make a document of what was claimed: the same checks as for an upload, and no inbox.

A document of a source lies in a container of its own until it is finished. See Note [Taken once].
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from shared.documents.backlog import DocumentLedger
from shared.documents.identity import gone
from shared.documents.intake import Intake
from shared.documents.records.staging import MOST_BYTES, Source
from shared.documents.results import Results
from shared.documents.source import refuse_by_size
from shared.errors import (
    AlreadyExists,
    BlobRefused,
    Changed,
    ContainerMissing,
    DocumentRefused,
    DocumentTooLarge,
    IsRecordFile,
    IsZipArchive,
    Missing,
)
from shared.model import DeploymentConfig, Document, DocumentState, Settings
from shared.ports import Blobs, Clock, Folder
from shared.sources.taken import Claim

TAKEN = "taken"  # container
_PIECE = 2 * 1024 * 1024


class Arrivals:
    """Record documents. Every method is safe to repeat, and may raise StorageError."""

    def __init__(
        self,
        clock: Clock,
        blobs: Blobs,
        documents: DocumentLedger,
        results: Results,
        intake: Intake,
        settings: Settings,
    ) -> None:
        self._clock = clock
        self._blobs = blobs
        self._documents = documents
        self._results = results
        self._intake = intake
        self._settings = settings

    async def rows(self, config: DeploymentConfig, claim: Claim) -> Document:
        """Return the document of a claim of rows, recorded. Raises ReaderUnavailable, StorageError."""
        name = f"{config.name}/rows-{claim.number:06}.jsonl"
        document = _document(config, claim, name, claim.name)
        known = await self._documents.get(document.id)
        if known is not None:
            return known
        await self._take_in(document, Source(TAKEN, claim.name, claim.version, claim.size), config)
        return await self._documents.get(document.id) or document

    async def file(self, config: DeploymentConfig, claim: Claim, folder: Folder) -> None:
        """Copy the file of a claim and record its document. Raises ReaderUnavailable, StorageError."""
        kept = f"{config.name}/{claim.document.partition('~')[2]}"
        document = _document(config, claim, f"{config.name}/{claim.name}", kept)
        known = await self._documents.get(document.id)
        if known is not None:
            if known.moved_to != document.moved_to:  # a crash may have left the copy
                with contextlib.suppress(ContainerMissing):
                    item = await self._blobs.stat(TAKEN, kept)
                    if item is not None:
                        await self._blobs.delete(TAKEN, kept, item.etag)
            return
        try:
            if claim.size > MOST_BYTES:
                raise DocumentTooLarge(
                    f"the file has {claim.size:,} bytes, and is not taken: {MOST_BYTES:,} at most"
                )
            source = await self._copied(claim, folder, kept)
        except (Missing, Changed) as error:
            state, reason = gone(error, "the source")
            await self._refuse(document, state, reason)
        except DocumentTooLarge as error:
            await self._refuse(document, DocumentState.FAILED, str(error))
        except BlobRefused as error:
            await self._refuse(document, DocumentState.FAILED, error.reason)
        else:
            await self._examine(replace(document, source_etag=source.etag), source, config)

    async def _copied(self, claim: Claim, folder: Folder, kept: str) -> Source:
        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, claim.size, _PIECE):
                yield await folder.read_range(claim.name, at, _PIECE, claim.version)

        with contextlib.suppress(AlreadyExists):  # by an earlier try
            await self._blobs.create_from(TAKEN, kept, pieces(), "application/octet-stream")
        item = await self._blobs.stat(TAKEN, kept)
        if item is None:
            raise ContainerMissing(f"a blob in {TAKEN} is gone")
        return Source(TAKEN, kept, item.etag, item.size)

    async def _examine(self, document: Document, source: Source, config: DeploymentConfig) -> None:
        intake, prices = self._intake, self._settings.prices
        try:
            most = self._settings.max_document_bytes
            place = (source.container, source.name, source.etag)
            if source.size > most and await intake.sources.has_records(*place, config):
                raise IsRecordFile
            refuse_by_size(source.size, most)
            sized = await intake.sized(config, source.size)
            await intake.sources.look_at(*place, source.size, sized, prices)
        except IsRecordFile:
            await self._take_in(document, source, config)
        except IsZipArchive:
            await self._documents.add(document)  # the drain unpacks it
        except DocumentRefused as refusal:
            await self._results.settle(document, DocumentState.FAILED, str(refusal), self._clock.now())
        else:
            await self._documents.add(document)

    async def _take_in(self, document: Document, source: Source, config: DeploymentConfig) -> None:
        try:
            await self._intake.records.take_in(document, source, config)
        except DocumentRefused as refusal:
            await self._results.settle(document, DocumentState.FAILED, str(refusal), self._clock.now())
        except Missing as error:
            await self._refuse(document, *gone(error, TAKEN))

    async def _refuse(self, document: Document, state: DocumentState, reason: str) -> None:
        """Record a document that has no file here."""
        final = replace(document, moved_to="", state=state, reason=reason, finished_at=self._clock.now())
        if await self._documents.add(final):
            self._results.report(final)


def _document(config: DeploymentConfig, claim: Claim, name: str, kept: str) -> Document:
    return Document(
        id=claim.document,
        deployment=config.name,
        name=name,
        source_etag=claim.version,
        size=claim.size,
        arrived_at=claim.taken_at,
        moved_to=f"{TAKEN}/{kept}",
    )
