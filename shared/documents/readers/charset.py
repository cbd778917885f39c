"""Decode text by the encoding that a file names for it. Wrong names lose no text."""

from __future__ import annotations

import binascii
import codecs
import re
from itertools import groupby

from shared.documents.damage import refuse_damaged
from shared.documents.read import read_text
from shared.errors import DocumentRefused

# Python knows more codecs, of which some unpack archives or take quadratic time.
_KNOWN = re.compile(r"(?:utf-?(?:8|16|32)|cp\d|iso|koi8|mac|gb|big5|euc|shift|hz|johab|tis|ascii|kz|ptcp)")
# As browsers do (encoding.spec.whatwg.org): the wider encoding, which programs use under the narrower name.
_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
# Code pages of Windows that Python has under another name than cp and the number.
_PAGES = {
    0: "cp1252",
    10000: "mac_roman",
    10006: "mac_greek",
    10007: "mac_cyrillic",
    10029: "mac_latin2",
    10081: "mac_turkish",
    20127: "cp1252",
    20866: "koi8_r",
    20932: "euc_jp",
    21866: "koi8_u",
    50220: "iso2022_jp",
    50221: "iso2022_jp",
    50225: "iso2022_kr",
    51932: "euc_jp",
    51949: "cp949",
    52936: "hz",
    54936: "gb18030",
    1200: "utf-16-le",
    1201: "utf-16-be",
    1361: "johab",
    65001: "utf-8",
}
_WORD = re.compile(r"=\?([^?*\s]{1,60})(?:\*[^?\s]{0,60})?\?([bq])\?([^?]*)\?=", re.IGNORECASE)
_WORDS = re.compile(rf"(?:{_WORD.pattern.replace('([', '(?:[')})++", re.IGNORECASE)
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")


def codec(label: str) -> str | None:
    """Return Python's name of an encoding that a file names; None if it is unknown."""
    try:
        name = codecs.lookup(label.strip()).name
    except (LookupError, ValueError):
        return None
    return _WIDER.get(name, name) if _KNOWN.match(name) else None


def codec_of_page(number: int) -> str | None:
    """Return Python's name of a code page of Windows; None if it is unknown."""
    if 28591 <= number <= 28605:
        return codec(f"iso8859-{number - 28590}")
    return _PAGES.get(number) or codec(f"cp{number}")


def declared(data: bytes, name: str | None) -> str | None:
    """Decode by one of Python's encodings; None if that gives a damaged text, or there is no name."""
    if name is None:
        return None
    text = data.decode(name, "replace")
    try:
        refuse_damaged(text)
    except DocumentRefused:
        return None
    return text


def any_text(data: bytes, name: str | None = None) -> str:
    """Decode by the name, else by the content, else byte by byte: whatever the data is, it is read."""
    text = declared(data, name)
    if text is None:
        try:
            text = read_text(data)
        except DocumentRefused:
            text = data.decode("cp1252", "replace")
    return text.removeprefix("\ufeff").replace("\0", "").replace("\r\n", "\n")


def encoded_words(value: str) -> str:
    """Decode the words of a mail's header that carry their encoding (RFC 2047), and unfold it."""
    value = _BETWEEN_WORDS.sub("", value)
    return " ".join(_WORDS.sub(lambda run: _decoded_run(run[0]), value).split())


def _decoded_run(run: str) -> str:
    """Decode adjacent words together: mail programs cut characters in two."""
    words = ((match[1].lower(), _word_bytes(match[2], match[3])) for match in _WORD.finditer(run))
    runs = groupby(words, lambda word: word[0])
    return "".join(any_text(b"".join(data for _, data in run), codec(label)) for label, run in runs)


def _word_bytes(kind: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if kind in "qQ":
        return binascii.a2b_qp(data, header=True)
    try:
        return binascii.a2b_base64(data.rstrip(b"=") + b"==") or data
    except binascii.Error:
        return data
