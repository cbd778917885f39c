"""Make a document of each file in a ZIP archive. Intake and drain call this, and settle the archive.

Note [Unpacking]. The bytes of a file go to a blob outside of the inbox, then its row is inserted. When all
are there, the archive's result is stored, which lists them, and the archive is done. Names and ids follow
from the archive's document and the file alone, and are created only if absent. So a crash at any point, or
two processes at once, only repeats steps: no file is lost, and none becomes two documents. From its row on, a
file is a document like any other, whatever becomes of the archive.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from shared.documents.backlog import DocumentLedger
from shared.documents.identity import id_of_file, short_id
from shared.documents.places import result_name, source_of
from shared.documents.readers.archive import Archive, File
from shared.documents.results import Results
from shared.documents.source import Memory, Sources, memory_for, memory_for_largest, refuse_by_size
from shared.documents.threads import in_thread
from shared.errors import AlreadyExists, BlobRefused, DocumentRefused, IsRecordFile
from shared.model import Document
from shared.ports import Blobs, Clock

UNPACKED = "unpacked"  # container
CHECKED_SECONDS, CHECKED_BYTES = 10.0, 10_000_000
"""For this long, and up to this size, files are checked before they are recorded: the archive is in memory
beside a file and its text. The drain refuses the others as it reads them."""
_AT_ONCE = 16  # files: their rows are written together

Check = Callable[[bytes], Awaitable[None]]
"""Check that a file can be answered; raise DocumentRefused if not."""


class Unpacker:
    """Unpack archives. Safe to repeat, also concurrently in another process."""

    def __init__(
        self,
        clock: Clock,
        blobs: Blobs,
        ledger: DocumentLedger,
        results: Results,
        sources: Sources,
        most: int,
    ) -> None:
        """`most`: limits.max_document_bytes."""
        self._clock = clock
        self._blobs = blobs
        self._ledger = ledger
        self._results = results
        self._sources = sources
        self._most = most

    async def unpack(self, archive: Document, memory: int, check: Check | None = None) -> Document:
        """Record each file of an unfinished archive; return the archive's document, to be settled as done.

        `memory`: bytes, from IsZipArchive. `check`: refuses files before anything is hosted for them.
        Raises DocumentRefused, ReaderUnavailable, StorageError (Missing and Changed among them).
        """
        container, name, version = source_of(archive)
        async with self._sources.unpacking(container, name, version, memory) as opened:
            documents = [(_document(archive, file), file) for file in opened.files]
            # An earlier try may have ended at its caller's time limit.
            known = await self._ledger.recorded_at(archive.deployment, archive.arrived_at)
            new = [each for each in documents if each[0].id not in known]
            until = self._clock.monotonic() + CHECKED_SECONDS
            run = _Run(opened, Memory(memory_for_largest(opened)), check, until)
            for first in range(0, len(new), _AT_ONCE):
                some = new[first : first + _AT_ONCE]
                outcomes = await asyncio.gather(
                    *(self._record(run, *each) for each in some), return_exceptions=True
                )
                for outcome in outcomes:
                    if outcome is not None:
                        raise outcome
        names = {document.id: file.path for document, file in documents}
        await self._results.store_listing(archive, names)
        reason = f"unpacked: {len(names):,} document{'s' if len(names) > 1 else ''}"
        return replace(archive, result=result_name(archive), reason=reason)

    async def _record(self, run: _Run, document: Document, file: File) -> None:
        """Record one file: as waiting, or as refused with the reason."""
        async with run.memory.held(memory_for(file.path, file.size)):
            data = b""
            try:
                refuse_by_size(file.size, self._most)
                data = await in_thread(file.size + file.packed, run.archive.read, file)
                if run.check is not None and file.size <= CHECKED_BYTES:
                    async with run.turn:
                        if self._clock.monotonic() < run.check_until:
                            with contextlib.suppress(IsRecordFile):  # the drain stages it
                                await run.check(data)
            except DocumentRefused as refusal:
                await self._results.refuse_unpacked(document, str(refusal), self._clock.now(), data)
            else:
                await self._stage(document, data)

    async def _stage(self, document: Document, data: bytes) -> None:
        name, etag = document.moved_to.partition("/")[2], ""
        with contextlib.suppress(AlreadyExists):
            etag = await self._blobs.create(UNPACKED, name, data, "application/octet-stream")
        if await self._ledger.add(document) or not etag:
            return
        known = await self._ledger.get(document.id)
        if known is not None and known.moved_to != document.moved_to:
            # Another process has recorded it meanwhile, and it was moved on from here.
            with contextlib.suppress(BlobRefused):
                await self._blobs.delete(UNPACKED, name, etag)


@dataclass
class _Run:
    archive: Archive
    memory: Memory
    check: Check | None
    check_until: float  # monotonic seconds
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # the time is looked at before each check


def _document(archive: Document, file: File) -> Document:
    document = Document(
        id=id_of_file(archive, file.key),
        deployment=archive.deployment,
        name=f"{archive.name}/{file.path}",
        source_etag=archive.source_etag,
        size=file.size,
        arrived_at=archive.arrived_at,
        unpacked_from=archive.id,
    )
    return replace(document, moved_to=f"{UNPACKED}/{document.deployment}/{short_id(document)}")
