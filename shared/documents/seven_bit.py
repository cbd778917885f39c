"""Decode text in encodings that use ASCII bytes only: ISO-2022, HZ and UTF-7, as old mail programs save it.

Source code and logs contain similar sequences. A sequence counts as encoded only if it follows the encoding's
rules and decodes to plausible text.
"""

from __future__ import annotations

import re

from shared.documents.letters.east_asian import EAST_ASIAN
from shared.documents.likelihood import familiar, likelihood
from shared.errors import DocumentRefused

_JAPANESE = re.compile(rb"\x1b\$(?:[@B]|\([@BDOPQ])[\x21-\x7e\r\n]{2,}")
_KOREAN = re.compile(rb"\x1b\$\)C")
_CHINESE = re.compile(rb"\x1b\$(?:\)[AGE]|[*+][HIJKLM])")
_SHIFTED = re.compile(rb"\x0e(?:[\x21-\x7e]{2})+")  # a run of characters in ISO-2022-KR and -CN
_HZ = re.compile(rb"~\{((?:[\x21-\x77][\x21-\x7e])+)~\}")
_UTF_7 = re.compile(rb"\+[A-Za-z0-9+/]{3,}-?")
_LEAST_FAMILIAR = 0.4  # share of familiar characters; names in rare characters reach it, too
_LEAST_LIKELY = -9.0  # nats for each Chinese character


def decode_seven_bit(data: bytes) -> str | None:
    """Return the text of an ASCII file in such an encoding; None if it is in none, so that it is plain ASCII.

    Raises DocumentRefused if it is damaged or the encoding is not supported.
    """
    if b"\x1b$" in data:
        return _iso_2022(data)
    if b"~{" in data and (text := _hz(data)) is not None:
        return text
    return _utf_7(data) if b"+" in data else None


def _iso_2022(data: bytes) -> str | None:
    if _JAPANESE.search(data):
        return _strictly(data, "iso2022_jp_ext", "ISO-2022-JP")
    if not _SHIFTED.search(data):
        return None
    if _KOREAN.search(data):
        return _strictly(data, "iso2022_kr", "ISO-2022-KR")
    if _CHINESE.search(data):
        raise DocumentRefused("the file is ISO-2022-CN, which cannot be read: save it again as UTF-8")
    return None


def _hz(data: bytes) -> str | None:
    runs = [match[1] for match in _HZ.finditer(data)]
    try:
        chinese = bytes(byte | 0x80 for byte in b"".join(runs)).decode("gb2312")
    except UnicodeDecodeError:
        return None
    if not runs or likelihood([chinese], ("zh",)) < _LEAST_LIKELY * len(chinese):
        return None
    return _strictly(data, "hz", "HZ")


def _utf_7(data: bytes) -> str | None:
    runs = _UTF_7.findall(data)
    written = "".join(_of_utf_7(run) for run in runs)
    foreign = "".join(sign for sign in written if not sign.isascii())
    if not foreign or not _is_text(foreign):
        return None
    try:
        return data.decode("utf-7")
    except UnicodeDecodeError:
        pass
    if sum(not _of_utf_7(run).isascii() for run in runs) >= 0.7 * data.count(b"+"):
        raise DocumentRefused("the file is UTF-7 and damaged: save it again as UTF-8")
    return None


def _is_text(foreign: str) -> bool:
    if familiar(foreign) >= _LEAST_FAMILIAR:
        return True
    return len(foreign) > 1 and any(
        likelihood([foreign], (language,)) >= _LEAST_LIKELY * len(foreign) for language in EAST_ASIAN
    )


def _of_utf_7(run: bytes) -> str:
    try:
        return run.decode("utf-7")
    except UnicodeDecodeError:
        return ""


def _strictly(data: bytes, encoding: str, name: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        place = f"damaged at byte {error.start:,}"
        raise DocumentRefused(f"the file is {name}, {place}: save it again as UTF-8") from None
    if "\x1b$" in text:
        raise DocumentRefused(f"the file is {name} of a kind that cannot be read: save it again as UTF-8")
    return text
