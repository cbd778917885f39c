"""Read one file in the reader's child: choose the reader by content, and read files inside of files.

Only the child imports this module, as it loads native parsers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

from shared.documents.read import read_text
from shared.documents.readers import mailbox, opendocument, outlook, pdf, rtf, sheets, slides, web, word
from shared.documents.readers.cells import Cell
from shared.documents.readers.compound import CompoundFile
from shared.documents.readers.formats import Format, format_of
from shared.documents.readers.package import Package
from shared.documents.readers.part import MOST_TEXT, Part, ReadInside
from shared.errors import DocumentRefused

_DEPTH = 5  # files inside of files
_MEMORY = 22_000_000  # bytes in the app's memory of all parts
_OF_A_PART = 120  # bytes in memory beside its text
_AS_OFFICE = "save it as docx, xlsx, pptx or PDF"
_PROTECTED = "the file is protected by a password: save it without one"
_MAIN = re.compile(r"application/vnd\.(?:openxmlformats-officedocument|ms-\w+)\.[\w.]*\bmain\b")
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
_OLD_SHEETS = {"workbook", "book"}


def read(data: bytes) -> list[Part]:
    """Return the parts of a file. Raises DocumentRefused with a reason for the file's owner."""
    parts, size, memory, above = list[Part](), 0, 0, Part("").above
    for part in _parts(data, 0):
        size += len(part.text.encode(errors="replace"))
        if part.above != above:  # it takes memory once, for all parts that follow each other below it
            above = part.above
            size += sum(len(name) for name in (*part.heading, part.sheet, *part.inside))
        memory += sys.getsizeof(part.text) + _OF_A_PART
        if size > MOST_TEXT:
            raise DocumentRefused(f"its text has more than {MOST_TEXT:,} bytes: split it")
        if memory > _MEMORY:
            raise DocumentRefused("its text takes more memory than the app has for one document: split it")
        parts.append(part)
    if not parts:
        raise DocumentRefused("the file holds no text: run text recognition (OCR) on it, or upload its text")
    return parts


def rows(data: bytes) -> Iterator[tuple[int, list[Cell]]]:
    """Yield number and cells of each row of the first sheet that has any. Raises DocumentRefused."""
    match format_of(data):
        case Format.PACKAGE if _is_sheet(package := Package(data)):
            return sheets.rows(data, package)
        case Format.COMPOUND if CompoundFile(data).names & _OLD_SHEETS:
            return sheets.rows(data, None)
    raise DocumentRefused("the file is no spreadsheet: save it as xlsx, or its rows as CSV")


def _parts(data: bytes, depth: int) -> Iterable[Part]:
    """Choose the reader. `depth`: how many files this file is inside of."""

    def read_inside(inner: bytes, name: str) -> Iterator[Part]:
        return _parts_inside(inner, name, depth + 1)

    match format_of(data):
        case None:
            return [Part(read_text(data).strip())]
        case Format.PDF:
            return pdf.read(data)
        case Format.PACKAGE:
            return _of_package(data, read_inside)
        case Format.COMPOUND:
            return _of_compound(data, read_inside)
        case Format.RTF:
            return rtf.read(data)
        case Format.WEB:
            return web.read(data)
        case Format.MAIL:
            return mailbox.read(data, read_inside)


def _parts_inside(data: bytes, name: str, depth: int) -> Iterator[Part]:
    """Yield the parts of an attachment; a part that says why if it has none. A body has no name."""
    try:
        if depth > _DEPTH:
            raise DocumentRefused("it is nested too deeply")
        yield from _parts(data, depth)
    except DocumentRefused as refusal:
        if name:
            yield Part(f"[The attachment {name} was not read: {refusal}]")


def _of_package(data: bytes, read_inside: ReadInside) -> Iterable[Part]:
    package = Package(data)
    kind, types, named = _kind(package)
    if kind.startswith("text"):
        return opendocument.read(package)
    if _is_sheet(package):
        return sheets.read(data, package)
    if "wordprocessingml" in named or "ms-word." in named:
        return word.read(package, read_inside)
    if "presentationml" in named or "ms-powerpoint." in named:
        return slides.read(package, read_inside)
    if kind or types or any(name.endswith(".iwa") for name in package.names):  # Pages, Numbers, Keynote
        raise DocumentRefused(f"the file's format is not known here: {_AS_OFFICE}")
    raise DocumentRefused("the file is a ZIP archive: unpack it and upload its files")


def _kind(package: Package) -> tuple[str, str, str]:
    """Return what it is as OpenDocument, the types of its members, and the type of the main one."""
    kind = (package.read("mimetype") or b"").decode("ascii", "replace").removeprefix(_OPEN_DOCUMENT)
    types = (package.read("[Content_Types].xml") or b"").decode("utf-8", "replace")
    main = _MAIN.search(types)  # a chart's workbook, and other files inside, have types too
    return kind, types, main[0] if main else types


def _is_sheet(package: Package) -> bool:
    kind, _, named = _kind(package)
    return kind.startswith("spreadsheet") or "spreadsheetml" in named or "ms-excel." in named


def _of_compound(data: bytes, read_inside: ReadInside) -> Iterable[Part]:
    names = CompoundFile(data).names
    if "__properties_version1.0" in names:
        return outlook.read(data, read_inside)
    if names & _OLD_SHEETS:
        return sheets.read(data, None)
    if "encryptedpackage" in names:
        raise DocumentRefused(_PROTECTED)
    raise DocumentRefused(f"the file has an old Office format: {_AS_OFFICE}")
