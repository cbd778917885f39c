"""Read spreadsheets: XLSX and XLS with calamine, which is native code, and ODS with a reader of our own.

Of ODS files, calamine leaves out errors and untyped cells, and joins words at line breaks within cells.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice, repeat

from python_calamine import (
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from shared.documents.readers import opendocument_sheets
from shared.documents.readers.cells import MOST_CELLS, SPREAD, column, shown
from shared.documents.readers.hidden_cells import Hidden
from shared.documents.readers.old_workbook import OldWorkbook
from shared.documents.readers.package import Package
from shared.documents.readers.part import Part
from shared.documents.readers.tables import row
from shared.documents.readers.workbook import Workbook, hidden_in, left_out_of
from shared.errors import DocumentRefused

_DECLARATIONS = 4096  # bytes at the start of an XML member
_DAMAGED = "the file is damaged: open it and save it again as xlsx"
_FILLED = re.compile(rb"<(?:\w+:)?c\s(?:[^>]*?\s)?r\s*=\s*[\"']([A-Za-z]+)(\d+)[^>]*(?<!/)>")


def read(data: bytes, package: Package | None) -> Iterator[Part]:
    """Yield the rows of each sheet that people see, then its text boxes and comments.

    `package`: the same file, None for XLS. Raises DocumentRefused.
    """
    with _refused():
        if package is not None:
            check(package)
        if package is not None and "content.xml" in package.names:
            yield from opendocument_sheets.read(package)
        else:
            workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
            yield from _sheets(workbook, OldWorkbook(data) if package is None else Workbook(package))


def check(package: Package) -> None:
    """Refuse entities, binary workbooks, and cells so far apart that no memory holds all between them."""
    if any(name.lower().endswith("workbook.bin") for name in package.names):
        raise DocumentRefused("the file is a binary workbook (xlsb): save it as xlsx")
    area = 0
    for name in package.names:
        if not name.lower().endswith((".xml", ".rels")):
            continue
        content = package.read(name) or b""
        start = content[:_DECLARATIONS]
        if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
            raise DocumentRefused(
                "the file declares XML entities, which no office program writes: save it again"
            )
        area += _area(content)
        if area > MOST_CELLS:
            raise DocumentRefused(SPREAD)


def _area(content: bytes) -> int:
    """Return the number of cells from A1 to the last row and column that hold something."""
    columns, last = set[bytes](), 0
    for found in _FILLED.finditer(content):
        columns.add(found[1][:4])
        last = max(last, int(found[2][:8]))
    return last * max((column(letters.decode()) for letters in columns), default=0)


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except DocumentRefused:
        raise
    except PasswordError:
        raise DocumentRefused("the file is protected by a password: save it without one") from None
    except MemoryError:
        raise DocumentRefused(SPREAD) from None
    except BaseException as error:  # a panic of calamine is no Exception
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise DocumentRefused(_DAMAGED) from None
        raise


def _sheets(workbook: CalamineWorkbook, extras: Workbook | OldWorkbook) -> Iterator[Part]:
    for index, sheet in enumerate(workbook.sheets_metadata):
        if sheet.visible != SheetVisibleEnum.Visible or sheet.typ != SheetTypeEnum.WorkSheet:
            continue
        found = workbook.get_sheet_by_name(sheet.name)
        if isinstance(extras, OldWorkbook):
            hidden = extras.hidden(index)
            yield from _rows(found, hidden, {})
        else:
            content = extras.content(sheet.name)
            hidden = hidden_in(content)
            yield from _rows(found, hidden, left_out_of(content))
            for number, text in extras.beside(sheet.name, hidden):
                yield Part(text, sheet=sheet.name, row=number)
        if note := hidden.note():
            yield Part(note, sheet=sheet.name)


def _rows(sheet: CalamineSheet, hidden: Hidden, left_out: Mapping[int, Mapping[int, str]]) -> Iterator[Part]:
    """Yield the rows that hold something. `left_out`: by row and column, what calamine gives as empty."""
    start, (last, _) = (sheet.start, sheet.end) if sheet.start and sheet.end else (None, (-1, 0))
    before = start[1] if start else 0  # columns that calamine skips
    rows = chain(sheet.iter_rows() if start else (), repeat([]))
    for number, values in enumerate(islice(rows, max([last + 1, *left_out])), 1):
        cells = [""] * before + [shown(value) for value in values]
        for at, text in left_out.get(number, {}).items():
            cells += [""] * (at - len(cells))
            cells[at - 1] = cells[at - 1] or text
        line = row(hidden.visible(cells, number))
        if line:
            yield Part(line, sheet=sheet.name, row=number)
