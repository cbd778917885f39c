"""Make a document of a batch. Safe to repeat after a crash at any point, also in another process.

Note [A batch becomes one document]: the batch's row is pending from its creation on. The document's id
follows from the batch, and is saved in the row before anything else happens; then the file is copied and
staged, and the document is recorded; then the row is not pending any more. Whoever finds it pending does what
is left. A cancellation is noted in the row: that write and the last step exclude each other.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from shared.alerts import event
from shared.batches.files import FILES
from shared.batches.ledger import BatchLedger
from shared.batches.rows import BatchJob, JobState
from shared.batches.sample import Sample, sample_of
from shared.documents.backlog import DocumentLedger
from shared.documents.identity import deployment_of, id_of_batch
from shared.documents.record_files.take_in import RecordIntake
from shared.documents.records.staging import Source
from shared.documents.threads import in_thread
from shared.documents.unpack import UNPACKED
from shared.errors import (
    BlobRefused,
    Changed,
    ContainerMissing,
    DocumentRefused,
    Missing,
    StorageError,
    UnknownDeployment,
)
from shared.hosting.ledger import Ledger
from shared.model import DeploymentConfig, Document, Settings
from shared.planning.batch_wait import patience_of
from shared.ports import BlobItem, Blobs, Clock

CLAIM = timedelta(minutes=12)
"""For this long another process leaves a batch alone: longer than a function may run."""
MOST_TRIES = 5
"""Times that a process may end while it takes a batch in."""
_LOOKED_AT = (1_000_000, 9_000_000)  # bytes of the beginning; more if one line is longer than that
_CODE = re.compile(r"([a-z_]{3,40}): (.+)", re.DOTALL)
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f/\\\\\ufffe\uffff\ud800-\udfff]")

Stop = Callable[[str], Awaitable[object]]
"""Cancel the document with this id; it is no error if it is finished."""


class _Refused(Exception):
    """The whole file is refused. `code`: OpenAI's where it has one."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason


class BatchIntake:
    """Take batches in."""

    def __init__(
        self,
        clock: Clock,
        blobs: Blobs,
        settings: Settings,
        ledger: BatchLedger,
        documents: DocumentLedger,
        records: RecordIntake,
        hosting: Ledger,
    ) -> None:
        self._clock = clock
        self._blobs = blobs
        self._settings = settings
        self._ledger = ledger
        self._documents = documents
        self._records = records
        self._hosting = hosting

    async def take_in(self, batch_id: str, stop: Stop) -> None:
        """Make a document of a pending batch, unless another process does. Raises StorageError."""
        job = await self._claimed(batch_id)
        if job is None:
            return
        try:
            await self._take_in(job, stop)
        except _Refused as refusal:
            await self._settled(job.id, JobState.FAILED, refusal)
        except StorageError:
            with contextlib.suppress(StorageError):
                latest = await self._ledger.get(job.id)
                if latest is not None and latest.state is JobState.PENDING:
                    await self._ledger.save(replace(latest, claimed_until=None, tries=latest.tries - 1))
            raise

    async def _claimed(self, batch_id: str) -> BatchJob | None:
        job, now = await self._ledger.get(batch_id), self._clock.now()
        if job is None or job.state is not JobState.PENDING:
            return None
        if job.claimed_until is not None and job.claimed_until > now:
            return None
        if job.tries >= MOST_TRIES:
            why = f"the app has ended {job.tries} times while it took the file in: split the file"
            await self._settled(job.id, JobState.FAILED, _Refused("server_error", why))
            return None
        with contextlib.suppress(Changed):
            return await self._ledger.save(replace(job, claimed_until=now + CLAIM, tries=job.tries + 1))
        return None

    async def _take_in(self, job: BatchJob, stop: Stop) -> None:
        document = await self._documents.get(job.document) if job.document else None
        if document is None:
            if job.cancelling_at is not None:
                await self._settled(job.id, JobState.CANCELLED)
                return
            document = await self._documented(job)
        while True:
            latest = await self._ledger.get(job.id)
            if latest is None or latest.state is not JobState.PENDING:
                return
            if latest.cancelling_at is not None:
                await stop(document.id)
            try:
                await self._ledger.settle(self._final(latest, JobState.TAKEN_IN))
            except Changed:
                continue
            event("batch", deployment=document.deployment, document=document.id)
            return

    async def _documented(self, job: BatchJob) -> Document:
        """Return the document, recorded. Raises _Refused, StorageError."""
        if not job.document:
            name = await self._named(job)
            while not job.document:
                try:
                    job = await self._ledger.save(replace(job, document=name))
                except Changed:  # somebody has cancelled it meanwhile, or has named the document
                    job = await self._ledger.get(job.id) or job
        config = self._config(deployment_of(job.document))
        document = _document(job)
        copy = await self._copied(job, document)
        try:
            return await self._records.take_in(
                document, Source(UNPACKED, copy.name, copy.etag, copy.size), config
            )
        except DocumentRefused as error:
            with contextlib.suppress(BlobRefused):
                await self._blobs.delete(UNPACKED, copy.name, copy.etag)
            coded = _CODE.fullmatch(str(error))
            raise _Refused(*(coded.groups() if coded else ("invalid_request", str(error)))) from None

    async def _named(self, job: BatchJob) -> str:
        """Return the id of the document that the batch becomes, from the beginning of its file."""
        sample = await self._sample(job)
        if sample.model is None:
            raise _Refused(
                "invalid_request",
                "no request was found at the beginning of the file: write one a line, as "
                '{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": …}}',
            )
        config = self._config(sample.model)
        if not sample.is_batch(config):
            raise _Refused("invalid_request", "the file is not in OpenAI's Batch format: see its first lines")
        generation = (await self._hosting.record(config.hosted_id)).generation
        load = await in_thread(sample.size, sample.load, job.file_size, config)
        patience = patience_of(
            job.window,
            load.tokens,
            load.requests,
            generation.tokens_per_minute or config.spec.tokens_per_minute,
            generation.requests_per_minute or config.spec.requests_per_minute,
        )
        return id_of_batch(job.id, config.name, job.created_at, patience)

    async def _sample(self, job: BatchJob) -> Sample:
        sample = Sample(b"", (), 0)
        for most in _LOOKED_AT:
            try:
                head = await self._blobs.read_range(FILES, job.file, 0, most, job.file_version)
            except (Missing, Changed, ContainerMissing):
                raise _Refused("invalid_request", _DELETED) from None
            whole = len(head) >= job.file_size
            sample = await in_thread(len(head), sample_of, head, whole=whole)
            if sample.model is not None or whole:
                break
        return sample

    def _config(self, name: str) -> DeploymentConfig:
        config = self._settings.get(name)
        if config is None:
            raise _Refused("invalid_model", str(UnknownDeployment(name, self._settings.deployments)))
        return config

    async def _copied(self, job: BatchJob, document: Document) -> BlobItem:
        """Return the copy of the file that the document reads; make it unless an earlier try has."""
        name = document.moved_to.partition("/")[2]
        with contextlib.suppress(ContainerMissing):
            if (there := await self._blobs.stat(UNPACKED, name)) is not None:
                return there
        try:
            await self._blobs.copy(FILES, job.file, job.file_version, UNPACKED, name)
            made = await self._blobs.stat(UNPACKED, name)
        except (Missing, Changed, ContainerMissing):
            raise _Refused("invalid_request", _DELETED) from None
        if made is None:
            raise Missing(f"a blob in {UNPACKED} was deleted as soon as it was there")
        return made

    async def _settled(self, batch_id: str, state: JobState, refusal: _Refused | None = None) -> None:
        while (job := await self._ledger.get(batch_id)) is not None and job.state is JobState.PENDING:
            with contextlib.suppress(Changed):
                await self._ledger.settle(self._final(job, state, refusal))
                return

    def _final(self, job: BatchJob, state: JobState, refusal: _Refused | None = None) -> BatchJob:
        return replace(
            job,
            state=state,
            settled_at=self._clock.now(),
            claimed_until=None,
            code=refusal.code if refusal else "",
            reason=refusal.reason if refusal else "",
        )


_DELETED = "its file was deleted before the batch was begun: upload it again"


def _document(job: BatchJob) -> Document:
    deployment, _, short = job.document.partition("~")
    return Document(
        id=job.document,
        deployment=deployment,
        name=f"{deployment}/{_NOT_IN_NAMES.sub('_', job.file_name).strip('.') or 'batch.jsonl'}",
        source_etag=job.file_version,
        size=job.file_size,
        arrived_at=job.created_at.replace(microsecond=0),
        moved_to=f"{UNPACKED}/{deployment}/{short}",
        unpacked_from=job.id,
    )
