"""Read a paragraph of an OpenDocument file: its text, and what is anchored in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from lxml import etree

from shared.documents.readers.elements import first, local, number, value
from shared.documents.readers.shifted import LEVEL, LOWERED, RAISED, Shift, shifted

SKIPPED = frozenset(
    {
        *("tracked-changes", "note-citation", "number", "script", "event-listeners"),
        *(f"{kind}-index-source" for kind in ("alphabetical", "illustration", "object", "table", "user")),
        *("table-of-content-source", "bibliography-source"),
    }
)
"""What is deleted (text:tracked-changes holds nothing else that has text), read elsewhere, or no text."""

_DRAWINGS = ("drawing:1.0", "dr3d:1.0")  # how the namespaces of shapes end
_ANCHORED = ("note", "annotation")
_SPACE = re.compile(r"[ \t\r\n]+")
_MOST_SPACES = 100


class Styles:
    """Whether styles hide or shift their text; they inherit that from their parents."""

    def __init__(self, roots: Iterable[etree._Element]) -> None:
        self._entries = {_key(entry): entry for root in roots for entry in root.iter("{*}style")}
        self._known: dict[tuple[str, str], tuple[str, str]] = {}

    def hides(self, element: etree._Element, family: str) -> bool | None:
        """Return whether the element's style hides text; None if it does not say."""
        display, _ = self._of(element, family)
        return display == "none" if display else None

    def shift(self, span: etree._Element) -> Shift | None:
        """Return how a span's style shifts text; None if it does not say."""
        _, position = self._of(span, "text")
        if not position:
            return None
        if position.startswith(("0", "-0%")):
            return LEVEL
        return LOWERED if position.startswith(("sub", "-")) else RAISED

    def _of(self, element: etree._Element, family: str) -> tuple[str, str]:
        key = (family, value(element, "style-name"))
        if key not in self._known:
            self._inherit(key)
        return self._known[key]

    def _inherit(self, key: tuple[str, str]) -> None:
        """Note what a style and those above it say. Each is looked at once: chains may be long, or rings."""
        chain = dict[tuple[str, str], etree._Element]()
        while key in self._entries and key not in self._known and key not in chain:
            chain[key] = self._entries[key]
            key = (key[0], value(chain[key], "parent-style-name"))
        display, position = self._known.setdefault(key, ("", "")) if key not in chain else ("", "")
        for own, entry in reversed(chain.items()):
            properties = first(entry, "text-properties")
            if properties is not None:
                display = value(properties, "display") or display
                position = value(properties, "text-position") or position
            self._known[own] = display, position


class Text:
    """Read paragraphs. `numbers`: those of lists and headings, which stand before the text."""

    def __init__(self, styles: Styles, numbers: Mapping[etree._Element, str] | None = None) -> None:
        self._styles = styles
        self._numbers = numbers or {}
        self._pieces: list[str] = []
        self._anchored: list[etree._Element] = []
        self._shift = LEVEL
        self._hidden = False  # the paragraph as a whole, by a mark in it

    def read(self, paragraph: etree._Element) -> tuple[str, list[etree._Element]]:
        """Return the text, and the notes, comments and shapes that are anchored in it, in their order."""
        self._pieces, self._anchored, self._hidden = [], [], False
        self._shift = LEVEL
        self._walk(paragraph, bool(self._styles.hides(paragraph, "paragraph")))
        text = "".join(self._pieces).strip()
        if text:
            text = self._numbers.get(paragraph, "") + text
        return ("", []) if self._hidden else (text, self._anchored)

    def _walk(self, parent: etree._Element, hidden: bool) -> None:
        self._say(_SPACE.sub(" ", parent.text or ""), hidden)
        for element in parent:
            self._element(element, hidden)
            self._say(_SPACE.sub(" ", element.tail or ""), hidden)

    def _element(self, element: etree._Element, hidden: bool) -> None:
        name = local(element)
        if name in _ANCHORED or element.tag.partition("}")[0].endswith(_DRAWINGS):
            self._anchored += [] if hidden else [element]
        elif name in _CHARACTERS:
            self._pieces.append("" if hidden else _CHARACTERS[name](element))
        elif name == "span":
            own, around = self._styles.hides(element, "text"), self._shift
            shift = self._styles.shift(element)
            self._shift = around if shift is None else shift
            self._walk(element, hidden if own is None else own)
            self._shift = around
        elif name == "hidden-paragraph":
            self._hidden |= is_hidden(element)
        elif name == "ruby-text":  # how the word before is pronounced
            self._say(f"({''.join(map(str, element.itertext()))})", hidden)
        elif name not in SKIPPED and not (name == "hidden-text" and value(element, "is-hidden") != "false"):
            self._walk(element, hidden)

    def _say(self, text: str, hidden: bool) -> None:
        """Add text; of white space that meets other white space nothing is left, wherever elements end."""
        if self._pieces and self._pieces[-1].endswith(" "):
            text = text.lstrip(" ")
        if text and not hidden:
            self._pieces.append(shifted(text, self._shift))


def is_hidden(element: etree._Element) -> bool:
    """Return whether a section, or the paragraph of a mark, is hidden: always, or as its condition stood."""
    return value(element, "display") == "none" or value(element, "is-hidden") == "true"


def _key(style: etree._Element) -> tuple[str, str]:
    return value(style, "family"), value(style, "name")


_CHARACTERS: dict[str, Callable[[etree._Element], str]] = {
    "s": lambda element: " " * min(number(element, "c", 1), _MOST_SPACES),
    "tab": lambda _: "\t",
    "line-break": lambda _: "\n",
}
