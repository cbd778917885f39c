"""Recognise a file's format by its content; its name proves nothing. Imports no parser."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum

from shared.documents.mime import is_raw_mail

_MARKUP = re.compile(  # atomic, as a hostile file makes it try every division into comments otherwise
    rb"(?>\s+|<\?[^>]*>|<!--.*?-->)*+<(?:!doctype\s+html|html|head|body)(?![\w:.-])",
    re.IGNORECASE | re.DOTALL,
)
_LOOKED_AT = 4096  # bytes
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Format(StrEnum):
    """A format that needs a parser. Everything else is plain text, or is refused."""

    PDF = "pdf"
    PACKAGE = "package"  # a ZIP archive: Office and OpenDocument files, or of documents
    COMPOUND = "compound"  # Outlook messages, old Office files
    RTF = "rtf"
    WEB = "web"
    MAIL = "mail"


_STARTS = {
    b"%PDF-": Format.PDF,
    b"PK\x03\x04": Format.PACKAGE,
    b"PK\x05\x06": Format.PACKAGE,  # an empty archive
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": Format.COMPOUND,
    **{b"{\\rtf" + follows: Format.RTF for follows in (b"0", b"1", b"\\", b" \\", b"{", b"}", b"\r", b"\n")},
}


def format_of(data: bytes) -> Format | None:
    """Return the format of a file that a parser has to read; None for any other."""
    start = data[:_LOOKED_AT]
    found = next(
        (known for signature, known in _STARTS.items() if start.lstrip().startswith(signature)), None
    )
    if found is not None:
        return found
    if _MARKUP.match(_narrow(start)):
        return Format.WEB
    return Format.MAIL if is_raw_mail(data) else None


def _narrow(start: bytes) -> bytes:
    """Return the start without its byte order mark; of UTF-16, one byte for each ASCII character."""
    mark = next((mark for mark in _MARKS if start.startswith(mark)), b"")
    return start[len(mark) :].replace(b"\0", b"") if len(mark) == 2 else start[len(mark) :]
