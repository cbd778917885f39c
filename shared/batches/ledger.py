"""Keep the rows of files and batches.

Files: `a <id>` and `z <id>` hold the same, in the order of time and newest first. Batches: `b <id>`, newest
first; `p <id>` exists while the batch is no document yet; `k <digest>` names the batch that was created with
an Idempotency-Key. The rows of a batch are inserted in one transaction: one key is one batch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from shared.batches.rows import BatchJob, StoredFile, batch_hex, file_hex, newest_first
from shared.errors import AlreadyExists, InvalidRequest
from shared.ports import Insert, Remove, Replace, Row, Tables
from shared.rows import from_row, to_values

T = TypeVar("T")

FILES, BATCHES = "files", "batches"  # tables
_ALL = "all"  # the partition of each
_MOST_PENDING = 100


@dataclass(frozen=True)
class Listed(Generic[T]):
    """A page, and whether more follow."""

    items: tuple[T, ...]
    more: bool


class BatchLedger:
    """Read and write the rows. Every method may raise StorageError."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    # --- files --------------------------------------------------------------------------------------

    async def add_file(self, file: StoredFile) -> None:
        """Record a file. A repetition raises AlreadyExists."""
        values = to_values(file)
        rows = [Insert(key, values) for key in _file_keys(file.id)]
        await self._tables.write(FILES, _ALL, rows)

    async def file(self, file_id: str) -> StoredFile | None:
        """Return an uploaded file; None for an unknown or malformed id."""
        if file_hex(file_id) is None:
            return None
        row = await self._tables.get(FILES, _ALL, _file_keys(file_id)[0])
        return from_row(StoredFile, row) if row else None

    async def remove_file(self, file_id: str) -> None:
        """Remove the rows of a file. Safe to repeat."""
        rows = [await self._tables.get(FILES, _ALL, key) for key in _file_keys(file_id)]
        if changes := [Remove(row.key, row.etag) for row in rows if row]:
            await self._tables.write(FILES, _ALL, changes)

    async def files(self, after: str | None, limit: int, *, oldest_first: bool) -> Listed[StoredFile]:
        """Return the files after one of them, or from the first on."""
        kind = "a " if oldest_first else "z "
        start = f"{_file_keys(after)[not oldest_first]} " if after else kind
        page = await self._tables.page(FILES, _ALL, start, f"{kind}~", limit)
        return Listed(tuple(from_row(StoredFile, row) for row in page.rows), page.more)

    # --- batches ------------------------------------------------------------------------------------

    async def add(self, job: BatchJob, key: str | None, digest: str) -> BatchJob | None:
        """Record a batch. If another one was created with that key, return what `with_key` returns."""
        place = _place(job.id)
        changes = [Insert(f"b {place}", to_values(job)), Insert(f"p {place}", {"id": job.id})]
        if key is not None:
            changes.append(Insert(_of_key(key), {"batch": job.id, "digest": digest}))
        try:
            await self._tables.write(BATCHES, _ALL, changes)
        except AlreadyExists:
            if key is None:
                raise
            return await self.with_key(key, digest)
        return job

    async def with_key(self, key: str, digest: str) -> BatchJob | None:
        """Return the batch that was created with an Idempotency-Key; None if there is none.

        Raises KeyReused if that was another request: `digest` tells requests apart.
        """
        row = await self._tables.get(BATCHES, _ALL, _of_key(key))
        if row is None:
            return None
        if row.values["digest"] != digest:
            raise KeyReused
        return await self.get(str(row.values["batch"]))

    async def get(self, batch_id: str) -> BatchJob | None:
        """Return a batch; None for an unknown or malformed id."""
        if batch_hex(batch_id) is None:
            return None
        row = await self._tables.get(BATCHES, _ALL, f"b {_place(batch_id)}")
        return _job(row) if row else None

    async def listed(self, after: str | None, limit: int) -> Listed[BatchJob]:
        """Return the batches after one of them, or from the newest on."""
        start = f"b {_place(after)} " if after else "b "
        page = await self._tables.page(BATCHES, _ALL, start, "b ~", limit)
        return Listed(tuple(map(_job, page.rows)), page.more)

    async def pending(self) -> list[BatchJob]:
        """Return batches that are no documents yet, some of them if there are many."""
        page = await self._tables.page(BATCHES, _ALL, "p ", "p ~", _MOST_PENDING)
        found = [await self.get(str(row.values["id"])) for row in page.rows]
        return [job for job in found if job is not None]

    async def save(self, job: BatchJob) -> BatchJob:
        """Compare-and-swap a batch. Raises Changed."""
        assert job.etag is not None
        change = Replace(f"b {_place(job.id)}", to_values(job), job.etag)
        return replace(job, etag=(await self._tables.write(BATCHES, _ALL, [change]))[0])

    async def settle(self, job: BatchJob) -> None:
        """Compare-and-swap a batch that is not pending any more. Raises Changed."""
        assert job.etag is not None
        place = _place(job.id)
        changes: list[Replace | Remove] = [Replace(f"b {place}", to_values(job), job.etag)]
        pending = await self._tables.get(BATCHES, _ALL, f"p {place}")
        if pending is not None:
            changes.append(Remove(pending.key, pending.etag))
        await self._tables.write(BATCHES, _ALL, changes)


class KeyReused(InvalidRequest):
    """An Idempotency-Key came with another request before."""

    def __init__(self) -> None:
        super().__init__(
            "this Idempotency-Key came with another request before: send the same request, or another key"
        )


def _file_keys(file_id: str) -> tuple[str, str]:
    digits = file_hex(file_id)
    assert digits is not None
    return f"a {digits}", f"z {newest_first(digits)}"


def _place(batch_id: str) -> str:
    digits = batch_hex(batch_id)
    assert digits is not None
    return newest_first(digits)


def _of_key(key: str) -> str:
    return f"k {hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _job(row: Row) -> BatchJob:
    return from_row(BatchJob, row)
