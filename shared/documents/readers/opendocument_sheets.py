"""Read OpenDocument spreadsheets (ODS). A row or a cell may stand for many that are equal."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from lxml import etree

from shared.documents.readers.cells import MOST_CELLS, SPREAD, Cell, Value, shown
from shared.documents.readers.elements import local, number, value
from shared.documents.readers.hidden_cells import MOST_COLUMNS, Hidden
from shared.documents.readers.package import Package
from shared.documents.readers.part import Part
from shared.documents.readers.tables import row
from shared.errors import DocumentRefused

_DURATION = re.compile(r"PT(\d{1,6})H(\d{1,2})M(\d{1,2})")
_NAMESPACE = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
_TABLE, _OFFICE, _TEXT = _NAMESPACE % "table", _NAMESPACE % "office", _NAMESPACE % "text"
_READ = (
    f"{_TABLE}table",
    f"{_TABLE}table-column",
    f"{_TABLE}table-row",
    f"{_TABLE}shapes",
    f"{_NAMESPACE % 'style'}style",
)
_CELLS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_REPEATED = f"{_TABLE}number-columns-repeated"
_TYPE, _VALUE = f"{_OFFICE}value-type", f"{_OFFICE}value"
_PARAGRAPH, _ANNOTATION = f"{_TEXT}p", f"{_OFFICE}annotation"
_HIDDEN = ("collapse", "filter")
_ERRORS = ("#", "Err:")
_SPACES = (f"{_TEXT}s", f"{_TEXT}tab", f"{_TEXT}line-break")


def read(package: Package) -> Iterator[Part]:
    """Yield the rows of each table that people see, then its text boxes and comments.

    Raises DocumentRefused, and XMLSyntaxError if the file is damaged.
    """
    yield from _Reader().read(_content(package))


def rows(package: Package) -> Iterator[tuple[int, list[Cell]]]:
    """Yield number and cells, all as texts, of the rows of the first table that has any that people see.

    Hidden columns are in it. Raises as `read` does.
    """
    sheet: str | None = None
    for part in _RowReader().read(_content(package)):
        if part.row is None:  # a note
            continue
        if sheet is not None and part.sheet != sheet:
            return
        sheet = part.sheet
        yield part.row, json.loads(part.text)


def _content(package: Package) -> bytes:
    if b"encryption-data" in (package.read("META-INF/manifest.xml") or b""):
        raise DocumentRefused("the file is protected by a password: save it without one")
    return package.read("content.xml") or b""


@dataclass
class _Reader:
    """The state of reading: the table, its next row, and what follows its rows."""

    hidden: set[str] = field(default_factory=set)  # styles
    sheet: str = ""
    seen: bool = True
    row: int = 1
    cells: int = 0
    columns: int = 0  # that were declared
    unseen: Hidden = field(default_factory=Hidden)
    beside: list[Part] = field(default_factory=list)

    def read(self, content: bytes) -> Iterator[Part]:
        events = etree.iterparse(
            io.BytesIO(content),
            events=("start", "end"),
            tag=_READ,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
        )
        for event, element in events:
            name = local(element)
            if event == "start" and name == "table":
                self._begin(element)
            elif event == "end":
                yield from self._end(element, name)

    def _begin(self, table: etree._Element) -> None:
        self.sheet, self.row, self.columns, self.unseen = value(table, "name"), 1, 0, Hidden()
        self.seen = value(table, "style-name") not in self.hidden

    def _end(self, element: etree._Element, name: str) -> Iterator[Part]:
        if name == "style":
            if any(value(child, "display") == "false" for child in element.iter("{*}table-properties")):
                self.hidden.add(value(element, "name"))
            return
        if name == "table":
            yield from self.beside
            note = self.unseen.note()
            yield from [Part(note, sheet=self.sheet)] if note else []
            self.beside = []
        elif name == "table-column":
            self._column(element)
        elif name == "table-row":
            yield from self._rows(element)
        elif self.seen:
            for shape in element:
                self._note(shape, None)
        _forget(element)

    def _column(self, element: etree._Element) -> None:
        begin = self.columns + 1
        self.columns = min(self.columns + number(element, "number-columns-repeated", 1), MOST_COLUMNS)
        if value(element, "visibility") in _HIDDEN:
            self.unseen.columns.update(range(begin, self.columns + 1))

    def _rows(self, element: etree._Element) -> Iterator[Part]:
        times = number(element, "number-rows-repeated", 1)
        if value(element, "visibility") in _HIDDEN:
            self.unseen.rows = {self.row}
        cells = list(self._cells(element)) if self.seen else []
        if cells:
            self.cells += len(cells) * times
            if self.cells > MOST_CELLS:
                raise DocumentRefused(SPREAD)
            line = self._line(cells, times)
            for at in range(self.row, self.row + times) if line else ():
                yield Part(line, sheet=self.sheet, row=at)
        self.row += times

    def _line(self, cells: list[str], times: int) -> str:
        """Return the row as a part's text; empty to leave it out."""
        return row(self.unseen.visible(cells, self.row, times))

    def _cells(self, element: etree._Element) -> Iterator[str]:
        empty, at = 0, 1
        for cell in element:
            if cell.tag not in _CELLS:
                continue
            times = number(cell, "number-columns-repeated", 1) if _REPEATED in cell.attrib else 1
            texts = []
            for child in cell:
                if child.tag == _PARAGRAPH:
                    texts.append(_paragraph(child) if len(child) else child.text or "")
                elif self.unseen.shows(self.row, at):
                    self._note(child, self.row)
            at += times
            text = _shown(cell, " ".join(texts))
            if not text:
                empty += times
            elif self.cells + empty + times > MOST_CELLS:
                raise DocumentRefused(SPREAD)
            else:
                yield from [""] * empty + [text] * times
                empty = 0

    def _note(self, element: etree._Element, at: int | None) -> None:
        """Keep a comment or text box for the table's end."""
        text = "\n".join(filter(None, (_paragraph(part).strip() for part in element.iter(_PARAGRAPH))))
        if text and element.tag == _ANNOTATION:
            author = element.findtext("{*}creator")
            text = f"Comment by {author}: {text}" if author else f"Comment: {text}"
        if text:
            self.beside.append(Part(text, sheet=self.sheet, row=at))


class _RowReader(_Reader):
    """Read rows alone, each as a list in JSON."""

    def _line(self, cells: list[str], times: int) -> str:
        return "" if self.row in self.unseen.rows else json.dumps(cells)

    def _note(self, element: etree._Element, at: int | None) -> None:
        pass


def _shown(cell: etree._Element, text: str) -> str:
    """Return the text, but of dates and numbers not in the way of the language that the cell was set to."""
    kind = cell.get(_TYPE, "string")
    if kind != "string" and not text.startswith(_ERRORS):
        with suppress(ValueError):
            found = _value(cell, kind)
            return text if found is None else shown(found)
    return text


def _value(cell: etree._Element, kind: str) -> Value | None:
    """Return the value. None: the text says more, such as the unit of an amount."""
    match kind:
        case "float":
            return float(cell.get(_VALUE, ""))
        case "boolean":
            return cell.get(f"{_OFFICE}boolean-value") == "true"
        case "date":
            moment = cell.get(f"{_OFFICE}date-value", "")
            return datetime.fromisoformat(moment) if "T" in moment else date.fromisoformat(moment)
        case "time":
            found = _DURATION.match(cell.get(f"{_OFFICE}time-value", ""))
            hours, minutes, seconds = map(int, found.groups()) if found else (0, 0, 0)
            return timedelta(hours=hours, minutes=minutes, seconds=seconds) if found else None
        case _:
            return None


def _paragraph(element: etree._Element) -> str:
    pieces = [element.text or ""]
    for child in element:
        if child.tag != _ANNOTATION:
            pieces.append(" " if child.tag in _SPACES else _paragraph(child))
        pieces.append(child.tail or "")
    return "".join(pieces)


def _forget(element: etree._Element) -> None:
    """Free what was read: a table may be larger than memory."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
