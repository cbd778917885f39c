"""Finish a file of records: write its results, then record what became of it."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from shared.documents.places import result_name
from shared.documents.records.answer_log import AnswerLog, Known
from shared.documents.records.assemble import write_results
from shared.documents.records.staging import STAGING, staged_name
from shared.documents.results import Results
from shared.errors import BlobRefused, Changed, StorageError
from shared.model import Document, DocumentState, Task
from shared.ports import Blobs, Clock

_TRIES = 3  # to record it: somebody may cancel it meanwhile


class Finish:
    """Finish files. Every method may raise StorageError, and is safe to repeat."""

    def __init__(self, blobs: Blobs, results: Results, clock: Clock) -> None:
        self._blobs = blobs
        self._results = results
        self._clock = clock

    async def complete(self, document: Document, task: Task, log: AnswerLog, known: Known) -> None:
        """Finish a file of which every record has an outcome: an answer, or a problem of its own."""
        final = await self._finish(document, task, log, known, DocumentState.DONE, "")
        if final.state is DocumentState.DONE and not final.refused:  # else a requeue asks these again
            await self._forget(final, log)

    async def stop(self, document: Document, task: Task, log: AnswerLog, known: Known, why: str) -> None:
        """Finish a file of which some records were not asked. A requeue asks them."""
        await self._finish(document, task, log, known, DocumentState.FAILED, f"{why}; ")

    async def _finish(
        self,
        document: Document,
        task: Task,
        log: AnswerLog,
        known: Known,
        state: DocumentState,
        why: str,
    ) -> Document:
        async def fence() -> None:
            await self._results.current(document)

        stored = await self._results.found(document)
        if stored is None:
            written = await write_results(self._blobs, document, task, log, known, fence)
            final = replace(document, answered=written.answered, refused=written.refused, rate=0.0)
            reason = f"{why}{_share(final)}"
            await self._results.store_records(final, written.files, state, reason)
        else:  # by a worker that could not record it: what was kept for it may be deleted
            final, state, reason = stored.applied_to(document), stored.state, stored.reason
        final = replace(final, result=result_name(document))
        for _ in range(_TRIES):
            row = await self._results.current(document)  # it was perhaps cancelled meanwhile
            now = self._clock.now()
            final = replace(final, etag=row.etag, cancelled=row.cancelled)
            if await self._results.settle(final, state, reason, now):
                return replace(final, state=state)
        raise Changed("the document is being changed all the time")

    async def _forget(self, document: Document, log: AnswerLog) -> None:
        """Delete what was kept; the storage account's policy deletes what is left."""
        with contextlib.suppress(StorageError):
            await log.clear()
            staged = await self._blobs.stat(STAGING, staged_name(document))
            if staged is not None:
                with contextlib.suppress(BlobRefused):
                    await self._blobs.delete(STAGING, staged.name, staged.etag)


def _share(document: Document) -> str:
    left = document.records - document.answered - document.refused
    if document.answered == document.records:
        return f"all {document.records:,} records were answered"
    said = f"{document.answered:,} of {document.records:,} records were answered"
    return f"{said}, {left:,} were not asked" if left else f"{said}; the results say why the others were not"
