"""Write the results of a CSV file as CSV: its columns, those of the answers, and what is wrong.

It is for spreadsheets, so cells are harmless there, and cut where they would overflow; the JSONL has all.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from shared.documents.records.answer_columns import AnswerColumns
from shared.documents.records.layout import Layout
from shared.documents.records.record import Outcome, Record, Scalar
from shared.documents.result_tables import harmless
from shared.model import Task

_SUSPECT = re.compile(r'[\x1f,;\t\r\n](?:\s|")*[=+\-@＝＋－＠]')
_ALWAYS = ("\x1f\t", "\x1f\r", "\0")
_LONGEST = 32_000  # characters of a row without a cell that is cut
_AFTER_COMMA = re.compile(r'(,(?:\s|")*)(?=[=+\-@＝＋－＠])(?![+-]?[0-9.]+\s*(?:[,;\t\r\n]|\Z))')


class CsvResult:
    """Write a file in UTF-8 with a byte order mark, and with the delimiter that the source has."""

    end = ".csv"
    content_type = "text/csv"

    def __init__(self, layout: Layout, task: Task) -> None:
        self._columns = layout.columns
        self._answers = AnswerColumns(task, layout.columns)
        self._commas_divide = layout.delimiter != ","
        self._row = csv.writer(_Lines(), delimiter=layout.delimiter).writerow

    def head(self) -> bytes:
        """Return the header."""
        return self._line([*self._columns, *self._answers.names]).encode("utf-8-sig", "replace")

    def add(self, record: Record, outcome: Outcome) -> bytes:
        """Return the row."""
        kept = record.kept
        cells = [*map(kept.get, self._columns), *self._answers.cells(outcome)]
        return self._line(cells).encode("utf-8", "replace")

    def finish(self) -> Iterator[bytes]:
        """Yield nothing."""
        yield from ()

    def _line(self, cells: list[Scalar]) -> str:
        texts = list(map(_text, cells))
        whole = "\x1f" + "\x1f".join(texts)
        if len(whole) > _LONGEST or _SUSPECT.search(whole) or any(each in whole for each in _ALWAYS):
            texts = list(map(self._harmless, texts))  # most rows are harmless as they are
        return str(self._row(texts))

    def _harmless(self, cell: str) -> str:
        cell = harmless(cell).replace("\0", "\ufffd")
        if self._commas_divide:  # where the semicolon is none, a spreadsheet divides the line at commas
            cell = _AFTER_COMMA.sub(r"\1'", cell)
        return cell


def _text(value: Scalar) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else repr(value)


class _Lines:
    """Give the writer's lines back."""

    def write(self, line: str) -> str:
        return line
