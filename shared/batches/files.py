"""Keep uploaded files: a blob and its rows. The blob is written first, and removed last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from shared.batches.ledger import BatchLedger
from shared.batches.rows import StoredFile, new_file_id
from shared.errors import ContainerMissing
from shared.ports import Blobs

FILES = "files"  # container
_PIECE = 4 * 1024 * 1024


class Files:
    """Store and delete files. Every method may raise StorageError."""

    def __init__(self, blobs: Blobs, ledger: BatchLedger) -> None:
        self._blobs = blobs
        self._ledger = ledger

    async def store(self, name: str, data: memoryview, at: datetime) -> StoredFile:
        """Store a file piece by piece. Each call stores another one."""
        file_id = new_file_id(at)
        version = await self._blobs.create_from(FILES, file_id, _pieces(data), "application/jsonl")
        file = StoredFile(file_id, name, len(data), version, at)
        await self._ledger.add_file(file)
        return file

    async def delete(self, file: StoredFile) -> None:
        """Delete a file; batches that were taken in have a copy. Safe to repeat."""
        await self._ledger.remove_file(file.id)
        try:
            await self._blobs.delete(FILES, file.id, file.version)
        except ContainerMissing:
            return


async def _pieces(data: memoryview) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield bytes(data[start : start + _PIECE])
