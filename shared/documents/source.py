"""Read the text of documents' sources within the memory of a small instance.

An instance of 512 MB holds the functions host, and the worker with its libraries (130 MB). The rest is
divided here: a document's memory is reserved before its first byte is read, and a document that does not fit
waits for its turn. A document that could never be answered is refused by its size, unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import ParamSpec, TypeVar

from shared.documents.ask import least_tokens, refuse_more_than_admitted
from shared.documents.places import source_of
from shared.documents.plan import plan
from shared.documents.read import how_many, read_text
from shared.documents.readers.archive import Archive, opened
from shared.documents.readers.formats import Format, format_of
from shared.documents.readers.part import MOST_TEXT, Part
from shared.documents.readers.sandbox import Sandbox
from shared.documents.records.form import HEAD, form_of
from shared.documents.records.staging import IN_PROGRESS
from shared.documents.threads import SMALL, in_thread
from shared.errors import DocumentRefused, DocumentTooLarge, IsRecordFile, IsZipArchive, StorageError
from shared.model import DeploymentConfig, Document, Large, Prices
from shared.ports import Blobs

P = ParamSpec("P")
T = TypeVar("T")

TO_LOOK_AT = 24_000_000
"""Bytes of documents that are checked concurrently before they are recorded: each takes seconds."""
TO_ANSWER = 40_000_000
"""Bytes of documents that are answered concurrently: each takes up to minutes.

While a document is read it is in memory twice, as bytes and as text, and a third time while its request is
sent.
"""
WIDEST = 64_000_000
"""Most bytes in memory of a text that is larger there than its file: one emoji makes Python store every
character in four bytes, another alphabet in two. The request consists of copies as wide as the text."""
_FOUR_BYTES = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")  # a character of UTF-8 such as an emoji
_PACKED = (".docx", ".docm", ".xlsx", ".xlsm", ".pptx", ".odt", ".ods", ".pdf", ".zip")
_UNPACKS_TO = 10  # times its size: no honest archive among those measured unpacks to more
_CONTINUING = bytes(range(0x80, 0xC0))  # the other bytes of UTF-8's sequences than the first
_OF_A_TEXT = 1000  # bytes of overhead that Python adds at most
_LOOK = 2.0  # seconds between checks whether a place in the queue is still wanted


class Memory:
    """Share `size` bytes among documents, first come, first served; a larger document enters alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._queue: deque[tuple[asyncio.Future[None], int]] = deque()

    @contextlib.asynccontextmanager
    async def held(self, size: int, wanted: Callable[[], bool] = lambda: True) -> AsyncIterator[bool]:
        """Hold this many bytes; False if they are no longer wanted. Small documents always fit."""
        if size <= SMALL:
            yield True
            return
        if not await self._enter(size, wanted):
            yield False
            return
        try:
            yield True
        finally:
            self._leave(size)

    async def _enter(self, size: int, wanted: Callable[[], bool]) -> bool:
        if not self._queue and self._fits(size):
            self._taken += size
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((turn, size))
        try:
            while not turn.done() and wanted():
                await asyncio.wait([turn], timeout=_LOOK)
        except asyncio.CancelledError:
            if turn.done():
                self._leave(size)
            raise
        finally:
            entered = turn.done()
            turn.cancel()
            self._admit()  # the next in the queue may fit now
        return entered

    def _leave(self, size: int) -> None:
        self._taken -= size
        self._admit()

    def _admit(self) -> None:
        while self._queue and (self._queue[0][0].done() or self._fits(self._queue[0][1])):
            turn, size = self._queue.popleft()
            if not turn.done():
                self._taken += size
                turn.set_result(None)

    def _fits(self, size: int) -> bool:
        return self._taken == 0 or self._taken + size <= self._size


class Sources:
    """Read documents, and check them before they are recorded."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.sandbox = Sandbox()
        self._to_look_at = Memory(TO_LOOK_AT)
        self._to_answer = Memory(TO_ANSWER)

    async def look_at(
        self,
        container: str,
        name: str,
        etag: str | None,
        size: int,
        config: DeploymentConfig,
        prices: Prices,
        spent: float = 0.0,
    ) -> None:
        """Read a file of this size (bytes) and check that it can be answered.

        Raises DocumentRefused with the reason (IsZipArchive for one that can be unpacked), Missing, Changed
        and StorageError.
        """
        async with self._to_look_at.held(memory_for(name, size)):
            parts = await self.read(container, name, etag, size, config)
            await apart(parts, plan, parts, config, prices, spent=spent)

    async def look_at_body(self, name: str, body: bytes, config: DeploymentConfig, prices: Prices) -> None:
        """Check a file that is in memory already. Raises DocumentRefused and IsZipArchive."""
        async with self._to_look_at.held(memory_for(name, len(body))):
            await self.check(body, config, prices)

    async def check(self, data: bytes, config: DeploymentConfig, prices: Prices) -> None:
        """Check a file for which memory is held. Raises DocumentRefused and IsZipArchive."""
        parts = await self.parts_of(data, config)
        await apart(parts, plan, parts, config, prices)

    @contextlib.asynccontextmanager
    async def unpacking(
        self, container: str, name: str, etag: str | None, memory: int
    ) -> AsyncIterator[Archive]:
        """Open a ZIP archive, and hold the memory for it and its largest file. Raises as `read` does."""
        async with self._to_look_at.held(memory):
            data = await self._blobs.read(container, name, etag)
            archive = await in_thread(len(data), opened, data)
            if archive is None:
                raise StorageError(f"a file in {container} was changed while it was read")
            yield archive

    @contextlib.asynccontextmanager
    async def room_for(self, document: Document, wanted: Callable[[], bool]) -> AsyncIterator[bool]:
        """Hold the memory for answering a document; False if no longer wanted. Raises StorageError."""
        async with self._to_answer.held(await self._memory_to_answer(document), wanted) as entered:
            yield entered

    async def _memory_to_answer(self, document: Document) -> int:
        if document.form is not None:
            return IN_PROGRESS
        container, name, etag = source_of(document)
        size = document.size
        if etag is None and (item := await self._blobs.stat(container, name)):
            size = item.size  # its owner may have corrected it since it was requeued
        return memory_for(document.name, size)

    async def read(
        self, container: str, name: str, etag: str | None, size: int, config: DeploymentConfig
    ) -> list[Part]:
        """Return the parts of a file of this size (bytes) for which memory is held.

        Raises DocumentRefused, IsZipArchive, IsRecordFile, Missing, Changed and StorageError.
        """
        if size > HEAD:
            _refuse_records(await self._blobs.read_range(container, name, 0, HEAD, etag), config)
        return await self.parts_of(await self._blobs.read(container, name, etag), config)

    async def has_records(
        self, container: str, name: str, etag: str | None, config: DeploymentConfig
    ) -> bool:
        """Return whether a file has records. Raises DocumentRefused, Missing, Changed, StorageError."""
        return form_of(await self._blobs.read_range(container, name, 0, HEAD, etag), config.task) is not None

    async def parts_of(self, data: bytes, config: DeploymentConfig) -> list[Part]:
        """Return the parts of a file in memory. Raises DocumentRefused, IsZipArchive and IsRecordFile."""
        _refuse_records(data[:HEAD], config)
        kind = format_of(data)
        archive = await in_thread(len(data), opened, data) if kind is Format.PACKAGE else None
        if archive is not None:
            raise IsZipArchive(len(data) + memory_for_largest(archive))
        if kind is not None:
            return await self.sandbox.read(data)
        refuse_by_least(len(data), config)
        return [Part(await in_thread(len(data), _plain_text, data))]

    async def close(self) -> None:
        """End the process that reads files."""
        await self.sandbox.close()


def memory_for(name: str, size: int) -> int:
    """Return the bytes to hold for a file of `size` bytes: the text of a packed one is larger than the file.

    By its name, as nothing is read yet; a wrong name costs memory, and changes nothing else.
    """
    return size if not name.lower().endswith(_PACKED) else size + min(_UNPACKS_TO * size, MOST_TEXT)


def memory_for_largest(archive: Archive) -> int:
    """Return the bytes to hold for the largest file in an archive."""
    return max((memory_for(each.path, each.size) for each in archive.files if not each.refusal), default=0)


def refuse_by_size(size: int, limit: int) -> None:
    """Raise DocumentRefused for an empty file, DocumentTooLarge for one above the limit (both in bytes)."""
    if size == 0:
        raise DocumentRefused("the file is empty")
    if size > limit:
        raise DocumentTooLarge(f"the file has {size:,} bytes; limits.max_document_bytes is {limit:,}")


def refuse_by_least(size: int, config: DeploymentConfig) -> None:
    """Raise DocumentTooLarge if the deployment could not admit even the shortest text of such a file.

    `size`: bytes. The configured capacity counts: Azure may give less for a time. A document that may be
    asked in pieces is never too large by its size.
    """
    if config.task.large is not Large.WHOLE:
        return
    try:
        refuse_more_than_admitted(least_tokens(size, config.task), config)
    except DocumentRefused as refusal:
        raise DocumentTooLarge(str(refusal)) from None


def _refuse_records(head: bytes, config: DeploymentConfig) -> None:
    if form_of(head, config.task) is not None:
        raise IsRecordFile


def _plain_text(data: bytes) -> str:
    if 4 * len(data) > WIDEST and _FOUR_BYTES.search(data):
        # Check this before decoding, which alone would take four times the file's size.
        _refuse_wide(4 * (len(data) - how_many(data, _CONTINUING)), len(data))
    text = read_text(data)
    _refuse_wide(sys.getsizeof(text), len(data))
    return text


def _refuse_wide(size: int, size_of_file: int) -> None:
    if size > max(WIDEST, size_of_file + _OF_A_TEXT):
        raise DocumentRefused("its text takes more memory than the app has for one document: split it")


async def apart(parts: Sequence[Part], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run work on a document's parts, in a thread if it would delay the event loop and leases with it."""
    return await in_thread(sum(len(part.text) for part in parts), work, *args, **kwargs)
