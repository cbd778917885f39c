"""Sources in memory, and answers without a model."""

from __future__ import annotations

import asyncio
import contextlib
import json
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace

from shared.app import Lamplighter
from shared.documents.places import RESULTS, beside, result_name
from shared.errors import AlreadyExists, Changed, Missing, SourceError
from shared.model import ContainerSource, Document, DocumentState, RowSource
from shared.ports import AnsweredRow, BlobItem, BlobPage, Blobs, Clock, RowPage, SourceFact, SourceRow
from tests.fakes.blobs import MemoryBlobs


class MemoryRows:
    """An implementation of `shared.ports.Rows` in memory. `down`: what cannot be reached now."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, str]] = {}  # version and text by key
        self.target: dict[tuple[str, str], AnsweredRow] = {}
        self.down = ""

    async def page(self, start: str, limit: int) -> RowPage:
        self._reach("source")
        keys = sorted(self.rows)
        first = bisect_left(keys, start)
        some = keys[first : first + limit]
        following = some[-1] if len(some) == limit and some[-1] != start else ""
        return RowPage(tuple(SourceRow(key, self.rows[key][0]) for key in some), start, following)

    async def texts(self, page: RowPage, keys: Sequence[str]) -> Sequence[SourceRow]:
        self._reach("source")
        return [SourceRow(key, *self.rows[key]) for key in keys if key in self.rows]

    async def write(self, answers: Sequence[AnsweredRow]) -> int:
        self._reach("target")
        refused = [each for each in answers if "\0" in each.key]
        self.target |= {(each.key, each.version): each for each in answers if each not in refused}
        return len(refused)

    async def check(self) -> Sequence[SourceFact]:
        self._reach("source")
        return [SourceFact("it runs")]

    def _reach(self, what: str) -> None:
        if self.down == what:
            raise SourceError(f"the {what} is down", "start it")


class MemoryFolder:
    """An implementation of `shared.ports.Folder` in memory."""

    def __init__(self, clock: Clock) -> None:
        self.blobs = MemoryBlobs(clock)

    async def page(self, token: str | None, limit: int) -> BlobPage:
        return await self.blobs.list("theirs", token, limit)

    async def read_range(self, name: str, start: int, size: int, etag: str) -> bytes:
        return await self.blobs.read_range("theirs", name, start, size, etag)

    def put(self, name: str, text: str | bytes) -> BlobItem:
        """Write a file there."""
        self.blobs.upload("theirs", name, text.encode() if isinstance(text, str) else text)
        return self.blobs.item("theirs", name)


class MemoryConnections:
    """An implementation of `shared.ports.Connections` with one source of each kind."""

    def __init__(self, clock: Clock) -> None:
        self.of_rows, self.of_files = MemoryRows(), MemoryFolder(clock)

    def rows(self, source: RowSource) -> MemoryRows:
        return self.of_rows

    def folder(self, source: ContainerSource) -> MemoryFolder:
        return self.of_files


async def answer_all(
    app: Lamplighter, blobs: Blobs, deployment: str, outcome: Callable[[str], object] = str.upper
) -> int:
    """Answer the waiting files of rows as the drain would, without a model; return how many rows those had.

    `outcome`: the answer to a text; an exception's text becomes the record's error.
    """
    waiting = [document async for document in app.documents.unfinished(deployment)]
    return sum(await asyncio.gather(*(_answer(app, blobs, document, outcome) for document in waiting)))


async def _answer(
    app: Lamplighter, blobs: Blobs, document: Document, outcome: Callable[[str], object]
) -> int:
    container, _, name = document.moved_to.partition("/")
    try:
        lines = [json.loads(line) for line in (await blobs.read(container, name)).splitlines()]
    except (Missing, Changed):
        return 0
    found = [_line(number, line, outcome(line["text"])) for number, line in enumerate(lines, 1)]
    with contextlib.suppress(AlreadyExists):
        await blobs.create(RESULTS, beside(document, ".jsonl"), b"".join(found), "application/jsonl")
    refused = sum(b'"code"' in line for line in found)
    counted = replace(document, answered=len(found) - refused, refused=refused)
    files = {"jsonl": beside(document, ".jsonl")}
    await app.results.store_records(counted, files, DocumentState.DONE, "answered")
    final = replace(counted, result=result_name(document))
    await app.results.settle(final, DocumentState.DONE, "answered", app.context.clock.now())
    return len(found)


def _line(number: int, line: dict[str, str], outcome: object) -> bytes:
    error = isinstance(outcome, Exception)
    columns = {"key": line["key"], "version": line["version"]}
    body = {
        "row": number,
        "id": "",
        "columns": columns,
        "answer": None if error else outcome,
        "error": {"code": "content_filter", "message": str(outcome)} if error else None,
    }
    return json.dumps(body).encode() + b"\n"
