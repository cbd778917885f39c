"""Count the numbered items and headings of an OpenDocument text: it stores how to count, but no numbers.

See 5.3, 16.30 and 19.880 of OpenDocument 1.3, part 3. A number that a paragraph has with it is read instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lxml import etree

from shared.documents.readers.elements import first, local, number, value
from shared.documents.readers.numerals import BULLET, columns, letters, roman

_LEVELS = range(1, 11)
_LONGEST = 100  # characters around and between numbers
_PLACE = re.compile("%([1-9][0-9]?)%")
_FORMATS: dict[str, Callable[[int], str]] = {
    "": lambda _: "",
    "a": columns,
    "A": lambda count: columns(count).upper(),
    "a in step": letters,
    "A in step": lambda count: letters(count).upper(),
    "i": roman,
    "I": lambda count: roman(count).upper(),
}  # others are written in digits
_APART = frozenset(("text-box", "custom-shape", "note", "annotation", "table"))  # from the list around
_STARTS = tuple(f"{{*}}{name}" for name in ("list", "list-item", "p", "h", "tracked-changes", *_APART))


@dataclass(frozen=True)
class _Level:
    """`shown`: how many levels, this one with those above. `pattern`: in newer files, such as %1%.%2%."""

    format: str
    start: int
    prefix: str
    suffix: str
    shown: int
    pattern: str
    is_bullet: bool


@dataclass
class _List:
    levels: Mapping[int, _Level]
    at: int
    counts: dict[int, int]
    is_new: bool = False  # an item has begun, whose first paragraph gets the number
    start: int = -1  # the number of that item, if it has its own


def numbers(root: etree._Element, styles: Iterable[etree._Element]) -> dict[etree._Element, str]:
    """Return the numbers, each with a space after it, of the paragraphs and headings that have one."""
    reader, found = _Reader(styles), dict[etree._Element, str]()
    walk = etree.iterwalk(root, events=("start", "end"), tag=_STARTS)
    for event, element in walk:
        name = local(element)
        if name == "tracked-changes":
            walk.skip_subtree()
        elif name in ("p", "h"):
            text = reader.number(element, name) if event == "start" else ""
            if text:
                found[element] = f"{text} "
        elif event == "start":
            reader.enter(element, name)
        elif name != "list-item":
            reader.leave()
    return found


class _Reader:
    def __init__(self, styles: Iterable[etree._Element]) -> None:
        self._styles = dict[str, Mapping[int, _Level]]()
        self._headings = _List({}, 0, {})
        for entry in (entry for root in styles for entry in root.iter("{*}list-style", "{*}outline-style")):
            levels = {number(level, "level", 0): _level(level) for level in entry}
            self._styles[value(entry, "name")] = levels
            if local(entry) == "outline-style":
                self._headings.levels = levels
        self._open = list[_List | None]()  # None: what stands apart
        self._by_id = dict[str, dict[int, int]]()
        self._by_style = dict[str, dict[int, int]]()

    def enter(self, element: etree._Element, name: str) -> None:
        around = self._open[-1] if self._open else None
        if name in _APART:
            self._open.append(None)
        elif name == "list":
            self._open.append(self._list(element, around))
        elif around is not None:
            around.is_new, around.start = True, number(element, "start-value", -1)

    def leave(self) -> None:
        self._open.pop()

    def _list(self, element: etree._Element, around: _List | None) -> _List:
        style = value(element, "style-name")
        if around is not None:
            return _List(self._styles.get(style, around.levels), around.at + 1, around.counts)
        counts = dict[int, int]()
        if continued := value(element, "continue-list"):
            counts = self._by_id.get(continued, counts)
        elif value(element, "continue-numbering") == "true":
            counts = self._by_style.get(style, counts)
        self._by_id[value(element, "id")] = self._by_style[style] = counts
        return _List(self._styles.get(style, {}), 1, counts)

    def number(self, element: etree._Element, name: str) -> str:
        """Count a paragraph or heading, and return its number."""
        around = (self._open[-1] if self._open else None) or self._headings
        if around is self._headings and name == "h" and value(element, "is-list-header") != "true":
            around.at, around.is_new = number(element, "outline-level", 1), True
            around.start = number(element, "start-value", -1)
        if not around.is_new or around.at not in _LEVELS:
            return ""
        around.is_new = False
        given = first(element, "number")
        counted = _counted(around)
        return counted if given is None else (given.text or "").strip()


def _counted(around: _List) -> str:
    at, counts, levels = around.at, around.counts, around.levels
    before = counts.get(at, levels[at].start - 1 if at in levels else 0)
    counts[at] = before + 1 if around.start < 0 else around.start
    for deeper in [deeper for deeper in counts if deeper > at]:
        del counts[deeper]
    level = levels.get(at)
    if level is None:
        return ""
    if level.is_bullet:
        return BULLET.strip()

    def numeral(place: int) -> str:
        if place not in levels:
            return ""
        return _FORMATS.get(levels[place].format, str)(counts.get(place, levels[place].start))

    if level.pattern:
        return _PLACE.sub(lambda place: numeral(int(place[1])), level.pattern).strip()
    shown = range(max(1, at - level.shown + 1), at + 1) if level.format else ()
    return f"{level.prefix}{'.'.join(filter(None, map(numeral, shown)))}{level.suffix}".strip()


def _level(entry: etree._Element) -> _Level:
    kind, in_step = value(entry, "num-format"), value(entry, "num-letter-sync") == "true"
    return _Level(
        f"{kind} in step" if in_step and kind in ("a", "A") else kind,
        number(entry, "start-value", 1),
        value(entry, "num-prefix")[:_LONGEST],
        value(entry, "num-suffix")[:_LONGEST],
        number(entry, "display-levels", 1),
        value(entry, "num-list-format")[:_LONGEST],
        local(entry) in ("list-level-style-bullet", "list-level-style-image"),
    )
