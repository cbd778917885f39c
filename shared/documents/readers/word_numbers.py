"""Count the numbered paragraphs of a Word document: it stores how to count, but no numbers.

See 17.9 of ECMA-376, part 1. As in Word, lists (w:num) of one definition (w:abstractNum) count on from each
other, and one that overrides a start does so where its level comes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from lxml import etree

from shared.documents.readers.elements import first, local, number, value
from shared.documents.readers.numerals import BULLET, letters, roman
from shared.documents.readers.word_styles import Style, Styles, is_on

_Story = tuple[str, bool]
_LEVELS = 9
_LONGEST_PATTERN = 100  # characters
_PLACE = re.compile("%([1-9])")
_FORMATS: dict[str, Callable[[int], str]] = {
    "none": lambda _: "",
    "decimalZero": lambda count: f"{count:02}",
    "lowerLetter": letters,
    "upperLetter": lambda count: letters(count).upper(),
    "lowerRoman": roman,
    "upperRoman": lambda count: roman(count).upper(),
}  # others, such as Chinese numbers, are written in digits


@dataclass(frozen=True)
class _Level:
    """`pattern`: such as %1.%2; `restarts_below`: it does after a paragraph of a level before that one."""

    pattern: str
    format: str
    start: int
    restarts_below: int
    is_legal: bool  # all its numbers have digits


@dataclass(frozen=True)
class _List:
    definition: str
    levels: Mapping[int, _Level]
    restarted: frozenset[int]
    of_styles: Mapping[str, int]  # the levels that belong to styles


class Numbers:
    """The numbers of paragraphs, which are asked for in the order of the document."""

    def __init__(self, roots: Iterable[etree._Element], styles: Styles) -> None:
        self._styles = styles
        self._definitions = dict[str, etree._Element]()
        self._entries = dict[str, etree._Element]()
        for entry in (entry for root in roots for entry in root):
            if local(entry) == "abstractNum":
                self._definitions[value(entry, "abstractNumId")] = entry
            elif local(entry) == "num":
                self._entries[value(entry, "numId")] = entry
        self._lists = dict[str, _List | None]()
        self._counts = dict[tuple[_Story, str], dict[int, int]]()
        self._begun = set[tuple[_Story, str, int]]()
        self.story: _Story = ("", False)
        """The part that is being read, and whether a note or text box in it is: they count by themselves."""

    def of(self, paragraph: etree._Element, style: Style) -> str:
        """Count a paragraph; return its number and a space, empty if it has none."""
        if style.list not in self._entries or not _ends(paragraph, style):  # 0 means no list
            return ""
        if style.list not in self._lists:
            self._lists[style.list] = self._list(style.list)
        found = self._lists[style.list]
        if found is None:
            return ""
        at = found.of_styles.get(style.numbered_by, style.list_level or 0)
        if at not in found.levels:
            return ""
        counts = self._counts.setdefault((self.story, found.definition), {})
        self._count(found, style.list, at, counts)
        return _written(found.levels, at, counts)

    def _count(self, found: _List, identifier: str, at: int, counts: dict[int, int]) -> None:
        begun = (self.story, identifier, at)
        if at in counts and (at not in found.restarted or begun in self._begun):
            counts[at] += 1
        else:
            counts[at] = found.levels[at].start
        self._begun.add(begun)
        for deeper in [deeper for deeper in counts if deeper > at]:
            if deeper not in found.levels or at < found.levels[deeper].restarts_below:
                del counts[deeper]

    def _list(self, identifier: str) -> _List | None:
        entry = self._entries[identifier]
        name = _property(entry, "abstractNumId")
        definition = self._definitions.get(name)
        linked = None if definition is None else first(definition, "numStyleLink")
        if linked is not None:  # a style of lists, whose own list has the definition
            origin = self._entries.get(self._styles.named(value(linked, "val")).list)
            definition = None if origin is None else self._definitions.get(_property(origin, "abstractNumId"))
        if definition is None:
            return None
        defined = islice(definition.iterchildren("{*}lvl"), _LEVELS)
        entries = {number(level, "ilvl", _LEVELS): level for level in defined}
        starts = dict[int, int]()
        for override in entry.iterchildren("{*}lvlOverride"):
            at = number(override, "ilvl", _LEVELS)
            for change in override:
                if local(change) == "lvl":
                    entries[at] = change
                elif local(change) == "startOverride":
                    starts[at] = number(change, "val", 1)
        levels = {at: _level(level, at) for at, level in entries.items() if at < _LEVELS}
        levels |= {at: replace(levels[at], start=start) for at, start in starts.items() if at in levels}
        of_styles = {style: at for at in levels if (style := _property(entries[at], "pStyle"))}
        return _List(name, levels, frozenset(starts), of_styles)


def _level(entry: etree._Element, at: int) -> _Level:
    restart, legal, properties = (first(entry, name) for name in ("lvlRestart", "isLgl", "rPr"))
    hidden = None if properties is None else first(properties, "vanish")
    is_hidden = hidden is not None and is_on(hidden)
    return _Level(
        "" if is_hidden else _property(entry, "lvlText")[:_LONGEST_PATTERN],
        _property(entry, "numFmt") or "decimal",
        number(start, "val", 0) if (start := first(entry, "start")) is not None else 0,
        at if restart is None else min(at, number(restart, "val", at)),
        legal is not None and is_on(legal),
    )


def _property(entry: etree._Element, name: str) -> str:
    found = first(entry, name)
    return "" if found is None else value(found, "val")


def _written(levels: Mapping[int, _Level], at: int, counts: Mapping[int, int]) -> str:
    level = levels[at]
    if level.format == "bullet":
        return BULLET if level.pattern else ""

    def numeral(place: re.Match[str]) -> str:
        part = int(place[1]) - 1
        if part not in levels:
            return ""
        count = counts.get(part, levels[part].start)
        return str(count) if level.is_legal else _FORMATS.get(levels[part].format, str)(count)

    text = _PLACE.sub(numeral, level.pattern).strip()
    return f"{text} " if text else ""


def _ends(paragraph: etree._Element, style: Style) -> bool:
    """Return whether the paragraph's end is shown: one without it is a piece of the next, which counts.

    A hidden one that divides styles only (w:specVanish) counts: a heading and its text in one line.
    """
    hidden = bool(style.hidden)
    for mark in paragraph.iterfind("{*}pPr/{*}rPr/*"):
        match local(mark):
            case "del" | "moveFrom":
                return False
            case "specVanish" if is_on(mark):
                return True
            case "vanish":
                hidden = is_on(mark)
    return not hidden
