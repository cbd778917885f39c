"""A document's source → its text, with no more of all documents in memory than a small instance has.

An instance of 512 MB holds the functions host, and the worker with its libraries (100 MB). What is left is
divided here: what a document takes is reserved before its first byte is read, and whoever does not fit waits
for its turn. What could never be answered is refused by its size, unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from shared.documents.ask import least_tokens, question, refuse_more_than_admitted
from shared.documents.read import how_many, read_text
from shared.documents.results import source_of
from shared.errors import DocumentRefused, DocumentTooLarge
from shared.model import DeploymentConfig, Document, Prices
from shared.ports import Blobs

P = ParamSpec("P")
T = TypeVar("T")

TO_LOOK_AT = 24_000_000
"""Bytes of documents that are looked at together before they are recorded: seconds each."""
TO_ANSWER = 40_000_000
"""Bytes of documents that are being answered together: up to minutes each.

While it is read a document is there twice, as bytes and as text, and a third time while its request is sent.
"""
SMALL = 64 * 1024
"""Bytes up to which a document neither waits nor goes to a thread: that costs more than it saves."""
WIDEST = 64_000_000
"""Bytes in memory of a text that takes more of them than its file: Python keeps each character at four bytes
for one emoji, and at two for an old alphabet. The request is made of copies as wide as the text."""
_FOUR_BYTES = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")  # a character of UTF-8 such as an emoji
_CONTINUING = bytes(range(0x80, 0xC0))  # the other bytes of UTF-8's sequences than the first
_OF_A_TEXT = 1000  # bytes that Python adds at most
_LOOK = 2.0  # seconds between looks whether a place in the queue is still wanted
_THREADS = ThreadPoolExecutor(2, "documents")  # of its own: what resolves names and more uses asyncio's


class Memory:
    """So many bytes for documents. Who comes first enters first; one larger than all of it enters alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._queue: deque[tuple[asyncio.Future[None], int]] = deque()

    @contextlib.asynccontextmanager
    async def held(self, size: int, wanted: Callable[[], bool] = lambda: True) -> AsyncIterator[bool]:
        """Hold this many bytes; False when that is not wanted any more. Small documents always fit."""
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
            self._admit()  # who stood behind may fit
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
    """Reads documents, and looks at them before they are recorded."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
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
        """Read a file of this size (bytes) and see that it can be answered.

        Raises DocumentRefused with the reason, Missing, Changed and StorageError.
        """
        refuse_by_least(size, config)
        async with self._to_look_at.held(size):
            text = await self.text(container, name, etag)
            await _apart(size, question, text, config, prices, spent=spent)

    async def look_at_body(self, body: bytes, config: DeploymentConfig, prices: Prices) -> None:
        """The same for a file that is in memory already. Raises DocumentRefused."""
        refuse_by_least(len(body), config)
        async with self._to_look_at.held(len(body)):
            await _apart(len(body), _examine, body, config, prices)

    @contextlib.asynccontextmanager
    async def room_for(self, document: Document, wanted: Callable[[], bool]) -> AsyncIterator[bool]:
        """Hold what answering a document takes; False when it is not wanted any more. Raises StorageError."""
        container, name, etag = source_of(document)
        size = document.size
        if etag is None and (item := await self._blobs.stat(container, name)):
            size = item.size  # somebody may have corrected it since it was requeued
        async with self._to_answer.held(size, wanted) as entered:
            yield entered

    async def text(self, container: str, name: str, etag: str | None) -> str:
        """The text of a file for which there is room.

        Raises DocumentRefused, Missing, Changed and StorageError.
        """
        data = await self._blobs.read(container, name, etag)
        return await _apart(len(data), _text, data)


def refuse_by_least(size: int, config: DeploymentConfig) -> None:
    """Raises DocumentTooLarge for a file of which the deployment could not admit the shortest text.

    By the configured capacity: what Azure gives at times may be less.
    """
    try:
        refuse_more_than_admitted(least_tokens(size, config.task), config)
    except DocumentRefused as refusal:
        raise DocumentTooLarge(str(refusal)) from None


def _text(data: bytes) -> str:
    if 4 * len(data) > WIDEST and _FOUR_BYTES.search(data):
        # Told before it is decoded, as that alone would take four times the file.
        _refuse_wide(4 * (len(data) - how_many(data, _CONTINUING)), len(data))
    text = read_text(data)
    _refuse_wide(sys.getsizeof(text), len(data))
    return text


def _refuse_wide(size: int, size_of_file: int) -> None:
    if size > max(WIDEST, size_of_file + _OF_A_TEXT):
        raise DocumentRefused("its text takes more memory than the app has for one document: split it")


def _examine(data: bytes, config: DeploymentConfig, prices: Prices) -> None:
    question(_text(data), config, prices)


async def _apart(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in a thread, where it would keep the event loop, and with it the renewal of leases, waiting."""
    if size <= SMALL:
        return work(*args, **kwargs)
    running = asyncio.get_running_loop().run_in_executor(_THREADS, lambda: work(*args, **kwargs))
    try:
        await asyncio.wait([running])
    except asyncio.CancelledError:
        await asyncio.wait([running])  # until then the file is in memory
        raise
    return running.result()
