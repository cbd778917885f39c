"""Cut a long document into chunks that a model can read one at a time.

A chunk ends where the text itself pauses: at the end of a section if there is one, else of a page, a
paragraph, a line, a sentence or a word. The next one repeats its last lines, so that a clause which the cut
divides stands whole in one of the two; nothing is repeated where a section begins.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.documents.readers.part import Part, placed

MOST_OVERLAP = 0.2
"""Of a chunk: then what two chunks share is less than the least that each of them adds."""
_SMALLEST = 16  # characters: below, the shares of a chunk are no whole characters any more
_CLOSING = "[\"'”’»)\\]]*"
_ENDS = [  # of a paragraph, of a line with a sentence, of a line, a sentence, a word; the best first
    re.compile(rf"(?s:.*){end}")
    for end in (
        r"\n[^\S\n]*\n",
        rf"[.:;!?…。！？।։]{_CLOSING}[^\S\n]*\n",
        r"\n",
        rf"(?:[.!?…]{_CLOSING}\s|[。！？।։])",
        r"\s",
    )
]
_LETTER = re.compile(r"\S")


@dataclass(frozen=True)
class Chunk:
    """A stretch of the document: `text` is `joined(parts)[start:end]`. `number` counts from 0."""

    number: int
    text: str
    start: int
    end: int


def chunks(parts: Sequence[Part], size: int = 4000, overlap: float = 0.1) -> list[Chunk]:
    """Return chunks that together hold the whole text but for white space between them.

    `size`: the most characters of a chunk; each adds at least a quarter of that, if the text has it.
    `overlap`: the share of `size` that a chunk repeats from the one before it, about. Raises ValueError
    if the size is below 16, or the overlap is not between 0 and MOST_OVERLAP. A text without a letter
    has no chunks.
    """
    if size < _SMALLEST or not 0 <= overlap <= MOST_OVERLAP:
        raise ValueError(f"chunks of {size} characters cannot overlap by {overlap}")
    places = _Places(parts)
    spans = enumerate(_spans(places, size, int(size * overlap)))
    return [Chunk(number, places.text[start:end], start, end) for number, (start, end) in spans]


def _spans(places: _Places, size: int, shared: int) -> Iterator[tuple[int, int]]:
    """Give the start and the end of each chunk. `new`: where the text begins that none has held yet."""
    length, least = len(places.text), size // 4
    start = new = places.letter_from(0)
    while new < length:
        if length - start <= size:
            cut = length
        else:
            cut = places.best(new + least, min(start + size, length - least))
        yield start, start + len(places.text[start:cut].rstrip())
        start = new = places.letter_from(cut)
        if shared and not places.ends_section(cut):
            start = places.letter_from(places.best(new - shared * 5 // 4, new - shared * 3 // 4))


class _Places:
    """The places of a text where it may be cut."""

    def __init__(self, parts: Sequence[Part]) -> None:
        text, starts = placed(parts)
        self.text = text.rstrip()
        self._sections, self._pages, self._parts = list[int](), list[int](), list[int]()
        headings = [*map(_is_heading, parts, parts[1:]), False]
        for number, (part, after) in enumerate(pairwise(parts)):
            if not headings[number]:  # which stays with what it is above
                kind = self._sections if headings[number + 1] else self._between(part, after)
                kind.append(starts[number] + len(part.text))

    def _between(self, part: Part, after: Part) -> list[int]:
        if (part.heading, part.sheet, part.inside) != (after.heading, after.sheet, after.inside):
            return self._sections
        return self._parts if part.page == after.page else self._pages

    def ends_section(self, place: int) -> bool:
        """Whether a section, a sheet or an attachment ends there."""
        at = bisect_right(self._sections, place)
        return at > 0 and self._sections[at - 1] == place

    def letter_from(self, place: int) -> int:
        """Return the next place that is not white space, or the text's length."""
        found = _LETTER.search(self.text, place)
        return found.start() if found else len(self.text)

    def best(self, low: int, high: int) -> int:
        """Return the last place of the best kind between the two, or `high`, inside of a word."""
        for places in (self._sections, self._pages, self._parts):
            at = bisect_right(places, high)
            if at and places[at - 1] > low:
                return places[at - 1]
        found = next(filter(None, (end.match(self.text, low, high) for end in _ENDS)), None)
        return found.end() if found else high


def _is_heading(part: Part, after: Part) -> bool:
    """Whether the second one is the first that stands under the first one."""
    if not after.heading or after.heading[:-1] != part.heading:
        return False
    return after.heading[-1].split() == part.text.split()
