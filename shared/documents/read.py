"""Read the text of a file. Files are untrusted: any content results in text or a reason for refusal."""

from __future__ import annotations

import codecs
import unicodedata

from shared.documents.damage import refuse_damaged
from shared.documents.mime import is_raw_form
from shared.errors import DocumentRefused

_AFTER_DAMAGE = 256 * 1024  # bytes after the first damage that decide whether a file is UTF-8 nevertheless
_STRETCH = 1024 * 1024  # bytes that are searched or decoded at a time: a copy of all would double the memory
_TELLING = 16 * 1024  # bytes by which UTF-16 or UTF-32 without a byte order mark is recognised
_PICTURE = "the file is a picture: run text recognition (OCR) on it, and upload its text"
_OLD_WORD = "the file has an old Word format: save it as docx or PDF"
_NO_TEXT = {
    b"\x89PNG": _PICTURE,
    b"\xff\xd8\xff": _PICTURE,
    b"GIF8": _PICTURE,
    b"\xdb\xa5-\0": _OLD_WORD,
    b"1\xbe\0\0": _OLD_WORD,
    b"\x1f\x8b": "the file is compressed: unpack it",
}
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, as it begins with that mark
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WITHOUT_MARK = (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2))
_FAMILIAR = 0.4
_DIFFERENT = 10  # different characters that a text has at least; numbers in binary files repeat a few
"""The least share of usual characters. Bytes that are not UTF-16 form hardly any usual characters."""
# The control characters that no text has: all but tabs, line and page ends, escape and the end mark of DOS.
_BINARY = bytes(set(range(0x20)) - set(b"\t\n\v\f\r\x1a\x1b"))
_PRINTABLE = bytes((*range(0x20, 0x7F), *b"\t\n\r"))
_LEADING = bytes(range(0xC0, 0x100))  # the first bytes of UTF-8's sequences

_AS_TEXT = "save it as text (txt, md, json, csv), docx or PDF"
_AS_UTF8 = "save it again as UTF-8"


def read_text(data: bytes) -> str:
    """Return the text of a plain text file (txt, md, json, csv and the like).

    UTF-8, UTF-16, UTF-32, or an older encoding that the content identifies with certainty.
    Raises DocumentRefused with a reason for the document's owner.
    """
    if not data:
        raise DocumentRefused("the file is empty")
    reason = next((why for start, why in _NO_TEXT.items() if data.startswith(start)), None)
    if reason is not None:
        raise DocumentRefused(reason)
    if is_raw_form(data):
        raise DocumentRefused(
            "the file is the body of a web form, with the document wrapped in it: send the document by itself"
        )
    text = _decode(data)
    if "\0" in text:
        raise DocumentRefused(f"the file is binary, not plain text: {_AS_TEXT}")
    if not text or text.isspace():
        raise DocumentRefused("the file holds nothing but white space")
    refuse_damaged(text)
    return text


def how_many(data: bytes, kinds: bytes) -> int:
    """Count the bytes that are among `kinds`."""
    stretches = (data[start : start + _STRETCH] for start in range(0, len(data), _STRETCH))
    return sum(len(stretch) - len(stretch.translate(None, kinds)) for stretch in stretches)


def marked_encoding(data: bytes) -> str | None:
    """Return the encoding that a byte order mark names; None without one."""
    return next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)


def _decode(data: bytes) -> str:
    mark = marked_encoding(data)
    if mark is not None:
        return _decode_marked(data, mark)
    if data.isascii():
        wide = _wide(data) if how_many(data, _BINARY) else None
        return _decode_marked(data, wide) if wide else _decode_ascii(data)
    try:
        return _decode_in_stretches(data, "utf-8")
    except UnicodeDecodeError as error:
        return _decode_other(data, error.start)


def _decode_in_stretches(data: bytes, encoding: str) -> str:
    """Decode all of it: at once, Python would need the memory of three such texts.

    Raises UnicodeDecodeError with the position in `data`.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    texts = []
    for start in range(0, len(data), _STRETCH):
        end, kept = start + _STRETCH, len(decoder.getstate()[0])
        try:
            texts.append(decoder.decode(data[start:end], final=end >= len(data)))
        except UnicodeDecodeError as error:
            error.start += start - kept
            raise
    return "".join(texts)


def _decode_marked(data: bytes, mark: str) -> str:
    try:
        return _decode_in_stretches(data, mark)
    except UnicodeDecodeError as error:
        raise _damaged(mark.removesuffix("-sig"), error.start) from None


def _decode_ascii(data: bytes) -> str:
    from shared.documents.seven_bit import decode_seven_bit  # imported where it is used: it loads languages

    if all(sequence not in data for sequence in (b"\x1b$", b"~{", b"+")):
        return data.decode()
    decoded = decode_seven_bit(data)
    return data.decode() if decoded is None else decoded


def _decode_other(data: bytes, damaged_at: int) -> str:
    """Decode data that is not UTF-8: the bytes at `damaged_at` are invalid."""
    from shared.documents.encodings import old_encoding  # imported where it is used: most files are UTF-8

    if wide := _wide(data):
        return _decode_marked(data, wide)
    if how_many(data, _BINARY):
        raise DocumentRefused(f"the file is binary, not plain text: {_AS_TEXT}")
    if is_mostly_utf8(data, damaged_at):
        raise _damaged("utf-8", damaged_at)
    if (name := old_encoding(data)) is not None:
        try:
            return _decode_in_stretches(data, name)
        except UnicodeDecodeError:  # the bytes after the sample have another encoding
            pass
    raise DocumentRefused(f"the file's encoding cannot be determined: {_AS_UTF8}")


def _damaged(name: str, at: int) -> DocumentRefused:
    return DocumentRefused(f"the file is {name.upper()}, damaged at byte {at:,}: {_AS_UTF8}")


def _wide(data: bytes) -> str | None:
    """Return the encoding's name if it is UTF-16 or UTF-32 without a byte order mark, else None.

    Pairs of ASCII letters look like Chinese characters: data that is mostly ASCII is none of these.
    """
    from shared.documents.likelihood import familiar

    start = data[:_TELLING]
    if how_many(start, _PRINTABLE) > 0.9 * len(start):
        return None
    least = _FAMILIAR if how_many(start, _BINARY) else 1.5 * _FAMILIAR
    for name, width in _WITHOUT_MARK:
        if len(data) % width == 0:
            text = _decoded(start, name)
            if not text or any(map(_is_no_text, set(text))) or familiar(text) <= least:
                continue
            if len(set(text)) >= min(_DIFFERENT, len(text) // 4):
                return name
    return None


def _decoded(start: bytes, name: str) -> str:
    """Decode the start of a file without a character that is cut off at its end."""
    try:
        return codecs.getincrementaldecoder(name)().decode(start)
    except UnicodeDecodeError:
        return ""


def _is_no_text(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cn", "Co", "Cs") and sign not in "\t\n\v\f\r\x1a\x85"


def is_mostly_utf8(data: bytes, damaged_at: int) -> bool:
    """Return whether it is truncated or damaged UTF-8: other encodings form its sequences only by chance.

    All bytes before the first damage are valid. After it a part is enough: every invalid byte costs a call,
    and a file in another encoding has millions.
    """
    text = data[damaged_at : damaged_at + _AFTER_DAMAGE].decode(errors="replace")
    damaged = text.count("\N{REPLACEMENT CHARACTER}")
    valid = len(text) - len(text.encode("ascii", "ignore")) - damaged
    return valid + how_many(data[:damaged_at], _LEADING) > 3 * damaged
