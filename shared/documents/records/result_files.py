"""Choose the files that hold the results of a record file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from shared.documents.records.batch_result import BatchResult
from shared.documents.records.csv_result import CsvResult
from shared.documents.records.jsonl_result import JsonlResult
from shared.documents.records.layout import Layout, RecordFormat
from shared.documents.records.record import Outcome, Record
from shared.documents.records.xlsx_result import XlsxResult
from shared.model import RecordForm, Task


class ResultFile(Protocol):
    """Write a file piece by piece: its head, then every record in input order, then its end.

    `end`: of the blob's name, such as ".csv".
    """

    @property
    def end(self) -> str: ...
    @property
    def content_type(self) -> str: ...

    def head(self) -> bytes:
        """Return what comes before the first record."""

    def add(self, record: Record, outcome: Outcome) -> bytes:
        """Return what the record adds; empty if nothing is ready, or the record does not belong here."""

    def finish(self) -> Iterator[bytes]:
        """Yield the rest of the file."""


def writers_for(layout: Layout, task: Task) -> list[ResultFile]:
    """Return new writers of all files that a record file gets."""
    if layout.form is RecordForm.BATCH:
        return [BatchResult(errors=False), BatchResult(errors=True)]
    match layout.format:
        case RecordFormat.CSV:
            return [JsonlResult(), CsvResult(layout, task)]
        case RecordFormat.SHEET:
            return [JsonlResult(), XlsxResult(layout, task)]
        case RecordFormat.JSONL:
            return [JsonlResult()]
