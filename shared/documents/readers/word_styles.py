"""Know what the styles of a Word document say about headings, lists and hidden text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lxml import etree

from shared.documents.readers.elements import first, local, number, value

_BODY_TEXT = 9  # the outline level of what is no heading


@dataclass(frozen=True)
class Style:
    """`level`: of a heading, from 0; None if it does not say. `hidden`: None if it does not say.

    `list`: the identifier of a list of numbers or bullets, empty if it does not say; `list_level`: in it,
    from 0; `numbered_by`: the style that says so, as a level of the list may name it.
    """

    level: int | None = None
    hidden: bool | None = None
    list: str = ""
    list_level: int | None = None
    numbered_by: str = ""


class Styles:
    """The styles of a document, by identifier, with what they inherit."""

    def __init__(self, roots: Iterable[etree._Element]) -> None:
        entries = {value(entry, "styleId"): entry for root in roots for entry in root.iter("{*}style")}
        self._styles = _inherited(entries)
        self.hide_some = any(style.hidden for style in self._styles.values())
        self._default = Style()
        for identifier, entry in entries.items():
            if value(entry, "type") == "paragraph" and value(entry, "default") in ("1", "true", "on"):
                self._default = self._styles[identifier]

    def of(self, paragraph: etree._Element) -> Style:
        """Return a paragraph's style; its own outline level and list come before the style's."""
        style, level, numbering = self._default, None, None
        for properties in paragraph.iterchildren("{*}pPr"):
            for entry in properties.iterchildren("{*}pStyle", "{*}outlineLvl", "{*}numPr"):
                name = local(entry)
                if name == "pStyle":
                    style = self._styles.get(value(entry, "val"), self._default)
                elif name == "outlineLvl":
                    level = number(entry, "val", _BODY_TEXT)
                else:
                    numbering = _numbering(entry)
        if level is None and numbering is None:
            return style
        return _over(Style(level, None, *(numbering or ())), style)

    def named(self, identifier: str) -> Style:
        """Return the style of that identifier."""
        return self._styles.get(identifier, Style())

    def hides(self, run_style: str) -> bool:
        """Return whether a style of runs hides text."""
        return bool(self.named(run_style).hidden)


def level_of(style: Style) -> int | None:
    """Return the level of the heading; None for body text."""
    return style.level if style.level is not None and style.level < _BODY_TEXT else None


def is_on(toggle: etree._Element) -> bool:
    """Return whether a property is on: its presence alone says so."""
    return value(toggle, "val", "true") in ("1", "true", "on")


def _inherited(entries: Mapping[str, etree._Element]) -> dict[str, Style]:
    """Return the styles with what they inherit. Each is looked at once: chains may be long, or rings."""
    styles = dict[str, Style]()
    for identifier in entries:
        chain = dict[str, etree._Element]()
        while identifier in entries and identifier not in styles and identifier not in chain:
            chain[identifier] = entries[identifier]
            parent = first(entries[identifier], "basedOn")
            identifier = "" if parent is None else value(parent, "val")
        style = styles.get(identifier, Style())
        for own, entry in reversed(chain.items()):
            style = styles[own] = _over(_own(entry, own), style)
    return styles


def _over(style: Style, base: Style) -> Style:
    """Return what the style says, and of what it does not say, what its base says."""
    places = base if style.list_level is None else style
    return Style(
        base.level if style.level is None else style.level,
        base.hidden if style.hidden is None else style.hidden,
        style.list or base.list,
        places.list_level,
        places.numbered_by,
    )


def _own(entry: etree._Element, identifier: str) -> Style:
    level = _within(entry, "pPr", "outlineLvl")
    hidden = _within(entry, "rPr", "vanish")
    numbering = _within(entry, "pPr", "numPr")
    return Style(
        _named_level(entry) if level is None else number(level, "val", _BODY_TEXT),
        None if hidden is None else is_on(hidden),
        *(("", None, "") if numbering is None else (*_numbering(numbering), identifier)),
    )


def _numbering(entry: etree._Element) -> tuple[str, int]:
    """Return the list, and the level in it."""
    listed, level = first(entry, "numId"), first(entry, "ilvl")
    return "" if listed is None else value(listed, "val"), 0 if level is None else number(level, "val", 9)


def _within(entry: etree._Element, properties: str, name: str) -> etree._Element | None:
    found = first(entry, properties)
    return None if found is None else first(found, name)


def _named_level(entry: etree._Element) -> int | None:
    """Return the level of Word's own headings, whose level some programs do not write."""
    name = first(entry, "name")
    word, _, level = ("" if name is None else value(name, "val").lower()).partition(" ")
    return int(level) - 1 if word == "heading" and level in tuple("123456789") else None
