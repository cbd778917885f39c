"""Know what the styles of a Word document say about headings and hidden text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lxml import etree

from shared.documents.readers.elements import first, local, number, value

_BODY_TEXT = 9  # the outline level of what is no heading


@dataclass(frozen=True)
class Style:
    """`level`: of a heading, from 0; None if it does not say. `hidden`: None if it does not say."""

    level: int | None = None
    hidden: bool | None = None


class Styles:
    """The styles of a document, by identifier, with what they inherit."""

    def __init__(self, roots: Iterable[etree._Element]) -> None:
        entries = {value(entry, "styleId"): entry for root in roots for entry in root.iter("{*}style")}
        self._styles = {identifier: _inherited(entries, identifier) for identifier in entries}
        self.hide_some = any(style.hidden for style in self._styles.values())
        self._default = Style()
        for identifier, entry in entries.items():
            if value(entry, "type") == "paragraph" and value(entry, "default") in ("1", "true", "on"):
                self._default = self._styles[identifier]

    def of(self, paragraph: etree._Element) -> Style:
        """Return a paragraph's style; its own outline level comes before the style's."""
        style, level = self._default, None
        for properties in paragraph.iterchildren("{*}pPr"):
            for entry in properties.iterchildren("{*}pStyle", "{*}outlineLvl"):
                if local(entry) == "pStyle":
                    style = self._styles.get(value(entry, "val"), self._default)
                else:
                    level = number(entry, "val", _BODY_TEXT)
        return style if level is None else replace(style, level=level)

    def hides(self, run_style: str) -> bool:
        """Return whether a style of runs hides text."""
        return bool(self._styles.get(run_style, Style()).hidden)


def level_of(style: Style) -> int | None:
    """Return the level of the heading; None for body text."""
    return style.level if style.level is not None and style.level < _BODY_TEXT else None


def is_on(toggle: etree._Element) -> bool:
    """Return whether a property is on: its presence alone says so."""
    return value(toggle, "val", "true") in ("1", "true", "on")


def _inherited(entries: Mapping[str, etree._Element], identifier: str) -> Style:
    style, seen = Style(), set[str]()
    while identifier in entries and identifier not in seen:
        seen.add(identifier)
        own = _own(entries[identifier])
        style = Style(
            own.level if style.level is None else style.level,
            own.hidden if style.hidden is None else style.hidden,
        )
        parent = first(entries[identifier], "basedOn")
        identifier = "" if parent is None else value(parent, "val")
    return style


def _own(entry: etree._Element) -> Style:
    level = _within(entry, "pPr", "outlineLvl")
    hidden = _within(entry, "rPr", "vanish")
    return Style(
        _named_level(entry) if level is None else number(level, "val", _BODY_TEXT),
        None if hidden is None else is_on(hidden),
    )


def _within(entry: etree._Element, properties: str, name: str) -> etree._Element | None:
    found = first(entry, properties)
    return None if found is None else first(found, name)


def _named_level(entry: etree._Element) -> int | None:
    """Return the level of Word's own headings, whose level some programs do not write."""
    name = first(entry, "name")
    word, _, level = ("" if name is None else value(name, "val").lower()).partition(" ")
    return int(level) - 1 if word == "heading" and level in tuple("123456789") else None
