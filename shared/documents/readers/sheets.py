"""Read spreadsheets: XLSX and XLS with calamine, which is native code, and ODS with a reader of our own.

Of ODS files, calamine leaves out errors and untyped cells, and joins words at line breaks within cells.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice, repeat
from typing import TypeAlias, TypeVar

from python_calamine import (
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from shared.documents.readers import opendocument_sheets
from shared.documents.readers.cells import MOST_CELLS, SPREAD, Cell, Value, cell, column, shown
from shared.documents.readers.hidden_cells import Hidden
from shared.documents.readers.old_workbook import OldWorkbook
from shared.documents.readers.package import Package
from shared.documents.readers.part import Part
from shared.documents.readers.tables import row
from shared.documents.readers.workbook import Workbook, hidden_in, left_out_of
from shared.errors import DocumentRefused

C = TypeVar("C", str, Cell)
_LeftOut: TypeAlias = Mapping[int, Mapping[int, str]]

_DECLARATIONS = 4096  # bytes at the start of an XML member
_DAMAGED = "the file is damaged: open it and save it again as xlsx"
_FILLED = re.compile(rb"<(?:\w+:)?c\s(?:[^>]*?\s)??r\s*=\s*[\"']([A-Za-z]+)(\d+)[^>]*(?<!/)>")


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


def rows(data: bytes, package: Package | None) -> Iterator[tuple[int, list[Cell]]]:
    """Yield number and cells of each row that people see and that holds something: of the first such sheet.

    Hidden columns are in it. `package`: as for `read`. Raises DocumentRefused.
    """
    with _refused():
        if package is not None:
            check(package)
        if package is not None and "content.xml" in package.names:
            yield from opendocument_sheets.rows(package)
            return
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        extras = OldWorkbook(data) if package is None else Workbook(package)
        del package
        for index, name in _seen(workbook):
            found, (hidden, left_out) = workbook.get_sheet_by_name(name), _beside(extras, index, name)
            at = 0
            for number, cells in _rows(found, left_out, cell):
                if number not in hidden.rows and cells.count("") < len(cells):
                    at = number
                    yield number, cells
            if at:
                return


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
        letters, digits = found.group(1, 2)
        columns.add(letters[:4])
        number = int(digits[:8])
        if number > last:
            last = number
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
    for index, name in _seen(workbook):
        found, (hidden, left_out) = workbook.get_sheet_by_name(name), _beside(extras, index, name)
        for number, cells in _rows(found, left_out, shown):
            line = row(hidden.visible(cells, number))
            if line:
                yield Part(line, sheet=name, row=number)
        if isinstance(extras, Workbook):
            for at, text in extras.beside(name, hidden):
                yield Part(text, sheet=name, row=at)
        if note := hidden.note():
            yield Part(note, sheet=name)


def _seen(workbook: CalamineWorkbook) -> Iterator[tuple[int, str]]:
    """Yield number, from 0, and name of the sheets that people see."""
    for index, sheet in enumerate(workbook.sheets_metadata):
        if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet:
            yield index, sheet.name


def _beside(extras: Workbook | OldWorkbook, index: int, name: str) -> tuple[Hidden, _LeftOut]:
    """Return what is hidden of a sheet; and by row and column, what calamine gives as empty."""
    if isinstance(extras, OldWorkbook):
        return extras.hidden(index), {}
    content = extras.content(name)
    return hidden_in(content), left_out_of(content)


def _rows(
    sheet: CalamineSheet, left_out: _LeftOut, written: Callable[[Value], C]
) -> Iterator[tuple[int, list[C]]]:
    """Yield the number of each row, from 1, and its cells as they are written."""
    start, (last, _) = (sheet.start, sheet.end) if sheet.start and sheet.end else (None, (-1, 0))
    before = start[1] if start else 0  # columns that calamine skips
    values = chain(sheet.iter_rows() if start else (), repeat([]))
    for number, found in enumerate(islice(values, max([last + 1, *left_out])), 1):
        cells = list[C]()
        cells += [""] * before
        cells += map(written, found)
        for at, text in left_out.get(number, {}).items():
            cells += [""] * (at - len(cells))
            cells[at - 1] = cells[at - 1] or text
        yield number, cells
