"""Batches of OpenAI's API: create, look at, list and cancel them; and make documents of those created."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.alerts import Alert, alert
from shared.app import Lamplighter
from shared.batches.ledger import Listed
from shared.batches.objects import Status, status_of
from shared.batches.rows import BatchJob, JobState, StoredFile, new_batch_id
from shared.documents.records.record import encoded
from shared.errors import Changed, Conflict, LamplighterError, NotFound, StorageError, shown
from shared.model import Document
from shared.operations.cancel import cancel as cancel_document

MESSAGE = "batch "
"""Begins a message of the queue that asks to take a batch in. No deployment's name has a space."""
_TRIES = 5


@dataclass(frozen=True)
class NewBatch:
    """A batch that somebody asks for. `completion_window`: as it was written."""

    endpoint: str
    completion_window: str
    window: timedelta
    metadata: Mapping[str, str]

    def digest(self, file_id: str) -> str:
        """Return what tells this request from others."""
        about = [file_id, self.endpoint, self.completion_window, sorted(self.metadata.items())]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()


@dataclass(frozen=True)
class Seen:
    """A batch, and its document if it is one already."""

    job: BatchJob
    document: Document | None = None


async def repeated(app: Lamplighter, asked: NewBatch, file_id: str, key: str) -> Seen | None:
    """Return the batch that this request created before with this Idempotency-Key; None if there is none.

    Raises KeyReused, StorageError.
    """
    job = await app.batches.ledger.with_key(key, asked.digest(file_id))
    return await _seen(app, job) if job else None


async def create(app: Lamplighter, asked: NewBatch, file: StoredFile, key: str | None) -> Seen:
    """Create a batch: one for each Idempotency-Key. It is pending until `take_in`.

    Raises KeyReused, StorageError.
    """
    now = app.context.clock.now()
    job = BatchJob(
        id=new_batch_id(now),
        file=file.id,
        file_name=file.name,
        file_size=file.size,
        file_version=file.version,
        endpoint=asked.endpoint,
        completion_window=asked.completion_window,
        window_seconds=int(asked.window.total_seconds()),
        metadata=encoded(asked.metadata).decode() if asked.metadata else "",
        created_at=now,
    )
    return await _seen(app, await app.batches.ledger.add(job, key, asked.digest(file.id)) or job)


async def find(app: Lamplighter, batch_id: str) -> Seen:
    """Return the batch with this id. Raises NotFound, StorageError."""
    return await _seen(app, await _job(app, batch_id))


async def batches(app: Lamplighter, after: str | None, limit: int) -> Listed[Seen]:
    """Return a page of batches, the newest first. Raises StorageError."""
    page = await app.batches.ledger.listed(after, limit)
    return Listed(tuple(await asyncio.gather(*(_seen(app, job) for job in page.items))), page.more)


async def cancel(app: Lamplighter, batch_id: str) -> Seen:
    """Let a batch end with what is answered. Safe to repeat.

    Raises NotFound, Conflict for one that is finished, StorageError.
    """
    for _ in range(_TRIES):
        seen = await find(app, batch_id)
        status = status_of(seen.job, seen.document)
        if status in (Status.COMPLETED, Status.FAILED):
            raise Conflict(f"Cannot cancel a batch with status '{status}'.")
        if status in (Status.CANCELLING, Status.CANCELLED):
            return seen
        with contextlib.suppress(Changed):
            if seen.job.state is JobState.TAKEN_IN and seen.document is not None:
                with contextlib.suppress(Conflict):  # it is finished now: the next look says how
                    await cancel_document(app, seen.document.id)
            await app.batches.ledger.save(replace(seen.job, cancelling_at=app.context.clock.now()))
            return await find(app, batch_id)
    raise Conflict("it is being changed all the time: try again")


async def take_in(app: Lamplighter, batch_id: str) -> None:
    """Make a document of a pending batch. An error is an alert: the next tick asks for it again."""

    async def stop(document_id: str) -> None:
        with contextlib.suppress(Conflict):
            await cancel_document(app, document_id)

    try:
        await app.batches.intake.take_in(batch_id, stop)
    except LamplighterError as error:
        alert(Alert.DRAIN_FAILED, f"a batch is taken in with the next tick: {shown(error)}")


async def due(app: Lamplighter) -> list[str]:
    """Return a message for each pending batch that no process takes in now. An error is an alert."""
    now = app.context.clock.now()
    try:
        pending = await app.batches.ledger.pending()
    except StorageError as error:
        alert(Alert.DRAIN_FAILED, f"batches are taken in with the next tick: {error}")
        return []
    return [MESSAGE + job.id for job in pending if job.claimed_until is None or job.claimed_until <= now]


async def take_in_all(app: Lamplighter) -> None:
    """Make documents of all pending batches, one after another. Errors are alerts."""
    for message in await due(app):
        await take_in(app, message.removeprefix(MESSAGE))


async def _job(app: Lamplighter, batch_id: str) -> BatchJob:
    job = await app.batches.ledger.get(batch_id)
    if job is None:
        raise NotFound("No batch has this id.")
    return job


async def _seen(app: Lamplighter, job: BatchJob) -> Seen:
    document = await app.documents.get(job.document) if job.document else None
    return Seen(job, document)
