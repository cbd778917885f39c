"""Read the rows of a CSV file (RFC 4180) piece by piece.

Note [Quotes that do not end]. A quote may open a cell that goes on for lines. If no quote ends it, or what
follows is not a delimiter, then the line where the row begins is one bad row, and the next line is read as
if it began another: one wrong quote does not swallow the rows after it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice

from shared.documents.records.decoding import Decoder, start_of
from shared.documents.records.layout import Layout, RecordFormat
from shared.documents.records.record import Problem, Record
from shared.documents.records.rows import MOST_TEXT, TOO_LARGE, Rows, column_names, refuse_without
from shared.errors import DocumentRefused
from shared.model import RecordForm, Records

DELIMITERS = (",", ";", "\t", "|")
_LONGEST = 12_000_000  # characters of a row that are held until its end is found
_MOST_AGAIN = 100_000_000  # characters that are read another time because of bad quotes
_QUOTES = (
    "its quotes are not those of CSV: put a quote before and after a cell, and write each quote in it twice"
)
_BAD_QUOTES = Problem("invalid_quoting", _QUOTES)


class CsvRecords:
    """Convert a file. `head`: its first bytes."""

    def __init__(self, head: bytes, records: Records) -> None:
        csv.field_size_limit(_LONGEST)  # of the process, which has no other use of it
        self._records = records
        self._decoder = Decoder(head)
        self._rows = Rows(records, str)
        self._delimiter = _delimiter(start_of(head), records)
        self._lines = _Lines()
        self._reader = csv.reader(self._lines, delimiter=self._delimiter, strict=True)
        self._rest = ""  # the last line as far as it came
        self._place = 0
        self._again = 0
        self._names: tuple[str, ...] = ()

    @property
    def layout(self) -> Layout:
        """Return how the results are written."""
        columns = self._records.shown or self._names
        return Layout(RecordForm.ROWS, RecordFormat.CSV, columns, self._delimiter)

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records of the rows that end in the next piece. Raises DocumentRefused."""
        yield from self._read(self._decoder.text(data), final=False)

    def finish(self) -> Iterator[Record]:
        """Yield the records of the rows that are left. Raises DocumentRefused."""
        yield from self._read(self._decoder.text(b"", final=True), final=True)
        if not self._names:
            raise DocumentRefused("the file is empty: write the columns' names into its first row")
        self._rows.end()

    def _read(self, text: str, final: bool) -> Iterator[Record]:
        lines = list(io.StringIO(self._rest + text, newline=""))
        self._rest = ""
        if lines and not final and not lines[-1].endswith("\n"):  # a carriage return may be half a line's end
            self._rest = lines.pop()[: _LONGEST + 1]
        self._lines.begin(lines, final)
        while (cells := self._next()) is not None:
            self._place += 1
            if isinstance(cells, Problem) and not self._names:
                raise DocumentRefused(f"the first row cannot be read: {_QUOTES}")
            if isinstance(cells, Problem):
                yield self._rows.record(self._place, {}, cells)
            elif cells and not self._names:
                self._names = column_names(cells)
                refuse_without(self._names, self._records)
            elif cells:
                yield self._record(cells)

    def _next(self) -> list[str] | Problem | None:
        """Return the cells of the next row, what is wrong with it, or None if more is needed."""
        try:
            cells = next(self._reader)
            self._lines.forget()
            return cells
        except _More:
            if self._lines.size <= _LONGEST:
                return None
        except StopIteration:
            return None
        except csv.Error:
            pass
        self._again += self._lines.size
        if self._again > _MOST_AGAIN:
            raise DocumentRefused(f"too many rows cannot be read: {_QUOTES}")
        return TOO_LARGE if len(self._lines.first_only()) > MOST_TEXT else _BAD_QUOTES

    def _record(self, cells: list[str]) -> Record:
        count, problem = len(self._names), None
        if len(cells) != count and (len(cells) < count or any(islice(cells, count, None))):
            problem = Problem(
                "invalid_row",
                f"it has {len(cells):,} cells, and the first row {count:,}: add or remove cells, or put "
                "quotes around those with a delimiter or line break in them",
            )
        return self._rows.record(self._place, dict(zip(self._names, cells, strict=False)), problem)


class _More(Exception):
    """The row goes on in the next piece."""


class _Lines:
    """The lines of a file for the reader, from the first one of the row that it reads."""

    def __init__(self) -> None:
        self._lines = list[str]()
        self._begin, self._at = 0, 0
        self._final = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        at = self._at
        if at < len(self._lines):
            self._at = at + 1
            return self._lines[at]
        if self._final:
            raise StopIteration
        raise _More

    def begin(self, lines: list[str], final: bool) -> None:
        """Add the lines of the next piece, and read the row that goes on there from its first line."""
        self._lines = self._lines[self._begin :] + lines
        self._begin, self._at, self._final = 0, 0, final

    @property
    def size(self) -> int:
        """Return the characters of the row as far as it was read."""
        return sum(len(line) for line in islice(self._lines, self._begin, self._at))

    def forget(self) -> None:
        """Note that the row has ended."""
        self._begin = self._at

    def first_only(self) -> str:
        """Return the row's first line; the next row begins after it."""
        self._begin = self._at = self._begin + 1
        return self._lines[self._begin - 1]


def _delimiter(start: str, records: Records) -> str:
    """Return the delimiter by which the first row has the most columns that the task names; then the most."""
    best, most = DELIMITERS[0], (-1, 0)
    for each in DELIMITERS:
        reader = csv.reader(io.StringIO(start, newline=""), delimiter=each)
        names = column_names(next(filter(None, reader), []))
        found = len(set(records.columns) & set(names)), len(names)
        if found > most:
            best, most = each, found
    return best
