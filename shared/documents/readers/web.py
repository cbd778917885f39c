"""Read web pages (HTML): what a browser shows, in the order of the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lxml import etree

from shared.documents.read import read_text
from shared.documents.readers.charset import codec, declared
from shared.documents.readers.numerals import columns, roman
from shared.documents.readers.outline import Outline
from shared.documents.readers.part import Part
from shared.documents.readers.shifted import LEVEL, LOWERED, RAISED, shifted
from shared.documents.readers.tables import Grid
from shared.errors import DocumentRefused

_NAMED = re.compile(
    rb"<(?:meta\b[^>]{0,400}?\bcharset\s{0,9}=|\?xml\b[^>]{0,99}?\bencoding\s{0,9}=)[\s\"']{0,9}([\w.:-]{1,60})",
    re.IGNORECASE,
)
_LOOKED_AT = 4096  # bytes in which a page names its encoding; browsers look at 1,024
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_NAMES_OF_BLOCKS = """
    address article aside blockquote body caption center dd details dialog dir div dl dt fieldset
    figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav noscript ol
    optgroup option p pre search section select summary table tbody textarea tfoot thead tr ul
"""
_BLOCKS = frozenset(_NAMES_OF_BLOCKS.split())
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_CELLS = ("td", "th")
_LISTS = frozenset(("ol", "ul", "menu", "dir"))
_SHIFTS = {"sup": RAISED, "sub": LOWERED}
_KEEPS_LINES = frozenset(("pre", "textarea", "listing", "xmp"))
_NEVER = frozenset(
    {
        *("head", "title", "script", "style", "template", "iframe", "noembed", "noframes"),
        *(
            "audio",
            "video",
            "canvas",
            "datalist",
            "desc",
            "metadata",
        ),  # text for other programs than browsers
    }
)
_UNSEEN_INPUTS = ("hidden", "password", "file", "image", "range", "color")
_HIDING = re.compile(r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)", re.IGNORECASE)
_LIST_STYLE = re.compile(
    r"list-style(?:-type)?\s*:\s*(none|(?:lower|upper)-(?:alpha|latin|roman))", re.IGNORECASE
)
_NUMERALS: dict[str, Callable[[int], str]] = {
    **dict.fromkeys(("a", "lower-alpha", "lower-latin"), columns),
    **dict.fromkeys(("A", "upper-alpha", "upper-latin"), lambda number: columns(number).upper()),
    **dict.fromkeys(("i", "lower-roman"), roman),
    **dict.fromkeys(("I", "upper-roman"), lambda number: roman(number).upper()),
}
_SPACE = re.compile(r"\s+")
_ALL_ROWS = 65_534  # the most that browsers let a cell span; 0 means all that follow
_WHOLE = re.compile(r"-?\d{1,6}")
_INVISIBLE = " \t\n\r\f\v\xa0\xad\u034f\u200b\u200c\u200d\u2060\ufeff"
_LONGEST_HEADING = 300  # characters; a longer one is a paragraph in a large font


def read(data: bytes) -> Iterator[Part]:
    """Yield the title if it is not the first heading, and then the page's blocks and the rows of its tables.

    Raises DocumentRefused for a page that is nested too deeply (2,048 levels), or whose encoding is unknown.
    """
    root = _parsed(_decoded(data))
    if root is None:
        return
    page = _Page(root, without=_NEVER | {"noscript"})
    if not page.parts:  # a page that needs a browser's scripts: what it says without them
        page = _Page(root, without=_NEVER)
    title = " ".join((root.findtext("head/title") or "").split()).strip(_INVISIBLE)
    if title and title.casefold() != page.first_heading.casefold():
        yield Part(title)
    yield from page.parts


def _decoded(data: bytes) -> str:
    named = None if data.startswith(_MARKS) else _NAMED.search(data[:_LOOKED_AT])
    name = named and codec(named[1].decode("ascii", "replace"))
    if name and name.startswith("utf-16"):  # a page whose name of an encoding is legible has another one
        name = "utf-8"
    text = declared(data, name)
    return read_text(data) if text is None else text


def _parsed(text: str) -> etree._Element | None:
    """Parse a page. Beyond its limits libxml2 returns an empty one without an error: its log has it."""
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    root = etree.fromstring(text.replace("\0", "").encode("utf-8", "replace"), parser)
    if any(entry.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for entry in parser.error_log):
        raise DocumentRefused("the page is nested too deeply: save its text as txt or PDF")
    if any(entry.level == etree.ErrorLevels.FATAL for entry in parser.error_log):
        raise DocumentRefused("the page is damaged: open it in a browser and save it again")
    return root


@dataclass
class _List:
    """`written`: how it writes numbers; `next`: that of its next item."""

    written: Callable[[int], str]
    next: int


class _Page:
    """The blocks of a page. A row of one cell is layout: its blocks are parts. Another row is one part."""

    def __init__(self, root: etree._Element, without: frozenset[str]) -> None:
        self.parts = list[Part]()
        self.first_heading = ""
        self._without = without
        self._pieces = list[str]()  # the text of the block that is being read
        self._keeps_lines = 0
        self._shifts = [LEVEL]
        self._level = 0  # of the heading that is being read
        self._outline = Outline()
        self._lists = list[_List | None]()  # that are being read, outermost first; None: without numbers
        self._marker = ""
        self._row: etree._Element | None = None
        self._grid = Grid()  # of the rows that are being read
        self._around_rows: etree._Element | None = None
        self._cell = list[str]()
        self._walk(root)

    def _walk(self, root: etree._Element) -> None:
        """Visit all visible elements, without recursion."""
        self._enter(root)
        waiting = [(root, iter(root))]
        while waiting:
            element, children = waiting[-1]
            child = next(children, None)
            if child is None:
                waiting.pop()
                self._leave(element)
                self._add(element.tail)
            elif self._is_hidden(child):
                self._add(child.tail)
            else:
                self._enter(child)
                waiting.append((child, iter(child)))
        self._end_block()

    def _is_hidden(self, element: etree._Element) -> bool:
        if not isinstance(element.tag, str) or element.tag in self._without:
            return True
        if element.tag == "body":  # a script shows it
            return False
        if element.tag == "dialog" and element.get("open") is None:
            return True
        return element.get("hidden") is not None or bool(_HIDING.search(element.get("style", "")))

    def _enter(self, element: etree._Element) -> None:
        tag = element.tag
        if tag in _CELLS:
            self._end_cell(element)
        elif tag in _BLOCKS:
            self._end_block()
        if tag in _HEADINGS and self._row is None:
            self._level = int(tag[1])
        elif tag == "tr":
            self._enter_row(element)
        elif tag in _LISTS:
            self._lists.append(_numbered(element) if tag == "ol" else None)
        elif tag == "li":
            self._enter_item(element)
        elif tag == "br":
            self._pieces.append("\n")
        elif tag == "img":
            self._add(f" {element.get('alt', '')} ")
        elif tag == "input":
            self._add(f" {_filled_in(element)} ")
        elif tag in _SHIFTS:
            self._shifts.append(_SHIFTS[tag])
        self._keeps_lines += tag in _KEEPS_LINES
        self._add(element.text)

    def _leave(self, element: etree._Element) -> None:
        tag = element.tag
        if tag in _CELLS and self._end_cell(element):
            columns, rows = (_whole(element.get(name), 1) for name in ("colspan", "rowspan"))
            self._grid.add("\n".join(self._cell), columns, rows or _ALL_ROWS)
            self._cell = []
        elif tag in _BLOCKS:
            self._end_block()
        if tag in _HEADINGS:
            self._level = 0
        elif tag == "tr" and element is self._row:
            self._end_row()
        elif tag in _LISTS:
            self._lists.pop()
        elif tag == "li":
            self._marker = ""
        elif tag == "a" and not element.tail:
            self._end_link(element)
        elif tag in _SHIFTS:
            self._shifts.pop()
        self._keeps_lines -= tag in _KEEPS_LINES

    def _add(self, text: str | None) -> None:
        if text:
            text = shifted(text, self._shifts[-1])
            self._pieces.append(text if self._keeps_lines else _SPACE.sub(" ", text))

    def _enter_row(self, element: etree._Element) -> None:
        if self._row is not None:
            return
        around = element.getparent()
        grid = self._grid if around is self._around_rows else Grid()
        if grid.is_covered or sum(child.tag in _CELLS for child in element) > 1:
            self._row, self._level = element, 0
            self._grid, self._around_rows = grid, around

    def _end_link(self, link: etree._Element) -> None:
        """Part the links of a menu, which stand apart by their style."""
        after = link.getnext()
        if after is not None and after.tag == "a":
            self._pieces.append(" ")

    def _end_cell(self, cell: etree._Element) -> bool:
        """End the text before a cell, or of it; return whether the cell is one of the row's.

        Of a table inside of a cell, the cells stand side by side in it.
        """
        if self._row is not None and cell.getparent() is not self._row:
            self._pieces.append(" ")
            return False
        self._end_block()
        return self._row is not None

    def _end_row(self) -> None:
        if self._cell:  # text after the cells
            self._grid.add("\n".join(self._cell))
        self._row, self._cell = None, []
        self._emit(self._grid.end_row())

    def _enter_item(self, item: etree._Element) -> None:
        """Number the item of a numbered list: contracts refer to numbers that only browsers show."""
        numbered = self._lists[-1] if self._lists else None
        if numbered is not None:
            number = _whole(item.get("value"), numbered.next)
            self._marker, numbered.next = f"{numbered.written(number)}. ", number + 1

    def _end_block(self) -> None:
        text = _tidied("".join(self._pieces), bool(self._keeps_lines))
        self._pieces = []
        if not text:
            return
        text, self._marker = self._marker + text, ""
        if self._row is None:
            self._emit(text)
        else:
            self._cell.append(text)

    def _emit(self, text: str) -> None:
        if not text:
            return
        path = self._outline.path
        if self._level:
            heading = " ".join(text.split())
            self.first_heading = self.first_heading or heading
            if len(heading) <= _LONGEST_HEADING:
                self._outline.enter(self._level, heading)
                path = self._outline.path[:-1]
            self._level = 0
        self.parts.append(Part(text, heading=path))


def _tidied(text: str, keeps_lines: bool) -> str:
    """Strip a block, and outside of preformatted text also its lines, of white space."""
    if not keeps_lines:
        text = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    else:
        text = "\n".join(line.rstrip() for line in text.splitlines())
    return text.strip(_INVISIBLE)


def _filled_in(field: etree._Element) -> str:
    """Return what a field of a form shows."""
    kind = field.get("type", "text").lower()
    if kind in ("checkbox", "radio"):
        return "☐" if field.get("checked") is None else "☒"
    return "" if kind in _UNSEEN_INPUTS else field.get("value", "")


def _numbered(element: etree._Element) -> _List | None:
    """Return how a list numbers its items; None if it does not."""
    style = _LIST_STYLE.search(element.get("style", ""))
    kind = style[1].lower() if style else element.get("type", "1")
    if kind == "none":
        return None
    return _List(_NUMERALS.get(kind, str), _whole(element.get("start"), 1))


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and _WHOLE.fullmatch(text) else otherwise
