"""Files of OpenAI's API: those that were uploaded, and those that batches have written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.app import Lamplighter
from shared.batches.files import FILES
from shared.batches.ledger import Listed
from shared.batches.objects import has_result
from shared.batches.rows import BatchJob, ResultKind, StoredFile, result_of
from shared.documents.places import RESULTS, beside
from shared.documents.records.staging import MOST_BYTES
from shared.errors import ContainerMissing, DocumentTooLarge, InvalidRequest, Missing, NotFound

_LONGEST_NAME = 500  # characters
_ENDS = {ResultKind.OUTPUT: ".jsonl", ResultKind.ERROR: ".errors.jsonl"}
_PIECE = 4 * 1024 * 1024


@dataclass(frozen=True)
class ResultFile:
    """A file that a batch has written: a blob in `results`."""

    job: BatchJob
    kind: ResultKind
    name: str
    version: str  # ETag
    size: int
    created_at: datetime


async def upload(app: Lamplighter, name: str, data: memoryview) -> StoredFile:
    """Store a file. Raises InvalidRequest for an empty one, DocumentTooLarge, StorageError."""
    if not data:
        raise InvalidRequest("the file is empty: write one request a line")
    if len(data) > MOST_BYTES:
        raise DocumentTooLarge(f"the file has {len(data):,} bytes, and {MOST_BYTES:,} are allowed: split it")
    readable = "".join(each if each.isprintable() else "_" for each in name)[:_LONGEST_NAME]
    return await app.batches.files.store(readable, data, app.context.clock.now())


async def files(app: Lamplighter, after: str | None, limit: int, *, oldest_first: bool) -> Listed[StoredFile]:
    """Return a page of the uploaded files. Raises StorageError."""
    return await app.batches.ledger.files(after, limit, oldest_first=oldest_first)


async def find(app: Lamplighter, file_id: str) -> StoredFile | ResultFile:
    """Return the file with this id. Raises NotFound, StorageError."""
    found: StoredFile | ResultFile | None
    if (result := result_of(file_id)) is not None:
        found = await _result(app, *result)
    else:
        found = await app.batches.ledger.file(file_id)
    if found is None:
        raise NotFound("No such File object: it was deleted, or never there.")
    return found


async def _result(app: Lamplighter, batch_id: str, kind: ResultKind) -> ResultFile | None:
    job = await app.batches.ledger.get(batch_id)
    document = await app.documents.get(job.document) if job and job.document else None
    if job is None or document is None or not has_result(document, kind):
        return None
    name = beside(document, _ENDS[kind])
    try:
        item = await app.context.blobs.stat(RESULTS, name)
    except ContainerMissing:
        return None
    return ResultFile(job, kind, name, item.etag, item.size, item.modified_at) if item else None


async def content(app: Lamplighter, file: StoredFile | ResultFile, start: int, size: int) -> bytes:
    """Return `size` bytes of a file from `start` on. Raises NotFound if it is gone, StorageError."""
    container, name = (FILES, file.id) if isinstance(file, StoredFile) else (RESULTS, file.name)
    pieces, end = list[bytes](), min(start + size, file.size)
    try:
        for at in range(start, end, _PIECE):
            most = min(_PIECE, end - at)
            pieces.append(await app.context.blobs.read_range(container, name, at, most, file.version))
    except (Missing, ContainerMissing):
        raise NotFound("No such File object: its content was deleted.") from None
    return b"".join(pieces)


async def delete(app: Lamplighter, file_id: str) -> None:
    """Delete a file. A batch that reads it goes on with its copy. Raises NotFound, StorageError."""
    file = await find(app, file_id)
    if isinstance(file, StoredFile):
        await app.batches.files.delete(file)
    else:
        await app.context.blobs.delete(RESULTS, file.name, file.version)
