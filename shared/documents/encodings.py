"""Detect the encoding of a text from before Unicode. If the result is not certain, there is none.

Every encoding that decodes the bytes gives a different text. The likeliest text is chosen if it is likely
enough by itself, and so much likelier than every other text that chance does not explain it.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from shared.documents.likelihood import IMPOSSIBLE, WESTERN, likelihood

_CENTRAL = ("pl", "cs", "sk", "hu", "sl", "hr", "ro", "sq", "de")
_BALTIC = ("lt", "lv", "et", "pl", "de")
_TURKISH = ("tr", "de", "fr")
_CYRILLIC = ("ru", "uk", "bg", "sr", "mk")
# Every encoding with its languages, and a deduction if it is rarer than those of Windows.
_ENCODINGS: dict[str, tuple[tuple[str, ...], float]] = {
    "cp1252": (WESTERN, 0.0),
    "iso8859_15": (WESTERN, 0.5),
    "cp1250": (_CENTRAL, 0.5),
    "iso8859_2": (_CENTRAL, 1.5),
    "cp1254": (_TURKISH, 0.0),
    "cp1257": (_BALTIC, 0.0),
    "iso8859_13": (_BALTIC, 3.0),
    "cp1258": (("vi", "fr"), 0.0),
    "mac_roman": (WESTERN, 1.5),
    "mac_latin2": (_CENTRAL, 3.0),
    "mac_turkish": (_TURKISH, 3.0),
    "cp850": (WESTERN, 1.5),
    "cp437": (WESTERN, 1.5),
    "cp852": (_CENTRAL, 3.0),
    "cp857": (_TURKISH, 3.0),
    "cp775": (_BALTIC, 3.0),
    "cp1251": (_CYRILLIC, 0.0),
    "koi8_r": (("ru",), 0.0),
    "koi8_u": (("uk", "ru"), 1.5),
    "cp866": (("ru", "bg", "uk"), 1.5),
    "mac_cyrillic": (_CYRILLIC, 3.0),
    "iso8859_5": (_CYRILLIC, 3.0),
    "cp1253": (("el",), 0.0),
    "iso8859_7": (("el",), 1.5),
    "cp737": (("el",), 3.0),
    "mac_greek": (("el",), 3.0),
    "cp1255": (("he",), 0.0),
    "cp862": (("he",), 3.0),
    "cp1256": (("ar", "fa"), 0.0),
    "iso8859_6": (("ar",), 3.0),
    "cp874": (("th",), 0.0),
    "cp932": (("ja",), 0.0),
    "euc_jp": (("ja",), 1.5),
    "gb18030": (("zh", "zh_tw"), 0.0),
    "big5": (("zh_tw",), 0.0),
    "cp949": (("ko",), 0.0),
}
_OF_SEVERAL_BYTES = {"cp932", "euc_jp", "gb18030", "big5", "cp949"}
_SAMPLE = 64 * 1024  # bytes
_STRETCH = 1024 * 1024  # bytes that are searched at a time: a copy of all would double the memory
_AROUND = 100  # bytes on either side of a byte that is not in the sample
_MOST_PIECES = 400
_MARGIN, _MARGIN_OF_EACH = 5.0, 0.8
"""How much likelier (nats) than any other text it must be: at least, and per byte that is not ASCII."""
_LEAST_LIKELY = {"ja": -5.6, "zh": -5.6, "zh_tw": -5.6, "ko": -5.6} | dict.fromkeys(
    ("ru", "uk", "el", "he", "ar", "th"), -6.3
)  # nats for each byte that is not ASCII
_LEAST_LIKELY_LATIN = -11.5
# A word with adjacent signs, and the character after it. It cuts no character of any encoding except the rare
# ones of four bytes in GB 18030.
_PIECE = re.compile(rb"(?:[\x21-\x3f](?=[\x80-\xff]))?[\x40-\x7e']*[\x80-\xff][\x40-\xff']*[\x20-\x3f]?")
_CONTROLS_AND_PRIVATE = re.compile("[\x80-\x9f\ue000-\uf8ff\ufffd]")


@dataclass(frozen=True)
class _Candidate:
    score: float
    name: str
    pieces: list[str]


def old_encoding(data: bytes) -> str | None:
    """Return the text's encoding from before Unicode; None if it is not certain."""
    sample = _sample(data)
    name = _likeliest(sample, _PIECE.findall(sample))
    if name is None or name in _OF_SEVERAL_BYTES or not (missing := _missing(data, sample)):
        return name
    # Encodings that decode the sample alike may decode these bytes differently.
    rare = [piece for at in missing for piece in _PIECE.findall(data, max(0, at - _AROUND), at + _AROUND)]
    return _likeliest(b"\n".join([*rare, sample]), [*rare, *_PIECE.findall(sample)])


def _likeliest(sample: bytes, found: list[bytes]) -> str | None:
    pieces = list(dict.fromkeys(found))[:_MOST_PIECES]  # without duplicates: a repeated word proves no more
    high = [sum(byte > 0x7F for byte in piece) for piece in pieces]
    ranked = sorted(_candidates(sample, pieces), key=lambda candidate: candidate.score, reverse=True)
    if not ranked:
        return None
    best, languages, rarity = ranked[0], *_ENCODINGS[ranked[0].name]
    if best.score < sum(high) * _LEAST_LIKELY.get(languages[0], _LEAST_LIKELY_LATIN):
        return None
    for other in ranked[1:]:
        differing = sum(
            count for count, one, two in zip(high, best.pieces, other.pieces, strict=True) if one != two
        )
        if differing and best.score < other.score + _MARGIN + _MARGIN_OF_EACH * differing + rarity:
            return None
    return best.name


def _missing(data: bytes, sample: bytes) -> list[int]:
    """Return the first position of every non-ASCII byte that is not in the sample."""
    known, places = bytes(set(sample)) + bytes(range(0x80)), list[int]()
    for start in range(0, len(data), _STRETCH):
        stretch = data[start : start + _STRETCH]
        new = set(stretch.translate(None, known))
        places += [start + stretch.index(byte) for byte in sorted(new)]
        known += bytes(new)
    return places


def _candidates(sample: bytes, pieces: list[bytes]) -> Iterator[_Candidate]:
    """Yield every encoding that can decode the sample."""
    is_whole = len(sample) < _SAMPLE  # otherwise its end may cut a character
    for name, (languages, rarity) in _ENCODINGS.items():
        try:
            text = codecs.getincrementaldecoder(name)().decode(sample, final=is_whole)
        except UnicodeDecodeError:
            continue
        if _CONTROLS_AND_PRIVATE.search(text):
            continue
        decoded = [piece.decode(name, errors="replace") for piece in pieces]
        if name == "cp1258":  # in it, accents of Vietnamese follow their letters
            decoded = [unicodedata.normalize("NFC", text) for text in decoded]
        score = likelihood(decoded, languages) - rarity
        if score > IMPOSSIBLE:
            yield _Candidate(score, name, decoded)


def _sample(data: bytes) -> bytes:
    """Return a part around the first non-ASCII byte, which does not begin inside a character."""
    match = re.search(rb"[\x80-\xff]", data)
    telling = match.start() if match else 0
    earliest = max(0, telling - _SAMPLE // 2)
    line = data.rfind(b"\n", earliest, telling) + 1
    start = line or (telling if earliest else 0)
    return data[start : start + _SAMPLE]
