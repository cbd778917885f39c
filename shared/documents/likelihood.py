"""Rate how likely a text is in a language, as the logarithm of a probability (nats), by letters and signs.

Only characters outside ASCII count, as old encodings differ in those alone. The costs of signs and capitals
are chosen so that what occurs in no text, such as a sign inside a word, costs more than a rare pair.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.documents.letters.east_asian import EAST_ASIAN
from shared.documents.letters.latin import LATIN
from shared.documents.letters.other_alphabets import OTHER_ALPHABETS

ANY_WESTERN = "any of Western Europe"
"""For names from several languages, and languages without pairs of their own, such as Irish or Galician."""
WESTERN = ("de", "fr", "es", "pt", "it", "nl", "ca", "sv", "da", "no", "fi", "is", "et", "sq", "br")

IMPOSSIBLE = -math.inf
_WORD_OF_ANOTHER_LANGUAGE = 4.0  # added cost of a word in another of the encoding's languages
_UNSEEN_PAIR, _UNSEEN_LETTER = -10.5, -13.0
_IN_OTHER_ALPHABETS = -8.0, -14.0  # the same two values for other alphabets, where every letter counts
_BESIDE_LATIN = -9.0  # a letter of another alphabet beside a Latin one
_ONE_LETTER = -4.0  # a word of one letter of another alphabet: more often it is an accented Latin letter
_CAPITAL_AFTER_SMALL, _CAPITAL_INSIDE = -11.0, -0.7
_SEEN_NOWHERE = -13.0

# Signs that touch a word's start or end, and what the text must also have then, as a quote's other half.
_OPENING = dict.fromkeys("“‘„‚§", "") | {"”": "”", "«": "»", "»": "«", "‹": "›", "›": "‹", "¿": "?", "¡": "!"}
_CLOSING = dict.fromkeys("”’…", "") | {"“": "„", "‘": "‚", "«": "»", "»": "«", "‹": "›", "›": "‹"}
_TOUCHING = set("®™°²³ªº¹€£–—")
_ALONE = set("–—•·€°§©®™£¥…±×«»µ½¼¾²³¹†‡ªº„“”‘’‚№←→")
_QUOTES = set("„“”„‘’‚")
_PUNCTUATION = "".join(map(chr, range(0x20, 0x40)))
_NO_LETTERS = set("ªºµƒˆ")  # signs that Unicode counts as letters
_APOSTROPHE = re.compile(
    r"\w+n’t|\w+’s|(i|you|he|she|it|we|they|who|that|there)’(d|ll|m|re|ve)|(would|could|should|might|must)’ve|"
    r"([ldnsjcmto]|qu|dell|nell|all|sull|un|dall|jusqu|lorsqu)’\w+",
    re.IGNORECASE,
)
_EAST_ASIAN_SIGNS = set(
    "、。・「」『』（）〈〉《》【】〔〕ー～！？：；，．％＆＋－＝＊／＃　…‥—“”‘’·〜○●◎△▲□■◇◆☆★※→←↑↓〒｡｢｣､･"
)
# By language: an encoding, and the highest lead byte of its characters in common use.
_IN_COMMON_USE = {
    "ja": ("euc_jp", 0xCF),
    "zh": ("gb2312", 0xD7),
    "zh_tw": ("big5", 0xC6),
    "ko": ("euc_kr", 0xC8),
}


@dataclass(frozen=True)
class _Pairs:
    """The likelihoods of pairs of neighbours, and of single letters, in a language."""

    pairs: dict[str, float]
    letters: dict[str, float]


def likelihood(pieces: Sequence[str], languages: Sequence[str]) -> float:
    """Return the log-likelihood (nats) of these pieces of a text in the likeliest of the languages.

    A piece is a word with adjacent signs, and the ASCII character after it. IMPOSSIBLE: the pieces have no
    letter.
    """
    if languages[0] in EAST_ASIAN:
        return max(sum(_east_asian(piece, language) for piece in pieces) for language in languages)
    written = set[str]().union(*pieces)
    total, words = 0.0, list[str]()
    for piece in pieces:
        cost, found = _signs(piece, written)
        total += cost
        words += found
    if not words and languages[0] in OTHER_ALPHABETS:
        return IMPOSSIBLE
    if languages == WESTERN:
        languages = (*languages, ANY_WESTERN)
    rows = [[_word(word, language) for language in languages] for word in words]
    of_any = [max(row) - _WORD_OF_ANOTHER_LANGUAGE for row in rows]
    likeliest = max(
        sum(max(row[index], other) for row, other in zip(rows, of_any, strict=True))
        for index in range(len(languages))
    )
    return total + sum(map(_capitals, words)) + likeliest


def familiar(text: str) -> float:
    """Return the share of characters that are ASCII or usual in one of the languages, from 0 to 1."""
    usual = _usual()
    return sum(map(text.count, set(text) & usual)) / max(1, len(text))


def _signs(piece: str, written: set[str]) -> tuple[float, list[str]]:
    """Return the cost of a piece's signs, and its words that are not ASCII."""
    cost, words, word = 0.0, list[str](), ""
    for index, sign in enumerate(piece):
        if _is_letter(sign):
            word += sign
            continue
        if sign > "\x7f":
            cost += _sign(piece[:index], sign, piece[index + 1 :], written)
        words.append(word)
        word = ""
    return cost, [spelling for spelling in (*words, word) if not spelling.isascii()]


def _sign(before: str, sign: str, after: str, written: set[str]) -> float:
    follows, precedes = bool(before) and _is_letter(before[-1]), bool(after) and _is_letter(after[0])
    if sign == "\xa0":
        return _hard_space(before, after, follows and precedes)
    if not follows and not precedes:
        if "\u2500" <= sign <= "\u259f":
            return -3 if before.endswith(sign) else -8
        stands_free = not before and not after.strip()
        return -4 if sign in _ALONE and not (stands_free and sign in _QUOTES) else -12
    if follows and precedes:
        return _inside(before, sign, after)
    needed = (_CLOSING if follows else _OPENING).get(sign)
    if needed is None:
        return -9 if sign in _TOUCHING else -16
    return -5 if not needed or not written.isdisjoint(needed) else -12


def _inside(before: str, sign: str, after: str) -> float:
    if sign == "’":
        return -2 if _APOSTROPHE.fullmatch(f"{before}’{after}".strip(_PUNCTUATION)) else -10
    return -14 if sign in "–—…·" else -18


def _hard_space(before: str, after: str, is_inside: bool) -> float:
    """Rate a no-break space: usual before a French sign or beside a digit, rare between letters."""
    if is_inside:
        return -12
    if not before or not after:
        return -5
    return -5 if after[0] in ":;!?%»€-–+" or after[0].isdigit() or not before[-1].isalpha() else -12


def _word(word: str, language: str) -> float:
    text = " " + "".join(map(_small, word)) + " "
    model = _any_western() if language == ANY_WESTERN else _model(language)
    if language in OTHER_ALPHABETS:
        return _of_other_alphabet(text, model)
    return _of_latin(text, model)


def _of_latin(text: str, model: _Pairs) -> float:
    total = 0.0
    for first, second in pairwise(text):
        if first > "\x7f" or second > "\x7f":
            pair = model.pairs.get(first + second)
            total += _unseen(first, second, model) if pair is None else pair
        if first > "\x7f":
            total -= model.letters.get(first, -4.0)  # a letter in two pairs counts once
    return total


def _unseen(first: str, second: str, model: _Pairs) -> float:
    """Rate a pair that a language does not list: the more frequent its letters, the likelier it is."""
    letters = [letter for letter in (first, second) if letter > "\x7f"]
    if any(letter not in model.letters for letter in letters):
        return _UNSEEN_LETTER
    return max(_UNSEEN_PAIR, min(model.letters[letter] for letter in letters) - 6.5)


def _of_other_alphabet(text: str, model: _Pairs) -> float:
    total = _ONE_LETTER if len(text) == len(" и ") else 0.0
    unseen_pair, unseen_letter = _IN_OTHER_ALPHABETS
    for first, second in pairwise(text):
        are_latin = [letter.isascii() and letter != " " for letter in (first, second)]
        if all(are_latin):
            continue
        is_foreign = second > "\x7f" and second not in model.letters
        if any(are_latin):
            total += _BESIDE_LATIN + (unseen_letter if is_foreign else 0)
        elif (pair := model.pairs.get(first + second)) is not None:
            total += min(-0.1, pair - model.letters.get(first, -4.0))
        else:
            total += unseen_letter if is_foreign else unseen_pair
    return total


def _capitals(word: str) -> float:
    """Return the cost of implausible capitals: they hint at another encoding."""
    after_small = sum(
        second.isupper() and first.islower() and not (first + second).isascii()
        for first, second in pairwise(word)
    )
    inside = sum(letter > "\x7f" and letter.isupper() for letter in word[1:])
    # The small letter of İ is the ASCII i, which no pair counts.
    dotted = -6 * word.count("İ")
    return _CAPITAL_AFTER_SMALL * after_small + _CAPITAL_INSIDE * inside + dotted


def _east_asian(piece: str, language: str) -> float:
    common, total, before = _model(language).letters, 0.0, " "
    for sign in piece:
        if sign > "\x7f":
            total += common[sign] if sign in common else _rare(sign, language)
        if (before > "\x7f") != (sign > "\x7f") and not {before, sign} & _EAST_ASIAN_SIGNS:
            total -= 4 * (before if before < "\x80" else sign).isalpha()
        before = sign
    if not any(sign > "\x7f" and _is_letter(sign) for sign in piece):
        total -= 8  # signs without a letter
    if any("\uff61" <= sign <= "\uff9f" for sign in piece) and any("a" <= sign <= "z" for sign in piece):
        total -= 6  # half-width signs of Japanese do not occur beside small Latin letters
    return total


def _rare(sign: str, language: str) -> float:
    if sign in _EAST_ASIAN_SIGNS:
        return -4
    if "\u3040" <= sign < "\u3100":
        return -7 if language == "ja" else -13
    if "\uff61" <= sign <= "\uff9f":
        return -8
    if "\uff01" <= sign < "\uff60":
        return -6
    if "\u4e00" <= sign < "\ua000" or "\uac00" <= sign <= "\ud7a3":
        is_hangul = sign >= "\uac00"
        if is_hangul != (language == "ko"):
            return -14
        return -9 if _is_in_common_use(sign, language) else -13
    return -11


def _is_in_common_use(sign: str, language: str) -> bool:
    encoding, last = _IN_COMMON_USE[language]
    try:
        return sign.encode(encoding)[0] <= last
    except UnicodeEncodeError:
        return False


@functools.cache
def _model(language: str) -> _Pairs:
    if language in EAST_ASIAN:
        groups = re.findall(r"(\d)(\D*)", EAST_ASIAN[language])
        return _Pairs({}, {sign: -float(level) for level, signs in groups for sign in signs})
    is_latin = language in LATIN
    groups = re.findall(r"(\d)(\D*)", (LATIN if is_latin else OTHER_ALPHABETS)[language].replace("_", " "))
    pairs = {
        listed[index : index + 2]: -float(level)
        for level, listed in groups
        for index in range(0, len(listed), 2)
    }
    letters: dict[str, float] = defaultdict(float)
    for pair, logarithm in pairs.items():
        letters[pair[1] if is_latin else pair[0]] += math.exp(logarithm)
    known = {letter: math.log(sum_) for letter, sum_ in letters.items() if letter > "\x7f" or not is_latin}
    return _Pairs(pairs, known)


@functools.cache
def _any_western() -> _Pairs:
    pairs: dict[str, float] = {}
    for language in WESTERN:
        for pair, logarithm in _model(language).pairs.items():
            pairs[pair] = max(logarithm - 2.5, pairs.get(pair, IMPOSSIBLE))
    return _Pairs(pairs, {pair[1]: -2.5 for pair in pairs if pair[1] > "\x7f"})


@functools.cache
def _usual() -> frozenset[str]:
    letters = {letter for language in (*LATIN, *OTHER_ALPHABETS) for letter in _model(language).letters}
    characters = {sign for language in EAST_ASIAN for sign in _model(language).letters}
    ascii_ = set(map(chr, range(0x20, 0x7F))) | set("\t\n\r\f")
    signs = {*_OPENING, *_CLOSING, *_TOUCHING, *_ALONE, *_EAST_ASIAN_SIGNS, "\xa0"}
    return frozenset(letters | {letter.upper() for letter in letters} | characters | ascii_ | signs)


@functools.cache
def _is_letter(sign: str) -> bool:
    return (sign.isalpha() or unicodedata.category(sign) == "Mn") and sign not in _NO_LETTERS


def _small(letter: str) -> str:
    return "i" if letter == "İ" else letter.lower()
