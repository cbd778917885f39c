"""Read the rows of a JSONL file: one object a line, whose fields are the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from shared.documents.records.json_lines import JsonLines
from shared.documents.records.layout import Layout, RecordFormat
from shared.documents.records.record import Problem, Record
from shared.documents.records.rows import Rows
from shared.errors import DocumentRefused
from shared.model import RecordForm, Records


class JsonlRecords:
    """Convert a file. `head`: its first bytes."""

    layout = Layout(RecordForm.ROWS, RecordFormat.JSONL)

    def __init__(self, head: bytes, records: Records) -> None:
        self._lines = JsonLines(head)
        self._rows = Rows(records, _text)
        self._missing = set(records.columns)  # from every line so far

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records of the lines that end in the next piece. Raises DocumentRefused."""
        yield from map(self._record, self._lines.feed(data))

    def finish(self) -> Iterator[Record]:
        """Yield the record of the last line. Raises DocumentRefused."""
        yield from map(self._record, self._lines.feed(b"", final=True))
        self._rows.end()
        for name in sorted(self._missing):
            raise DocumentRefused(
                f"no line has the field {name!r}, which task.records names: add it, or correct task.records"
            )

    def _record(self, line: tuple[int, dict[str, Any] | Problem]) -> Record:
        number, found = line
        if isinstance(found, Problem):
            return self._rows.record(number, {}, found)
        if self._missing:
            self._missing -= found.keys()
        return self._rows.record(number, found)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
