"""Fold texts into forms that leave out how a text is set, and know where each character came from."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import StringIO
from unicodedata import category, is_normalized, normalize

QUOTATION_MARKS = "\"'`´‘’‚‛“”„‟′″«»‹›＂＇"
_SIGNS = {**dict.fromkeys(QUOTATION_MARKS, "'"), **dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"), "⁄": "/"}  # ⁄: in ½
_LONGEST = 6  # characters that one may become: "㌖" is "キロメートル", but U+FDFA a sentence
_ACCENTS = re.compile(r"[^\w\s]{2,30}")  # among other signs; ordering takes time quadratic in their number
_IN_FIGURES = ".,:/'-"
_STRETCH = 1000  # characters that are folded at once, and counted through to find where one came from
_KEPT = 20_000  # characters in a table: those of any one document, but not all of Unicode


class _Table(dict[int, str | None]):
    """What becomes of each character, computed when it is first met. None: it is left out."""

    def __init__(self, fold: Callable[[str], str]) -> None:
        super().__init__()
        self._fold = fold

    def __missing__(self, code: int) -> str | None:
        folded = self._fold(chr(code)) or None
        if len(self) < _KEPT:
            self[code] = folded
        return folded


@dataclass(frozen=True)
class Form:
    """A form of texts: what is left out by its surroundings, and what becomes of each other character.

    `ordered`: the accents of a letter are put into Unicode's order; the table must decompose letters (NFD).
    """

    left_out: re.Pattern[str]
    table: _Table
    ordered: bool


class Folded:
    """A text in a form. Takes time and memory proportional to its length."""

    def __init__(self, source: str, form: Form) -> None:
        self._kept = Kept(source, (found.span() for found in form.left_out.finditer(source)))
        self._table = form.table
        self._offsets = array("I")  # in the form, of each stretch of what is kept
        folded, kept = StringIO(), self._kept.text
        for start in range(0, len(kept), _STRETCH):
            self._offsets.append(folded.tell())
            folded.write(kept[start : start + _STRETCH].translate(form.table))
        self.text = _ordered(folded.getvalue()) if form.ordered else folded.getvalue()

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return what the characters `start` to `end` of the form, at least one, are in the source."""
        return self._origin(start), self._origin(end - 1) + 1

    def _origin(self, index: int) -> int:
        stretch = bisect_right(self._offsets, index) - 1
        at, before = stretch * _STRETCH, index - self._offsets[stretch]
        while (length := len(self._kept.text[at].translate(self._table))) <= before:
            at, before = at + 1, before - length
        return self._kept.origin(at)


class Kept:
    """A text without some of its spans, which are given in their order."""

    def __init__(self, source: str, left_out: Iterable[tuple[int, int]]) -> None:
        self._starts, self._offsets = array("I", [0]), array("I", [0])  # of each piece: in the source, here
        kept, start = StringIO(), 0
        for end, after in left_out:
            kept.write(source[start:end])
            start = after
            self._starts.append(start)
            self._offsets.append(kept.tell())
        kept.write(source[start:])
        self.text = kept.getvalue()

    def origin(self, index: int) -> int:
        """Return where a character of the text stands in the source."""
        piece = bisect_right(self._offsets, index) - 1
        return self._starts[piece] + index - self._offsets[piece]


def _ordered(text: str) -> str:
    """Put the accents of each letter into Unicode's order. Of a long row, which is no language, in parts."""
    if is_normalized("NFD", text):
        return text
    return _ACCENTS.sub(lambda found: normalize("NFD", found[0]), text)


def _one_space(character: str) -> str:
    return " " if character.isspace() else character


def _plain(character: str) -> str:
    """Fold case, compatibility (NFKD) and the kinds of a sign; leave out what is not seen, such as U+00AD."""
    if character in _SIGNS:
        return _SIGNS[character]
    if category(character) in ("Cc", "Cf"):
        return ""
    folded = normalize("NFKD", normalize("NFKD", character).casefold())
    seen = "".join([_SIGNS.get(each, each) for each in folded if not each.isspace()])
    return seen if len(seen) <= _LONGEST else character


def _letter(character: str) -> str:
    kind = category(character)
    kept = kind[0] in "LMN" or kind == "Sc" or character == "%" or character in _IN_FIGURES
    return character if kept else ""


WORDS = Form(re.compile(r"\s(?<=\s\s)\s*"), _Table(_one_space), ordered=False)
"""White space folded, and nothing else."""

SIGNS = Form(
    re.compile(r"[-‐](?<=[^\W\d_].)[^\S\n]*\n\s*+(?=[^\W\d_])"),  # hyphens at the ends of lines
    _Table(_plain),
    ordered=True,
)
"""Letters and signs without white space, case, hyphenation, and the kinds of quotation marks and dashes."""

LETTERS = Form(
    re.compile(rf"[{_IN_FIGURES}](?:(?!\d)|(?<!\d.))"),
    _Table(_letter),
    ordered=True,
)
"""Of a text in the form SIGNS: letters and digits, currencies, %, and the signs within figures."""
