"""A file → its text. Files are untrusted: whatever they hold, the outcome is text or a reason."""

from __future__ import annotations

import codecs

from shared.errors import DocumentRefused

_SAMPLE = 64 * 1024  # bytes from which an old encoding is guessed
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


def read_text(data: bytes) -> str:
    """The text of a plain text file (txt, md, json, csv and the like).

    UTF-8, UTF-16 with a byte order mark, or an older encoding that can be told with confidence.
    Raises DocumentRefused with a reason for the document's owner.
    """
    if not data:
        raise DocumentRefused("the file is empty")
    kind = next((name for magic, name in _KINDS.items() if data.startswith(magic)), None)
    if kind is not None:
        raise DocumentRefused(f"the file is {kind}, not plain text: save it as text (txt, md, json, csv)")
    text = _decode(data)
    if not text.strip():
        raise DocumentRefused("the file holds nothing but white space")
    return text


def _decode(data: bytes) -> str:
    mark = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    text: str | None
    try:
        text = data.decode(mark or "utf-8")
    except UnicodeDecodeError:
        text = None if mark else _decode_old(data)
    if text is None or "\0" in text:
        raise DocumentRefused("the file is binary, not plain text: save it as text (txt, md, json, csv)")
    return text


def _decode_old(data: bytes) -> str | None:
    """Text in an encoding from before Unicode, as Office on Windows still writes CSV."""
    from charset_normalizer import from_bytes  # imported where it is used: most files are UTF-8

    if b"\0" in data[:_SAMPLE]:
        return None
    best = from_bytes(data[:_SAMPLE]).best()
    if best is None:
        return None
    try:
        return data.decode(best.encoding)
    except UnicodeDecodeError:
        return None
