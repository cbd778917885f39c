"""Write the results of a file of records: in input order, streamed, all files in one pass.

What is written follows from the staged file and the kept outcomes alone, so a try that a crash has ended is
repeated, and its files are replaced. Nobody else writes blobs of these names: they have the document's id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.documents.places import RESULTS, beside
from shared.documents.records.answer_log import AnswerLog, Known, key_of, outcome_of
from shared.documents.records.layout import layout_from
from shared.documents.records.record import Outcome, Problem, from_line
from shared.documents.records.result_files import ResultFile, writers_for
from shared.documents.records.staging import staged_lines
from shared.documents.threads import in_thread
from shared.errors import AlreadyExists, ContainerMissing, StorageError
from shared.model import Document, Task
from shared.ports import Blobs

_AT_ONCE = 1000  # records converted in one go
_MOST_AT_ONCE = 4_000_000  # bytes of them
_WAITING = 2  # pieces of a file that wait to be sent
NOT_ASKED = Problem("not_asked", "the file was stopped before this record was asked")

Fence = Callable[[], Awaitable[None]]
_Pair = tuple[bytes, bytes | None]  # a staged line, and the JSON of its outcome


@dataclass
class Written:
    """What was written. `files`: names in the container `results` by their ends, such as csv."""

    files: Mapping[str, str]
    answered: int = 0
    refused: int = 0

    def count(self, outcome: Outcome) -> None:
        """Count a record that has an outcome."""
        response = outcome.response
        refused = outcome.problem is not None or (response is not None and response["status_code"] >= 400)
        self.refused += refused
        self.answered += not refused


async def write_results(
    blobs: Blobs, document: Document, task: Task, log: AnswerLog, known: Known, fence: Fence
) -> Written:
    """Write all result files. A record without an outcome is written as not asked.

    `fence`: raises Changed if another worker has the document. Raises StorageError.
    """
    files = writers_for(layout_from(document.layout), task)
    names = [beside(document, file.end) for file in files]
    written = Written({file.end.lstrip("."): name for file, name in zip(files, names, strict=True)})
    queues = [asyncio.Queue[bytes | None](_WAITING) for _ in files]
    sending = [
        asyncio.create_task(_send(blobs, name, queue, file.content_type, fence))
        for file, name, queue in zip(files, names, queues, strict=True)
    ]
    try:
        await _put(queues, [file.head() for file in files])
        async for pairs in _pairs(blobs, document, log, known):
            await _put(queues, await in_thread(_MOST_AT_ONCE, _added, files, pairs, written))
        for file, queue in zip(files, queues, strict=True):
            rest = file.finish()
            while (piece := await in_thread(_MOST_AT_ONCE, next, rest, None)) is not None:
                await queue.put(piece)
    except BaseException:
        for task_ in sending:
            task_.cancel()
        await asyncio.wait(sending)
        raise
    for queue in queues:
        await queue.put(None)
    for error in await asyncio.gather(*sending):
        if error is not None:
            raise error
    return written


async def _put(queues: Sequence[asyncio.Queue[bytes | None]], pieces: Sequence[bytes]) -> None:
    for queue, piece in zip(queues, pieces, strict=True):
        if piece:
            await queue.put(piece)


async def _send(
    blobs: Blobs, name: str, queue: asyncio.Queue[bytes | None], content_type: str, fence: Fence
) -> StorageError | None:
    """Write a blob from the pieces in the queue, to its end; return the error that prevented it."""

    async def pieces() -> AsyncIterator[bytes]:
        while (piece := await queue.get()) is not None:
            yield piece

    source, failed = pieces(), None
    try:
        with contextlib.suppress(ContainerMissing):
            before = await blobs.stat(RESULTS, name)
            if before is not None:
                await fence()  # after `stat`: what a later worker writes has another version
                await blobs.delete(RESULTS, name, before.etag)
        with contextlib.suppress(AlreadyExists):  # another worker writes the same
            await blobs.create_from(RESULTS, name, source, content_type)
    except StorageError as error:
        failed = error
    async for _ in source:  # what fills the queue must not wait for ever
        pass
    return failed


async def _pairs(
    blobs: Blobs, document: Document, log: AnswerLog, known: Known
) -> AsyncIterator[list[_Pair]]:
    """Yield records with the JSON of their outcomes, in input order, some at a time."""
    reader, pairs, size = log.reader(known), list[_Pair](), 0
    async for number, line in staged_lines(blobs, document):
        found = None
        if known.kind(number, key_of(line)) is not None:
            found = await reader.read(number)
        pairs.append((line, found))
        size += len(line) + len(found or b"")
        if len(pairs) == _AT_ONCE or size > _MOST_AT_ONCE:
            yield pairs
            pairs, size = [], 0
    if pairs:
        yield pairs


def _added(files: Sequence[ResultFile], pairs: Sequence[_Pair], written: Written) -> list[bytes]:
    """Return what some records add to each file."""
    found = [list[bytes]() for _ in files]
    for line, json in pairs:
        record = from_line(line)
        outcome = outcome_of(json) if json is not None else Outcome(problem=record.problem or NOT_ASKED)
        if outcome.problem is not NOT_ASKED:
            written.count(outcome)
        for file, pieces in zip(files, found, strict=True):
            pieces.append(file.add(record, outcome))
    return [b"".join(pieces) for pieces in found]
