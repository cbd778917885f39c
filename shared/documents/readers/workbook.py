"""Find in the XML of an XLSX file what calamine leaves out.

That is errors, unknown results, text boxes, comments, and which rows and columns are hidden.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from lxml import etree

from shared.documents.readers.cells import column
from shared.documents.readers.drawing import paragraphs
from shared.documents.readers.elements import value
from shared.documents.readers.hidden_cells import MOST_COLUMNS, Hidden
from shared.documents.readers.package import Package

_NS = rb"(?:\w+:)?"
_FORMULA = rb"<%bf\b[^>]*?(?:/>|>([^<]*)</%bf>)" % (_NS, _NS)
_ERROR = re.compile(rb'<%bc\s([^>]*\bt="e"[^>]*)>(?:%b)?<%bv>([^<]+)</' % (_NS, _FORMULA, _NS))
_UNKNOWN = re.compile(  # a text's result may be empty; no other may
    rb'<%bc\s((?:(?!t="str")[^>])*)>%b(?:<%bv\s*/>|<%bv></%bv>)?</%bc>' % (_NS, _FORMULA, _NS, _NS, _NS, _NS)
)
_PLACE = re.compile(rb'\br="([A-Za-z]{1,3})(\d{1,7})"')
_CELL = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_SIZED = re.compile(rb"<(?:\w+:)?(row|col)\s([^<>]*)>")
_NUMBER = re.compile(rb'\b(r|min|max)="([0-9]{1,7})"')
_IS_HIDDEN = re.compile(rb'\bhidden="(?:1|true)"')
_THREAD = "tc="  # the author of a comment that only repeats a thread, for older programs


class Workbook:
    """What belongs to the sheets of a file, by their names. Methods raise DocumentRefused for damaged XML."""

    def __init__(self, package: Package) -> None:
        self._package = package
        targets = {identifier: target for _, identifier, target in self._related("xl/workbook.xml")}
        root = package.xml("xl/workbook.xml")
        sheets = () if root is None else root.iter("{*}sheet")
        self._sheets = {value(sheet, "name"): targets.get(value(sheet, "id"), "") for sheet in sheets}

    def content(self, sheet: str) -> bytes:
        """Return a sheet as it is stored."""
        return self._package.read(self._sheets.get(sheet, "")) or b""

    def beside(self, sheet: str, hidden: Hidden) -> Iterator[tuple[int | None, str]]:
        """Yield the row and text of text boxes, then of comments on cells that are not hidden."""
        parts = defaultdict[str, list[etree._Element]](list)
        for kind, _, target in self._related(self._sheets.get(sheet, "")):
            if kind in ("drawing", "comments", "threadedComment"):
                root = self._package.xml(target)
                parts[kind] += [] if root is None else [root]
        for drawing in parts["drawing"]:
            yield from _boxes(drawing)
        for comments in parts["comments"]:
            yield from _comments(comments, hidden)
        for thread in parts["threadedComment"]:
            yield from self._thread(thread, hidden)

    def _thread(self, root: etree._Element, hidden: Hidden) -> Iterator[tuple[int | None, str]]:
        people = dict[str, str]()
        for name in self._package.names:
            persons = self._package.xml(name) if name.startswith("xl/persons/") else None
            for person in () if persons is None else persons.iter("{*}person"):
                people[value(person, "id")] = value(person, "displayName")
        for comment in root.iter("{*}threadedComment"):
            author = people.get(value(comment, "personId"), "")
            yield from _comment(value(comment, "ref"), author, comment.findtext("{*}text") or "", hidden)

    def _related(self, name: str) -> list[tuple[str, str, str]]:
        """Return kind, identifier and member's name of what a member refers to."""
        folder, base = posixpath.split(name)
        root = self._package.xml(f"{folder}/_rels/{base}.rels")
        return [
            (
                value(relation, "Type").rpartition("/")[2],
                value(relation, "Id"),
                posixpath.normpath(posixpath.join("/", folder, value(relation, "Target"))).lstrip("/"),
            )
            for relation in (() if root is None else root.iter("{*}Relationship"))
        ]


def left_out_of(content: bytes) -> Mapping[int, Mapping[int, str]]:
    """Return errors, and formulas that no program has computed yet, by row and column from 1."""
    found = defaultdict[int, dict[int, str]](dict)
    for pattern, mark, sign in ((_ERROR, b't="e"', ""), (_UNKNOWN, b"f>", "=")):
        for cell in pattern.finditer(content) if mark in content else ():
            place, text = _PLACE.search(cell[1]), cell[cell.lastindex or 0]
            if place and text:
                at = column(place[1].decode())
                found[int(place[2])][at] = sign + html.unescape(text.decode("utf-8", "replace"))
    return found


def hidden_in(content: bytes) -> Hidden:
    """Return the rows and columns that are hidden: by hand, in a collapsed group, or by a filter."""
    hidden, at = Hidden(), 0
    for kind, attributes in _SIZED.findall(content) if b"hidden=" in content else ():
        found = dict(_NUMBER.findall(attributes))
        is_hidden = _IS_HIDDEN.search(attributes) is not None
        if kind == b"row":
            at = int(found.get(b"r", at + 1))
            hidden.rows |= {at} if is_hidden else set()
        elif is_hidden:
            last = min(int(found.get(b"max", 0)), MOST_COLUMNS)
            hidden.columns.update(range(int(found.get(b"min", 1)), last + 1))
    return hidden


def _boxes(drawing: etree._Element) -> Iterator[tuple[int | None, str]]:
    for anchor in drawing:
        text = "\n".join(paragraphs(anchor))
        above = anchor.findtext("{*}from/{*}row") or ""
        if text:
            yield int(above) + 1 if above.isdigit() and len(above) < 8 else None, text


def _comments(root: etree._Element, hidden: Hidden) -> Iterator[tuple[int | None, str]]:
    authors = [author.text or "" for author in root.iter("{*}author")]
    for comment in root.iter("{*}comment"):
        number = value(comment, "authorId")
        author = authors[int(number)] if number.isdigit() and int(number[:5]) < len(authors) else ""
        if not author.startswith(_THREAD):
            text = "".join(piece.text or "" for piece in comment.iter("{*}t"))
            yield from _comment(value(comment, "ref"), author, text, hidden)


def _comment(place: str, author: str, text: str, hidden: Hidden) -> Iterator[tuple[int | None, str]]:
    text = text.strip().removeprefix(f"{author}:").strip()  # Excel writes the author into the text too
    cell = _CELL.fullmatch(place)
    row = int(cell[2]) if cell else None
    if text and (cell is None or hidden.shows(row, column(cell[1]))):
        yield row, f"Comment on {place}{_by(author)}: {text}"


def _by(author: str) -> str:
    return f" by {author}" if author else ""
