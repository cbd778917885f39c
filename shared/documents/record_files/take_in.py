"""Take in a file of records: stage it, and record it as waiting; or finish it if no record can be asked."""

from __future__ import annotations

from shared.documents.backlog import DocumentLedger
from shared.documents.record_files.finish import Finish
from shared.documents.records.answer_log import AnswerLog, Known
from shared.documents.records.staging import Source, Staging
from shared.documents.results import Results
from shared.errors import DocumentRefused
from shared.model import DeploymentConfig, Document
from shared.ports import Blobs, Clock


class RecordIntake:
    """Take in files of records, before anything is hosted for them. Safe to repeat."""

    def __init__(
        self, clock: Clock, blobs: Blobs, ledger: DocumentLedger, results: Results, staging: Staging
    ) -> None:
        self._blobs = blobs
        self._ledger = ledger
        self._finish = Finish(blobs, results, clock)
        self.staging = staging

    async def take_in(self, document: Document, source: Source, config: DeploymentConfig) -> Document:
        """Record a file that has no row yet, or give the staged form to an unfinished one that has.

        Returns its row. Raises DocumentRefused, ReaderUnavailable, StorageError.
        """
        staged = await self.staging.stage(document, source, config)
        if staged.invalid == staged.records:
            log = AnswerLog(self._blobs, staged)
            await self._finish.complete(staged, config.task, log, Known.of(staged.records))
        elif staged.etag is None:
            await self._ledger.add(staged)
        else:
            await self._ledger.save(staged)
        return await self._ledger.get(document.id) or staged

    async def again(self, document: Document, source: Source, config: DeploymentConfig) -> Document:
        """Return a finished file as its next run is to ask it: what has an answer is not asked again.

        Raises DocumentRefused if it cannot be asked, or if its answers are not kept any more; StorageError.
        """
        staged = await self.staging.stage(document, source, config)
        if document.answered and not await AnswerLog(self._blobs, document).length():
            raise DocumentRefused(
                "its answers are in its results only, and would be paid again: submit the failed records"
            )
        return staged
