"""Recognise files of records by their content, as names prove nothing, and choose their converter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Protocol

from shared.documents.readers.formats import Format, format_of
from shared.documents.records.batch_lines import BatchRecords
from shared.documents.records.csv_rows import CsvRecords
from shared.documents.records.decoding import start_of
from shared.documents.records.jsonl_rows import JsonlRecords
from shared.documents.records.layout import Layout
from shared.documents.records.record import Record
from shared.documents.records.sheet_rows import SheetRecords
from shared.documents.records.strict_json import parse
from shared.errors import DocumentRefused
from shared.model import RecordForm, Task

HEAD = 64 * 1024
"""Bytes at a file's start that show its form."""
_LINES = 50  # that are looked at
_OF_BATCH = ("custom_id", "method", "url", "body")
_REMEDY = "the task of this deployment asks row by row (task.records): upload CSV, JSONL, XLSX, XLS or ODS"
_ONE_VALUE = "the file is one JSON value over several lines: write each row as an object on a line of its own"
_TEXT_OF_OFFICE = (b"word/", b"ppt/", b"opendocument.text", b"opendocument.presentation")
_SHEETS = (b"[Content_Types].xml", b"xl/", b"opendocument.spreadsheet")
_OLD_TEXT = tuple(
    name.encode("utf-16-le") for name in ("__properties_version1.0", "WordDocument", "PowerPoint")
)
_BINARY = re.compile("[\x01-\x08\x0e-\x19\x1c-\x1f]")
_BODY_FIRST = re.compile(r'\{\s*"body"\s*:\s*\{')  # of a request with sorted names, which may be long
_HINT = re.compile(rb'custom_id|\A.{0,3}\{\s*"body"\s*:', re.DOTALL)
_LIST = re.compile(r"\[\s*\{")


class Converter(Protocol):
    """Turn a file into records, piece by piece and in order. Give it all pieces, then call `finish`.

    Exhaust each iterator before the next call. Both raise DocumentRefused, with a reason for the file's
    owner, for what is wrong with the whole file.
    """

    @property
    def layout(self) -> Layout:
        """Return how the results are written. Known after `finish`."""

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records that end in the next piece of the file."""

    def finish(self) -> Iterator[Record]:
        """Yield what is left at the end of the file."""


def form_of(head: bytes, task: Task) -> RecordForm | None:
    """Return how a file is asked; None: as one document. `head`: its first 64 KB.

    Raises DocumentRefused for a format that is not asked row by row, if the task is.
    """
    if task.records is None and not _HINT.search(head.replace(b"\0", b"")):
        return None  # decoding may take a second
    kind = format_of(head)
    lines = _lines(head) if kind is None else []
    if _is_jsonl(lines) and any(map(_is_request, lines)):
        return RecordForm.BATCH
    if task.records is None:
        return None
    if not head:
        raise DocumentRefused("the file is empty")
    if kind is None:
        _refuse_other_text(head, lines)
    elif not _is_sheet(head, kind):
        raise DocumentRefused(_REMEDY)
    return RecordForm.ROWS


def records_from(head: bytes, form: RecordForm, task: Task, deployment: str) -> Converter:
    """Return the converter of a text file. `head`: its first 64 KB, which are in the first piece as well."""
    if form is RecordForm.BATCH:
        return BatchRecords(head, deployment)
    assert task.records is not None
    if _is_jsonl(_lines(head)):
        return JsonlRecords(head, task.records)
    return CsvRecords(head, task.records)


def sheet_records(task: Task) -> Converter:
    """Return the converter of what `Sandbox.rows` yields."""
    assert task.records is not None
    return SheetRecords(task.records)


def _lines(head: bytes) -> list[str]:
    lines = start_of(head).split("\n", _LINES)[:_LINES]
    return [line.strip() for line in lines if line.strip()]


def _is_jsonl(lines: list[str]) -> bool:
    """Return whether most lines are objects: some may be bad, also the first."""
    objects = sum(line.startswith("{") and line != "{" for line in lines)
    return objects > 0 and 2 * objects >= len(lines)


def _is_request(line: str) -> bool:
    """Return whether a line is a request of a Batch file; a long one is cut here at its end."""
    if not line.startswith("{"):
        return False
    found: Any = None
    try:
        found = parse(line)
    except ValueError:
        return all(f'"{name}"' in line for name in _OF_BATCH) or _BODY_FIRST.match(line) is not None
    return isinstance(found, dict) and found.keys() >= set(_OF_BATCH)


def _is_sheet(head: bytes, kind: Format) -> bool:
    """Return whether it may be a spreadsheet. Its end, which names all of it, is not read here."""
    if kind is Format.COMPOUND:
        return not any(name in head for name in _OLD_TEXT)
    if kind is not Format.PACKAGE or any(name in head for name in _TEXT_OF_OFFICE):
        return False
    return any(name in head for name in _SHEETS)


def _refuse_other_text(head: bytes, lines: list[str]) -> None:
    start = "".join(lines[:1])
    if start == "{" or _LIST.match("\n".join(lines[:2])) or lines[:1] == ["["]:
        raise DocumentRefused(_ONE_VALUE)
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b")) or _BINARY.search(start):
        raise DocumentRefused(_REMEDY)
