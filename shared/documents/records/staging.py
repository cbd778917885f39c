"""Stage a file of records: convert it to one line a record, in its order, before anything is hosted for it.

The staged file stands for the version of the source and for what the task asks of a row: another version or
another task is staged anew. It is written once, and whole: a crash leaves nothing of it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

from shared.documents.identity import short_id
from shared.documents.readers.formats import format_of
from shared.documents.readers.sandbox import Sandbox
from shared.documents.records.form import HEAD, Converter, form_of, records_from, sheet_records
from shared.documents.records.record import Record, to_line
from shared.documents.records.request import request_of
from shared.documents.threads import in_thread
from shared.errors import (
    AlreadyExists,
    Changed,
    ContainerMissing,
    DocumentRefused,
    DocumentTooLarge,
    Missing,
)
from shared.model import DeploymentConfig, Document, Prices, RecordForm
from shared.money.cost import token_cost
from shared.ports import Blobs

STAGING = "staging"  # container
MOST_BYTES = 200_000_000
"""Bytes of a file of records, as Azure allows for its own Batch API."""
IN_PROGRESS = 16_000_000
"""Bytes in memory of a file that is being asked, whatever its size."""
_PIECE = 1024 * 1024
_LONGEST_LAYOUT = 30_000  # characters: Azure keeps 32,768 in a column of a table
_MEASURED, _THEN_EACH = 500, 50  # records whose tokens are estimated: the first ones, then one of so many


@dataclass(frozen=True)
class Source:
    """A version of a blob."""

    container: str
    name: str
    etag: str
    size: int


@dataclass
class _Tally:
    """Count records, and estimate the tokens of their prompts from some of them."""

    config: DeploymentConfig
    records: int = 0
    asked: int = 0  # records that can be asked
    _measured: int = 0
    _tokens: int = 0

    def lines(self, records: Iterator[Record]) -> bytes:
        """Return records as staged lines."""
        lines = list[bytes]()
        for record in records:
            lines.append(to_line(record))
            self.records += 1
            if record.problem is None:
                self.asked += 1
                if self.asked <= _MEASURED or self.asked % _THEN_EACH == 0:
                    self._measured += 1
                    self._tokens += request_of(record, self.config).prompt_tokens
        return b"".join(lines)

    @property
    def tokens(self) -> int:
        """Return the tokens of all prompts."""
        return round(self._tokens * self.asked / self._measured) if self._measured else 0


class Staging:
    """Stage files. Methods may raise StorageError (Missing and Changed among them)."""

    def __init__(self, blobs: Blobs, sandbox: Sandbox, prices: Prices) -> None:
        self._blobs = blobs
        self._sandbox = sandbox
        self._prices = prices

    async def source(self, container: str, name: str, etag: str | None) -> Source:
        """Return the version of a blob to stage: this one, or the present one. Raises Missing, Changed."""
        item = await self._blobs.stat(container, name)
        if item is None:
            raise Missing(f"a blob in {container} is gone")
        if etag is not None and item.etag != etag:
            raise Changed(f"a blob in {container} is another version")
        return Source(container, name, item.etag, item.size)

    async def stage(self, document: Document, source: Source, config: DeploymentConfig) -> Document:
        """Stage a source; return the document with what was found: counts, layout, expected cost.

        Safe to repeat. Raises DocumentRefused if it has no record, or if its prompts alone would cost more
        than max_cost_per_file.
        """
        if source.size > MOST_BYTES:
            raise DocumentTooLarge(
                f"the file has {source.size:,} bytes, and a file of records {MOST_BYTES:,} at most: split it"
            )
        head = await self._blobs.read_range(source.container, source.name, 0, HEAD, source.etag)
        form = form_of(head, config.task)
        if form is None:
            raise DocumentRefused("it has records, and its deployment takes no such files: set task.records")
        version = _version(source, form, config)
        name = staged_name(replace(document, staged=version))
        if document.staged == version and await self._is_there(name):
            return document
        tally = _Tally(config)
        if form is RecordForm.ROWS and format_of(head) is not None:
            converter: Converter = sheet_records(config.task)
            pieces = self._of_sheet(source, converter, tally)
        else:
            converter = records_from(head, form, config.task, config.name)
            pieces = self._of_text(source, converter, tally)
        with contextlib.suppress(AlreadyExists):  # by an earlier try, which a crash has ended
            await self._blobs.create_from(STAGING, name, pieces, "application/jsonl")
        staged = replace(
            document,
            form=form,
            layout=_layout(converter),
            staged=version,
            records=tally.records,
            invalid=tally.records - tally.asked,
            refused=tally.records - tally.asked,
            expected_cost=token_cost(tally.tokens, tally.asked * config.task.max_output_tokens, self._prices),
        )
        self._refuse_above_cap(staged, tally, config)
        return staged

    async def _is_there(self, name: str) -> bool:
        with contextlib.suppress(ContainerMissing):
            return await self._blobs.stat(STAGING, name) is not None
        return False

    def _refuse_above_cap(self, document: Document, tally: _Tally, config: DeploymentConfig) -> None:
        cap = config.task.max_cost_per_file
        prompts = document.cost + token_cost(tally.tokens, 0, self._prices)
        if cap is not None and prompts > cap and not document.answered:
            currency = self._prices.currency
            raise DocumentRefused(
                f"its {tally.asked:,} prompts alone would cost about {prompts:.2f} {currency}, and "
                f"max_cost_per_file is {cap:.2f}: split the file, or raise max_cost_per_file"
            )

    async def _of_text(self, source: Source, converter: Converter, tally: _Tally) -> AsyncIterator[bytes]:
        at = 0
        while at < source.size:
            data = await self._blobs.read_range(source.container, source.name, at, _PIECE, source.etag)
            if not data:
                break
            at += len(data)
            yield await in_thread(len(data), tally.lines, converter.feed(data))
        yield await in_thread(_PIECE, tally.lines, converter.finish())

    async def _of_sheet(self, source: Source, converter: Converter, tally: _Tally) -> AsyncIterator[bytes]:
        data = await self._blobs.read(source.container, source.name, source.etag)
        async with contextlib.aclosing(self._sandbox.rows(data)) as rows:  # it holds the reader's turn
            async for lines in rows:
                yield await in_thread(len(lines), tally.lines, converter.feed(lines))
        yield await in_thread(_PIECE, tally.lines, converter.finish())


def staged_name(document: Document) -> str:
    """Return the name of a document's staged file."""
    return f"{document.deployment}/{short_id(document)}.{document.staged}.jsonl"


async def staged_lines(blobs: Blobs, document: Document) -> AsyncIterator[tuple[int, bytes]]:
    """Yield a document's staged lines, without their ends, with their numbers from 0. Raises StorageError."""
    name, rest, at, number = staged_name(document), b"", 0, 0
    while True:
        piece = await blobs.read_range(STAGING, name, at, _PIECE)
        if not piece:
            return
        at += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield number, line
            number += 1


def _layout(converter: Converter) -> str:
    layout = converter.layout.to_json()
    if len(layout.encode("utf-16-le")) // 2 > _LONGEST_LAYOUT:
        raise DocumentRefused(
            f"the names of its {len(converter.layout.columns):,} columns have more than {_LONGEST_LAYOUT:,} "
            "characters together: write into task.records.keep which ones the result is to have"
        )
    return layout


def _version(source: Source, form: RecordForm, config: DeploymentConfig) -> str:
    asked = repr(config.task.records) if form is RecordForm.ROWS else config.name
    return hashlib.sha256(f"{source.etag}\n{form}\n{asked}".encode("utf-8", "replace")).hexdigest()[:16]
