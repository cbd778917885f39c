"""Rank texts by how well they match a question: by its rare words above all (Okapi BM25)."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

_SATURATION, _BY_LENGTH = 1.2, 0.75  # BM25's k1 and b, as Lucene has them
# Thai, Lao; Burmese; Khmer; kana; Han; Hangul, whose words have endings.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_MARKS = "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0963\u0966-\u0dff"  # no letters for Python's \w
_WORD = re.compile(rf"[\w{_MARKS}{_UNSPACED}]+")
_RUN = re.compile(f"([{_UNSPACED}]+)")


class Ranking:
    """The words of some texts, each with the texts that it occurs in."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._holders = defaultdict[str, list[int]](list)  # of each word, a text as often as it occurs there
        lengths = list[int]()
        for number, text in enumerate(texts):
            words = _words(text)
            lengths.append(len(words))
            for word in words:
                self._holders[word].append(number)
        average = sum(lengths) / max(1, len(lengths)) or 1
        self._damping = [_SATURATION * (1 - _BY_LENGTH + _BY_LENGTH * length / average) for length in lengths]

    def best(self, query: str) -> list[int]:
        """Return the indexes of all texts, the best first, and equally good ones in their order."""
        scores = [0.0] * len(self._damping)
        for word in dict.fromkeys(_words(query)):
            held = Counter(self._holders.get(word, ()))
            rarity = math.log(1 + (len(scores) - len(held) + 0.5) / (len(held) + 0.5))
            for number, times in held.items():
                scores[number] += rarity * times / (times + self._damping[number])
        return sorted(range(len(scores)), key=lambda number: -scores[number])


def _words(text: str) -> list[str]:
    """Return the words in small letters; of scripts without spaces, each two neighbouring characters."""
    words = list[str]()
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("_", " ")):
        if word.isascii():
            words.append(word)
        else:
            for piece in filter(None, _RUN.split(word)):
                words += _pairs(piece) if _RUN.match(piece) else [piece]
    return words


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(max(1, len(run) - 1))]
