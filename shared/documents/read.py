"""A file → its text. Files are untrusted: whatever they hold, the outcome is text or a reason."""

from __future__ import annotations

import codecs
import contextlib
import string

from shared.errors import DocumentRefused

_SAMPLE = 64 * 1024  # bytes from which an old encoding is told
_AFTER_DAMAGE = 256 * 1024  # bytes after the first damage that tell whether a file is UTF-8 all the same
_STRETCH = 1024 * 1024  # bytes that are looked through at a time: a copy of all would double the memory
_KINDS = {
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP or Office file",
    b"\xd0\xcf\x11\xe0": "an old Office file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"\x1f\x8b": "a compressed file",
}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What Windows wrote and writes, the likeliest first: a short text fits several equally well.
_LATIN = ("cp1252", "cp1250")
_OTHER_ALPHABETS = ("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256")
_EAST_ASIAN = ("cp932", "gb18030", "big5", "cp949")
# The control characters that no text holds: all but tabs, line and page ends, escape and the end mark of DOS.
_BINARY = bytes(set(range(0x20)) - set(b"\t\n\v\f\r\x1a\x1b"))
_LEADING = bytes(range(0xC0, 0x100))  # the first bytes of UTF-8's sequences

_AS_TEXT = "save it as text (txt, md, json, csv)"
_AS_UTF8 = "save it again as UTF-8"


def read_text(data: bytes) -> str:
    """The text of a plain text file (txt, md, json, csv and the like).

    UTF-8, UTF-16 with a byte order mark, or an older encoding that can be told from what the file holds.
    Raises DocumentRefused with a reason for the document's owner.
    """
    if not data:
        raise DocumentRefused("the file is empty")
    kind = next((name for magic, name in _KINDS.items() if data.startswith(magic)), None)
    if kind is not None:
        raise DocumentRefused(f"the file is {kind}, not plain text: {_AS_TEXT}")
    text = _decode(data)
    if "\0" in text:
        raise DocumentRefused(f"the file is binary, not plain text: {_AS_TEXT}")
    if not text or text.isspace():
        raise DocumentRefused("the file holds nothing but white space")
    return text


def _decode(data: bytes) -> str:
    mark = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    try:
        return data.decode(mark or "utf-8")
    except UnicodeDecodeError as error:
        damaged_at = error.start
    if mark is None and how_many(data, _BINARY):
        raise DocumentRefused(f"the file is binary, not plain text: {_AS_TEXT}")
    if mark is not None or _is_mostly_utf8(data, damaged_at):
        name = (mark or "utf-8").removesuffix("-sig").upper()
        raise DocumentRefused(f"the file is {name}, damaged at byte {damaged_at:,}: {_AS_UTF8}")
    return _decode_old(data, damaged_at)


def how_many(data: bytes, kinds: bytes) -> int:
    """How many bytes are of these kinds."""
    stretches = (data[start : start + _STRETCH] for start in range(0, len(data), _STRETCH))
    return sum(len(stretch) - len(stretch.translate(None, kinds)) for stretch in stretches)


def _is_mostly_utf8(data: bytes, damaged_at: int) -> bool:
    """Whether it is UTF-8 that was cut off or damaged: other encodings form its sequences by chance only.

    What stands before the first damage is all valid. After it a part is enough: each byte that is no UTF-8
    costs a call, and a file of another encoding has millions.
    """
    text = data[damaged_at : damaged_at + _AFTER_DAMAGE].decode(errors="replace")
    damaged = text.count("\N{REPLACEMENT CHARACTER}")
    valid = len(text) - len(text.encode("ascii", "ignore")) - damaged
    return valid + how_many(data[:damaged_at], _LEADING) > 3 * damaged


def _decode_old(data: bytes, telling: int) -> str:
    """Text in an encoding from before Unicode, as Office on Windows still writes CSV.

    `telling`: where its first byte is that is not UTF-8. Where several encodings fit, the likeliest is taken.
    """
    from charset_normalizer import from_bytes  # imported where it is used: most files are UTF-8

    # At a line's start and end no character is cut.
    first = data.rfind(b"\n", 0, max(0, telling - _SAMPLE // 2)) + 1
    last = data.rfind(b"\n", max(first, telling), first + _SAMPLE) + 1
    sample = data[first : last if last and first + _SAMPLE < len(data) else first + _SAMPLE]
    letters = len(sample) - len(sample.translate(None, string.ascii_letters.encode()))
    high = sum(byte > 0x7F for byte in sample)
    is_latin = high < max(letters, len(sample) / 3)
    likely = _LATIN + _OTHER_ALPHABETS if is_latin else _OTHER_ALPHABETS + _EAST_ASIAN + _LATIN
    matches = list(from_bytes(sample, cp_isolation=list(likely)))
    least_chaos = min((match.chaos for match in matches), default=0.0)
    candidates = [
        (_symbols_in_words(str(match)), -match.coherence, likely.index(name), name)
        for match in matches
        for name in match.could_be_from_charset
        if match.chaos == least_chaos and name in likely
    ]
    if candidates:
        with contextlib.suppress(UnicodeDecodeError):  # what follows the sample may be of another kind
            return data.decode(min(candidates)[-1])
    raise DocumentRefused(f"the file's encoding cannot be told: {_AS_UTF8}")


def _symbols_in_words(text: str) -> int:
    """How often a character that is no letter stands inside a word, as in `us³ug` for `usług`."""
    return sum(
        here > "\x7f" and before.isalpha() and not here.isalpha() and after.isalpha()
        for before, here, after in zip(text, text[1:], text[2:], strict=False)
    )
