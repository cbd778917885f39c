"""Read Word documents (DOCX and its kin).

Headers come first and footers last, each once. Text boxes, charts, diagrams, descriptions of pictures, notes
and comments follow the paragraph or table row that refers to them. Numbers of lists and headings are counted.
Left out: notes and comments without a reference, which Word does not show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lxml import etree

from shared.documents.readers.drawing import chart, diagram
from shared.documents.readers.elements import damaged, first, local, number, value, within
from shared.documents.readers.office_parts import OfficePart, main_part
from shared.documents.readers.outline import Outline
from shared.documents.readers.package import Package
from shared.documents.readers.part import Part, ReadInside
from shared.documents.readers.tables import Grid
from shared.documents.readers.word_numbers import Numbers
from shared.documents.readers.word_runs import SKIPPED, Runs
from shared.documents.readers.word_styles import Styles, is_on, level_of

_Block = etree._Element | str | Part  # a str: text that is read already
_FILES = ("altChunk", "subDoc")
_PARAGRAPHS = ("p", "r", "hyperlink", "fldSimple", "oMath", "oMathPara")  # all but p without one around them
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes", "commentReference": "comments"}


def read(package: Package, read_inside: ReadInside | None = None) -> Iterator[Part]:
    """Yield a Word document's paragraphs and table rows.

    `read_inside`: for files inside; without it one part says that such a file was not read.
    """
    yield from _Document(main_part(package, "document"), read_inside).parts()


class _Document:
    def __init__(self, main: OfficePart, read_inside: ReadInside | None) -> None:
        self._main = main
        self._read_inside = read_inside
        self._styles = Styles(part.root for part in main.of_kind("styles"))
        self._numbers = Numbers((part.root for part in main.of_kind("numbering")), self._styles)
        self._runs = Runs(self._styles)
        self._notes: dict[str, tuple[OfficePart, dict[str, etree._Element]]] = {}

    def parts(self) -> Iterator[Part]:
        body = first(self._main.root, "body")
        if body is None:
            raise damaged()
        yield from self._repeated("headerReference")
        self._runs.prepare(self._main.root)
        yield from self._story(self._main, _blocks(body))
        yield from self._repeated("footerReference")

    def _repeated(self, kind: str) -> Iterator[Part]:
        """Read the headers or footers; sections whose texts are equal have one."""
        told = set[tuple[str, ...]]()
        entries = (entry for entry in self._main.root.iter("{*}" + kind) if self._is_used(entry))
        references = {value(entry, "id"): entry for entry in entries}
        for reference in references.values():
            part = self._main.named(reference)
            if part is not None:
                self._runs.prepare(part.root)
                parts = list(self._story(part, _blocks(part.root)))
                text = tuple(found.text for found in parts)
                yield from () if text in told else parts
                told.add(text)

    def _is_used(self, reference: etree._Element) -> bool:
        """Return whether Word shows it: those for first and even pages stay when they are turned off."""
        match value(reference, "type"):
            case "first":
                return any(map(is_on, self._main.root.iter("{*}titlePg")))  # of any section: they inherit
            case "even":
                settings = [part.root for part in self._main.of_kind("settings")]
                return any(is_on(mark) for root in settings for mark in root.iter("{*}evenAndOddHeaders"))
            case _:
                return True

    def _story(self, part: OfficePart, blocks: Iterable[_Block]) -> Iterator[Part]:
        """Read blocks, and after each what it refers to. A stack: notes may refer to notes without end."""
        outline = Outline()
        stack = [(part, iter(blocks))]
        while stack:
            part, blocks = stack[-1]
            block = next(blocks, None)
            self._numbers.story = part.name, len(stack) > 1
            if block is None:
                stack.pop()
            elif isinstance(block, Part):
                yield block
            else:
                text, level, references = (block, None, []) if isinstance(block, str) else self._block(block)
                if text and level is not None and len(stack) == 1:  # no heading in a text box or note
                    yield Part(text, heading=outline.enter(level, text))
                elif text:
                    yield Part(text, heading=outline.path)
                stack += [self._follow(part, reference) for reference in reversed(references)]

    def _block(self, block: etree._Element) -> tuple[str, int | None, list[etree._Element]]:
        """Return a block's text, its level if it is a heading, and what it refers to."""
        if local(block) in _FILES:
            return "", None, [block]
        if local(block) == "tr":
            return self._row(block)
        style = self._styles.of(block)
        text, references = self._runs.read(block, style)
        place = self._numbers.of(block, style) if style.list else ""
        return place + text if text else "", level_of(style), references

    def _row(self, block: etree._Element) -> tuple[str, None, list[etree._Element]]:
        references: list[etree._Element] = []
        grid = Grid()
        if before := _number(block, "trPr", "gridBefore"):
            grid.add("", before)
        for cell in _cells(block):
            grid.add(self._cell(cell, references), _number(cell, "tcPr", "gridSpan"))
        return grid.end_row(), None, references

    def _cell(self, cell: etree._Element, references: list[etree._Element]) -> str:
        """Return a cell's paragraphs in one line, those of tables in it as well."""
        texts = []
        for block in _blocks(cell):
            if local(block) == "tr":
                for inner in _cells(block):
                    texts.append(self._cell(inner, references))
            else:
                text, _, found = self._block(block)
                texts.append(text)
                references += found
        return " ".join(filter(None, texts))

    def _follow(self, part: OfficePart, reference: etree._Element) -> tuple[OfficePart, Iterator[_Block]]:
        """Return the blocks that a reference names or holds, and the part where they stand."""
        name = local(reference)
        if name in _NOTES:
            return self._note(_NOTES[name], value(reference, "id"))
        return part, self._inside(part, reference, name)

    def _inside(self, part: OfficePart, reference: etree._Element, name: str) -> Iterator[_Block]:
        if name == "txbxContent":
            yield from _blocks(reference)
        elif name == "docPr":
            yield value(reference, "descr").strip()
        elif name == "textpath":  # a watermark, or old WordArt
            yield value(reference, "string").strip()
        elif name in ("chart", "relIds"):
            drawn = part.named(reference, "id" if name == "chart" else "dm")
            if drawn is not None:
                yield from chart(drawn.root) if name == "chart" else diagram(drawn.root)
        else:
            yield from self._file(part, reference)

    def _file(self, part: OfficePart, reference: etree._Element) -> Iterator[Part]:
        """Read a file inside. That of an altChunk is a piece of the document itself."""
        for found in part.file_inside(reference, self._read_inside):
            yield replace(found, inside=found.inside[1:]) if local(reference) == "altChunk" else found

    def _note(self, kind: str, identifier: str) -> tuple[OfficePart, Iterator[_Block]]:
        """Return a footnote, endnote or comment; nothing the second time, or if it is not there."""
        if kind not in self._notes:
            self._notes[kind] = self._all_notes(kind)
        part, notes = self._notes[kind]
        note = notes.pop(identifier, None)
        return part, iter(()) if note is None else _blocks(note)

    def _all_notes(self, kind: str) -> tuple[OfficePart, dict[str, etree._Element]]:
        for part in self._main.of_kind(kind):
            self._runs.prepare(part.root)
            return part, {value(note, "id"): note for note in part.root}
        return self._main, {}


def _blocks(parent: etree._Element) -> Iterator[etree._Element]:
    for block in within(parent, (*_PARAGRAPHS, *_FILES, "tr"), SKIPPED):
        if local(block) != "tr" or not (_has(block, "trPr", "del") or _has(block, "trPr", "hidden")):
            yield block


def _cells(block: etree._Element) -> Iterator[etree._Element]:
    """Yield the cells of a row. The text of merged ones is in the first; the others are empty."""
    for cell in within(block, ("tc",), SKIPPED):
        if not _has(cell, "tcPr", "cellDel"):
            yield cell


def _has(element: etree._Element, properties: str, mark: str) -> bool:
    found = _property(element, properties, mark)
    return found is not None and is_on(found)


def _number(element: etree._Element, properties: str, name: str) -> int:
    found = _property(element, properties, name)
    return 0 if found is None else number(found, "val", 0)


def _property(element: etree._Element, properties: str, name: str) -> etree._Element | None:
    found = first(element, properties)
    return None if found is None else first(found, name)
