"""Define what reading a file gives: its text in parts, each with its place in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

MOST_TEXT = 8_000_000
"""Bytes of text (UTF-8) in one document: more than any model takes, and little for the app's memory."""
ReadInside = Callable[[bytes, str], "Iterable[Part]"]
"""Read a file inside of a file, such as an attachment: its content and its name for people.

One that cannot be read gives a part that says so: it is not dropped, and the rest is read.
"""


@dataclass(frozen=True, slots=True)  # a document may have 100,000
class Part:
    """A piece of a document's text, without white space around it, and where it stands.

    `page`: from 1, of a PDF or of slides. `heading`: the headings above it, outermost first. `sheet`, `row`:
    of a spreadsheet; rows count from 1. `inside`: the attachments that hold it, outermost first.
    """

    text: str
    page: int | None = None
    heading: tuple[str, ...] = ()
    sheet: str = ""
    row: int | None = None
    inside: tuple[str, ...] = ()

    @property
    def above(self) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
        """What neighbours have in common: the headings, the sheet and the attachments."""
        return self.heading, self.sheet, self.inside


def joined(parts: Iterable[Part]) -> str:
    """Return the parts as one text. A sheet and an attachment begin with their names."""
    return placed(parts)[0]


def placed(parts: Iterable[Part]) -> tuple[str, list[int]]:
    """Return the parts as one text, and the place in it where each part's own text begins."""
    pieces, places, length, before = list[str](), list[int](), 0, Part("")
    for part in parts:
        above = _above(part, before)
        if not places:
            above = above.lstrip("\n")
        pieces += filter(None, (above, part.text))  # a single text is not copied
        places.append(length + len(above))
        length += len(above) + len(part.text)
        before = part
    return "".join(pieces), places


def _above(part: Part, before: Part) -> str:
    """Return what stands between two parts."""
    names = ""
    if part.inside != before.inside and part.inside:
        names = f"\n\n{' / '.join(part.inside)}"
    if part.sheet and (part.sheet, part.inside) != (before.sheet, before.inside):
        names += f"\n\n{part.sheet}"
    return names + ("\n" if part.row else "\n\n")
