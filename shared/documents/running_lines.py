"""Find the lines that pages repeat at their top or bottom: sentences run on over them from page to page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from shared.documents.readers.part import Part

_LINES = 4  # at the top and at the bottom of a page that are looked at
_PAGES, _SHARE = 3, 0.25  # a line stands on so many pages, and on such a share of them
_LINE = re.compile(".+")
_NUMBER = re.compile(r"\d+")


def running_lines(parts: Sequence[Part], starts: Sequence[int]) -> list[tuple[int, int]]:
    """Return the spans of such lines in the joined text, in their order. Their figures may differ.

    `starts`: the offsets of the parts in that text.
    """
    pages = [(start, part.text) for start, part in zip(starts, parts, strict=True) if part.page]
    seen = Counter(line for _, text in pages for line in {_line(text, *span) for span in _outermost(text)})
    least = max(_PAGES, len(pages) * _SHARE)
    return [
        (start + begin, start + end)
        for start, text in pages
        for begin, end in _outermost(text)
        if seen[_line(text, begin, end)] >= least
    ]


def _outermost(text: str) -> Iterator[tuple[int, int]]:
    """Give the spans of the first and of the last lines, without a list of all."""
    end = 0
    for found in islice(_LINE.finditer(text), _LINES):
        yield found.span()
        end = found.end()
    below = text[end:].rsplit("\n", _LINES)[1:]
    start = len(text) - sum(map(len, below)) - max(0, len(below) - 1)
    for line in below:
        yield start, start + len(line)
        start += len(line) + 1


def _line(text: str, start: int, end: int) -> str:
    return _NUMBER.sub("#", text[start:end])
