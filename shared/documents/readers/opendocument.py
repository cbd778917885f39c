"""Read OpenDocument texts (ODT and its kin).

Headers come first and footers last, each once. Text boxes, notes, comments, objects (formulas, charts) and
descriptions of pictures follow the paragraph or table row that holds their anchor. Numbers of lists and
headings are counted.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from shared.documents.readers.elements import damaged, local, number, value, within
from shared.documents.readers.opendocument_numbers import numbers
from shared.documents.readers.opendocument_text import SKIPPED, Styles, Text, is_hidden
from shared.documents.readers.outline import Outline
from shared.documents.readers.package import Package
from shared.documents.readers.part import Part
from shared.documents.readers.tables import row
from shared.errors import DocumentRefused

_BLOCKS = ("p", "h", "table-row", "section", "object", "title", "desc")  # the last two: of a picture
_CELLS = ("table-cell", "covered-table-cell")
_MOST_REPEATED = 100  # times that a cell or row stands there: what is beyond is a sheet's size, no text
_NOT_READ = "[The document holds an object here that was not read.]"


def read(package: Package) -> Iterator[Part]:
    """Yield the paragraphs and table rows of an OpenDocument text."""
    if b"encryption-data" in (package.read("META-INF/manifest.xml") or b""):
        raise DocumentRefused("the file is protected by a password: save it without one")
    content = package.xml("content.xml")
    body = None if content is None else next(content.iter("{*}body"), None)
    if content is None or body is None:
        raise damaged()
    named = package.xml("styles.xml")
    common = [] if named is None else [named]
    reader = _Reader(package)
    margins = [margin for root in common for margin in _margins(root)]
    margin_text = Text(Styles(common), None if named is None else numbers(named, common))
    yield from reader.repeated([margin for margin in margins if "header" in local(margin)], margin_text)
    styles = [*common, content]
    yield from reader.story(body, Text(Styles(styles), numbers(body, styles)))
    yield from reader.repeated([margin for margin in margins if "footer" in local(margin)], margin_text)


@dataclass(frozen=True)
class _Line:
    """A paragraph or row. `level`: of a heading; `times`: a row stands there; `anchored`: what follows it."""

    text: str
    anchored: list[etree._Element]
    level: int | None = None
    times: int = 1


class _Reader:
    def __init__(self, package: Package) -> None:
        self._package = package
        self._objects = set[str]()  # that were read

    def repeated(self, margins: list[etree._Element], text: Text) -> Iterator[Part]:
        """Read the headers or footers of the page styles; those whose texts are equal once."""
        told = set[tuple[str, ...]]()
        for margin in margins:
            parts = list(self.story(margin, text))
            texts = tuple(part.text for part in parts)
            yield from () if texts in told else parts
            told.add(texts)

    def story(self, parent: etree._Element, text: Text) -> Iterator[Part]:
        """Read blocks, and after each what it anchors. A stack: objects may hold objects without end."""
        outline = Outline()
        stack = [(_blocks(parent), text, True)]
        while stack:
            blocks, text, outermost = stack[-1]
            block = next(blocks, None)
            if block is None:
                stack.pop()
            elif local(block) == "section":
                stack.append((_blocks(block), text, outermost))
            elif local(block) == "object":
                found = self._object(block)
                if isinstance(found, str):
                    yield from [Part(found, heading=outline.path)] if found else []
                else:
                    stack.append((_blocks(found), Text(Styles([found])), False))
            else:
                line = _line(block, text)
                if line.text and line.level is not None and outermost:  # no heading in a text box or note
                    yield Part(line.text, heading=outline.enter(line.level, line.text))
                elif line.text:
                    yield from [Part(line.text, heading=outline.path)] * line.times
                stack += [(_blocks(anchored), text, False) for anchored in reversed(line.anchored)]

    def _object(self, block: etree._Element) -> etree._Element | str:
        """Return the content of a chart or another document inside, or the text of a formula."""
        name = posixpath.normpath(posixpath.join(value(block, "href"), "content.xml"))
        if name in self._objects:
            return ""
        self._objects.add(name)
        content = self._package.xml(name)
        if content is None:
            return _NOT_READ
        return _formula(content) if local(content) == "math" else content


def _margins(styles: etree._Element) -> Iterator[etree._Element]:
    for page in styles.iter("{*}master-page"):
        yield from (margin for margin in page if value(margin, "display") != "false")


def _blocks(parent: etree._Element) -> Iterator[etree._Element]:
    for block in within(parent, _BLOCKS, SKIPPED):
        if local(block) != "section" or not is_hidden(block):
            yield block


def _line(block: etree._Element, text: Text) -> _Line:
    if local(block) == "table-row":
        anchored: list[etree._Element] = []
        times = min(number(block, "number-rows-repeated", 1), _MOST_REPEATED)
        return _Line(row(_cells(block, text, anchored)), anchored, times=times)
    found, anchored = text.read(block)
    return _Line(found, anchored, number(block, "outline-level", 1) if local(block) == "h" else None)


def _cells(block: etree._Element, text: Text, anchored: list[etree._Element]) -> Iterator[str]:
    """Yield a row's cells as often as they stand there; those that a merged one covers are empty."""
    for cell in within(block, _CELLS, SKIPPED):
        times = min(number(cell, "number-columns-repeated", 1), _MOST_REPEATED)
        yield from [_cell(cell, text, anchored) if local(cell) == "table-cell" else ""] * times


def _cell(cell: etree._Element, text: Text, anchored: list[etree._Element]) -> str:
    """Return a cell's paragraphs in one line, those of tables in it as well."""
    texts = []
    for block in _blocks(cell):
        match local(block):
            case "section":
                texts.append(_cell(block, text, anchored))
            case "table-row":
                texts += [_cell(inner, text, anchored) for inner in within(block, _CELLS[:1], SKIPPED)]
            case "object":
                anchored.append(block)
            case _:
                found, inner = text.read(block)
                texts.append(found)
                anchored += inner
    return " ".join(filter(None, texts))


def _formula(math: etree._Element) -> str:
    """Return a formula as it was typed, which stands beside its MathML; else the MathML's text."""
    typed = next(math.iter("{*}annotation"), math)
    return " ".join("".join(map(str, typed.itertext())).split())
