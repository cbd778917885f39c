"""Write the header and the text of a mail, the same for all formats of mails."""

from __future__ import annotations

import codecs

from shared.documents.readers.charset import any_text, declared
from shared.documents.readers.part import Part

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def header(sender: str, to: str, cc: str, date: str, subject: str) -> Part | None:
    """Return the fields that are not empty, one a line; None if all are."""
    fields = {"From": sender, "To": to, "Cc": cc, "Date": date, "Subject": subject}
    unfolded = ((name, " ".join(value.split())) for name, value in fields.items())
    lines = [f"{name}: {value}" for name, value in unfolded if value]
    return Part("\n".join(lines)) if lines else None


def paragraphs(text: str) -> list[Part]:
    """Return the paragraphs of a plain text, which blank lines separate."""
    found, lines = list[list[str]](), list[str]()
    for line in [*text.splitlines(), ""]:
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            found.append(lines)
            lines = []
    return [Part("\n".join(paragraph).strip()) for paragraph in found]


def as_page(data: bytes, encoding: str | None) -> bytes:
    """Return a body in HTML so that it is recognised as a page. `encoding`: Python's name."""
    text = any_text(data) if data.startswith(_MARKS) else declared(data, encoding)
    if text is None:  # the page may name its encoding itself
        return b"<!doctype html>" + data
    return codecs.BOM_UTF8 + b"<!doctype html>" + text.encode(errors="replace")
