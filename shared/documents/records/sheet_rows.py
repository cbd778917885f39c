"""Make records of the rows of a spreadsheet, as the reader's child streams them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from shared.documents.readers.cells import shown
from shared.documents.records.layout import Layout, RecordFormat
from shared.documents.records.record import Record
from shared.documents.records.rows import Rows, column_names, refuse_without
from shared.errors import DocumentRefused
from shared.model import RecordForm, Records

_FAILED = "the program that reads spreadsheets failed on it: open it and save it again, or save it as CSV"
_CELLS = {str, int, float, bool, type(None)}


class SheetRecords:
    """Convert the lines of `Sandbox.rows`, which are untrusted."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._rows = Rows(records, shown)
        self._rest = b""
        self._names: tuple[str, ...] = ()

    @property
    def layout(self) -> Layout:
        """Return how the results are written."""
        columns = self._records.shown or self._names
        return Layout(RecordForm.ROWS, RecordFormat.SHEET, columns)

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records of the lines that end in the next piece. Raises DocumentRefused."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            number, *cells = _parsed(line)
            if not self._names:
                self._names = column_names([shown(cell) if cell is not None else "" for cell in cells])
                refuse_without(self._names, self._records)
                continue
            cells += [""] * (len(self._names) - len(cells))
            yield self._rows.record(number, dict(zip(self._names, cells, strict=False)))

    def finish(self) -> Iterator[Record]:
        """Raise DocumentRefused if there was no row."""
        if self._rest:
            raise DocumentRefused(_FAILED)
        self._rows.end()
        yield from ()


def _parsed(line: bytes) -> list[Any]:
    try:
        found = orjson.loads(line)
    except ValueError:
        raise DocumentRefused(_FAILED) from None
    if isinstance(found, dict):
        raise DocumentRefused(str(found.get("refused", _FAILED)))
    if (
        not isinstance(found, list)
        or not found
        or type(found[0]) is not int
        or not set(map(type, found)) <= _CELLS
    ):
        raise DocumentRefused(_FAILED)
    return found
