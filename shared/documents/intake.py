"""Record uploads in the ledger; the sweep finds those that events missed.

A file that cannot be answered, by its content or the settings, is refused here, before anything is deployed
for it: the document has the reason, and the file is moved to `failed`. A dead letter passes the same checks
before its next run. A ZIP archive is unpacked: each file in it is a document of its own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Container
from dataclasses import replace

from shared.alerts import event
from shared.documents.backlog import DocumentLedger
from shared.documents.identity import INBOX, UNKNOWN_DEPLOYMENT, gone, id_of, identify, is_final
from shared.documents.litter import is_nobodys
from shared.documents.places import source_of
from shared.documents.record_files.take_in import RecordIntake
from shared.documents.records.staging import Source, Staging
from shared.documents.results import Results
from shared.documents.seen import Seen
from shared.documents.source import Sources, refuse_by_least, refuse_by_size
from shared.documents.sweep import SWEEP_SECONDS, Sweep, SweepReport
from shared.documents.sweep_position import SWEEPS, LastSweep
from shared.documents.unpack import Unpacker
from shared.errors import (
    BlobRefused,
    Changed,
    DocumentRefused,
    IsRecordFile,
    IsZipArchive,
    Missing,
    UnknownDeployment,
)
from shared.hosting.ledger import Ledger
from shared.model import DeploymentConfig, Document, DocumentState, Settings
from shared.ports import BlobItem, Blobs, Clock, Tables

__all__ = [
    "ARCHIVED",
    "SWEEPS",
    "SWEEP_SECONDS",
    "Intake",
    "LastSweep",
    "SweepReport",
]

_ARCHIVE_TIER = "archive tier"
ARCHIVED = f"the file lies in the {_ARCHIVE_TIER} and cannot be read: rehydrate it, or upload it again"
"""Why an archived upload is refused. It stays in the inbox; once rehydrated, it gets its next run."""

_INSTEAD_OF_REQUEUE = {
    DocumentState.DONE: "submit it again for another answer",
    DocumentState.SUPERSEDED: "see the newer document",
    DocumentState.WITHDRAWN: "its file was deleted; submit it again",
}
FITS_ANY_MODEL = 2000
"""Bytes of a file whose text fits into the context of every model, beside a usual prompt."""
_DEPLOYMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Intake:
    """Record uploads. Safe to repeat: the same version of a blob is always the same document."""

    def __init__(
        self,
        clock: Clock,
        tables: Tables,
        blobs: Blobs,
        ledger: DocumentLedger,
        results: Results,
        settings: Settings,
        sources: Sources,
        hosting: Ledger,
        unpacker: Unpacker,
        staging: Staging,
        hosted_here: Container[str] = (),
    ) -> None:
        """Take the parts. `hosted_here`: hosted deployments that a worker of this process drains now."""
        self.sources = sources
        self._hosting = hosting
        self._unpacker = unpacker
        self.records = RecordIntake(clock, blobs, ledger, results, staging)
        self._hosted_here = hosted_here
        self._clock = clock
        self._blobs = blobs
        self._ledger = ledger
        self._results = results
        self._settings = settings
        self._seen = Seen()
        self._sweep = Sweep(
            clock, tables, blobs, ledger, results, settings, self._partition, self.take_in, self._seen
        )

    async def arrived(self, name: str, *, looked_at: str | None = None) -> Document | None:
        """Record the current version of the blob of that name.

        `looked_at`: the version (ETag) whose content the caller has checked already; it is not read again.
        Returns None if the blob was deleted, is no document, or is empty: an empty blob may still be written,
        and the sweep judges it later. Raises StorageError.
        """
        item = await self._blobs.stat(INBOX, name)
        if item is None or not item.size or is_nobodys(item):
            return None
        with self._seen.recording(id_of(item, self._partition(name))):
            return await self.take_in(item, looked_at=item.etag == looked_at, by_event=True)

    async def take_in(self, item: BlobItem, *, looked_at: bool = False, by_event: bool = False) -> Document:
        """Record an upload, or complete an interrupted step for it. Raises StorageError if that fails."""
        document = identify(item, self._partition(item.name))
        if await self._is_new(item, document, looked_at=looked_at, by_event=by_event):
            self._seen.note_waiting(document.id)
            return document
        if document.deployment not in self._settings.deployments:
            await self._ledger.note_folder(document.deployment)
        known = await self._ledger.get(document.id)
        try:
            if known is None or _is_rehydrated(known, item):
                return await self._examine(item, document, known, looked_at=looked_at)
            if known.state is DocumentState.WITHDRAWN:
                # The same version of the file, or its container, was restored: it waits again.
                return await self._next_run(known, item.size)
            if is_final(known):
                await self._results.clear_inbox(known)
            elif known.deployment not in self._settings.deployments:
                return await self._examine(item, document, known)
            return known
        except BlobRefused as error:
            # It is accounted for: only its owner can change that, and no sweep checks it again.
            return await self._leave(document, known, error.reason)

    async def _is_new(self, item: BlobItem, document: Document, *, looked_at: bool, by_event: bool) -> bool:
        """Record an upload that can be answered, without reading rows first, and return True.

        False: it is known, which is rare, or it needs a closer look.
        """
        config, prices = self._settings.deployments.get(document.deployment), self._settings.prices
        if item.archived or config is None:
            return False
        try:
            refuse_by_size(item.size, self._settings.max_document_bytes)
            if config.name in self._hosted_here:
                # It is hosted for another document. The drain reads this one soon, and refuses it then.
                refuse_by_least(item.size, config)
            elif not looked_at:
                config = await self.sized(config, item.size)
                await self.sources.look_at(INBOX, item.name, item.etag, item.size, config, prices)
        except (DocumentRefused, Missing, Changed, BlobRefused):
            return False
        return await self._ledger.add(document, by_event=by_event)

    async def _examine(
        self, item: BlobItem, document: Document, known: Document | None, *, looked_at: bool = False
    ) -> Document:
        """Record it as waiting, or as refused with the reason. `known`: its row, if it has one."""
        if item.archived:
            return await self._leave(document, known, ARCHIVED)
        config = self._settings.deployments.get(document.deployment)
        try:
            if config is None:
                raise DocumentRefused(self._nowhere(item.name))
            found = None if looked_at else await self._look_at(item, await self.sized(config, item.size))
            if found is not None:
                unfinished = await self._unfinished(item, document, known)
                if isinstance(found, IsRecordFile):
                    source = Source(INBOX, item.name, item.etag, item.size)
                    return await self.records.take_in(unfinished, source, config)
                return await self._unpack(unfinished, found.memory, await self.sized(config, found.memory))
        except DocumentRefused as refusal:
            unfinished = await self._unfinished(item, document, known)
            await self._results.settle(unfinished, DocumentState.FAILED, str(refusal), self._clock.now())
        except (Missing, Changed) as error:
            state, reason = gone(error)
            now = self._clock.now()
            await self._ledger.add(replace(document, state=state, reason=reason, finished_at=now))
        else:
            if known is not None:
                return await self._next_run(known, item.size)
            await self._ledger.add(document)
        return await self._ledger.get(document.id) or document

    async def _look_at(
        self, item: BlobItem, config: DeploymentConfig, container: str = INBOX, spent: float = 0.0
    ) -> IsZipArchive | IsRecordFile | None:
        """Check a file; return what says that it is not one document. Raises as `Sources.look_at`."""
        prices, most = self._settings.prices, self._settings.max_document_bytes
        try:
            if item.size > most and await self.sources.has_records(container, item.name, item.etag, config):
                return IsRecordFile()
            refuse_by_size(item.size, most)
            await self.sources.look_at(
                container, item.name, item.etag, item.size, config, prices, spent=spent
            )
        except (IsZipArchive, IsRecordFile) as found:
            return found.with_traceback(None)  # it would hold the file
        return None

    async def _unpack(self, archive: Document, memory: int, config: DeploymentConfig) -> Document:
        check = functools.partial(self.sources.check, config=config, prices=self._settings.prices)
        unpacked = await self._unpacker.unpack(archive, memory, check)
        await self._results.settle(unpacked, DocumentState.DONE, unpacked.reason, self._clock.now())
        return await self._ledger.get(archive.id) or unpacked

    async def _unfinished(self, item: BlobItem, document: Document, known: Document | None) -> Document:
        """Return the document as it is to be settled; one that is final already gets its next run."""
        if known is None:
            return document
        return await self._next_run(known, item.size) if is_final(known) else known

    async def _leave(self, document: Document, known: Document | None, reason: str) -> Document:
        """Refuse an upload that can be neither read nor moved: it stays in the inbox, and has one row."""
        if known is not None and is_final(known):
            return known
        final = replace(
            known or document,
            state=DocumentState.FAILED,
            reason=reason,
            finished_at=self._clock.now(),
            claimed_by="",
            claimed_until=None,
            not_before=None,
        )
        if await (self._ledger.try_finish(final) if known else self._ledger.add(final)):
            self._results.report(final)
        return await self._ledger.get(document.id) or final

    def _nowhere(self, name: str) -> str:
        folder, slash, _ = name.partition("/")
        if slash:
            return str(UnknownDeployment(folder, self._settings.deployments))
        names = ", ".join(sorted(self._settings.deployments))
        return f"it lies outside any folder: put it into the folder of a deployment ({names})"

    async def requeue(self, document: Document) -> Document:
        """Give a dead letter its next run, read from where it was moved to; its cost is added to the total.

        Safe to repeat, also concurrently: an unfinished document is left unchanged. Raises DocumentRefused
        with the obstacle and its remedy, and StorageError.
        """
        config = self._settings.deployments.get(document.deployment)
        if config is None:
            raise DocumentRefused(str(UnknownDeployment(document.deployment, self._settings.deployments)))
        if not is_final(document):
            return document
        if document.state is not DocumentState.FAILED and not document.refused:
            remedy = _INSTEAD_OF_REQUEUE[document.state]
            raise DocumentRefused(f"it is {document.state}, and only what failed is requeued: {remedy}")
        if _was_archived(document):
            raise DocumentRefused("its file is archived: once it is rehydrated, it waits again by itself")
        if not document.moved_to:
            raise DocumentRefused("its source was not kept: submit it again")
        container, name, _ = source_of(document)
        item = await self._blobs.stat(container, name)
        if item is None:
            raise DocumentRefused(f"its source is not there any more in {container}: submit it again")
        config = await self.sized(config, item.size)
        found = await self._look_at(item, config, container, spent=document.cost)
        if isinstance(found, IsRecordFile):
            source = Source(container, item.name, item.etag, item.size)
            document = await self.records.again(document, source, config)
        elif found is not None and document.unpacked_from:
            raise found
        return await self._next_run(document, item.size)

    async def _next_run(self, document: Document, size: int) -> Document:
        """Let a dead letter wait again unless another process has done so; return its current row."""
        again = replace(
            document,
            size=size,
            state=DocumentState.WAITING,
            run=document.run + 1,
            reason="",
            attempts=0,
            crashes=0,
            lone_crashes=0,
            unanswered=0,
            cancelled=False,
            finished_at=None,
        )
        if await self._ledger.try_reopen(again):
            event("requeued", deployment=document.deployment, document=document.id, run=again.run)
        return await self._ledger.get(document.id) or again

    # --- the sweep ----------------------------------------------------------------------------

    async def sweep(self) -> SweepReport:
        """Account for uploads in the inbox, for 25 s at most, from where the last sweep stopped."""
        return await self._sweep.run()

    async def last_sweep(self) -> LastSweep | None:
        """Return when the inbox was last swept, and how many uploads failed; None if it never was."""
        return await self._sweep.last()

    async def sized(self, config: DeploymentConfig, size: int) -> DeploymentConfig:
        """Return the configuration with the model's context size if a file of `size` bytes may exceed it.

        It is known once Azure has shown it with a deployment. Raises StorageError.
        """
        if size <= FITS_ANY_MODEL or config.task.context_tokens is not None:
            return config
        return (await self._hosting.record(config.hosted_id)).sized(config)

    def _partition(self, name: str) -> str:
        """Return an upload's partition: its folder's deployment; else the folder if its name is allowed."""
        folder, slash, _ = name.partition("/")
        config = self._settings.get(folder) if slash else None
        if config is not None:
            return config.name
        return folder if slash and _DEPLOYMENT_NAME.fullmatch(folder) else UNKNOWN_DEPLOYMENT


def _is_rehydrated(known: Document, item: BlobItem) -> bool:
    """Return whether a file refused as archived is readable now. Its ETag and its time stay the same."""
    return _was_archived(known) and not item.archived


def _was_archived(document: Document) -> bool:
    """Return whether it was refused as archived, here or while draining; its file was not moved then."""
    return (
        document.state is DocumentState.FAILED and not document.moved_to and _ARCHIVE_TIER in document.reason
    )
