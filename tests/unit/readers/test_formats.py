"""Which parser a file needs, by its content; and one text of many parts."""

from __future__ import annotations

import pytest

from shared.documents.readers.formats import Format, format_of
from shared.documents.readers.part import Part, joined


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (b"%PDF-1.7\n", Format.PDF),
        (b"\n%PDF-1.7\n", Format.PDF),
        (b"PK\x03\x04", Format.PACKAGE),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format.COMPOUND),
        (b"{\\rtf1 a}", Format.RTF),
        (b"<!DOCTYPE html><p>a", Format.WEB),
        (b"\xef\xbb\xbf\r\n<HTML lang='de'>", Format.WEB),
        ("\ufeff<html>".encode("utf-16-le"), Format.WEB),
        (b"<?xml version='1.0'?>\n<!-- a -- b -->\n<!DOCTYPE html PUBLIC 'x'>", Format.WEB),
        (b"<body>", Format.WEB),
        (b"<htmlish>", None),
        (b"<html-report>", None),
        (b"<?xml version='1.0'?><head:order xmlns:head='x'/>", None),
        (b"{\\rtf\\ansi a}", Format.RTF),
        (b"{\\rtf is how such files begin, and {\\rtfm} is a macro of TeX.", None),
        (b"{\\rtfm Read it!}", None),
        (b"<?xml version='1.0'?><order/>", None),
        (b"A page begins with <html>.", None),
        (b"A report on %PDF-1.7", None),
        (b"", None),
    ],
)
def test_a_file_is_what_its_content_says(data: bytes, format_: Format | None) -> None:
    """Everything else is plain text, or refused."""
    assert format_of(data) is format_


def test_a_hostile_start_ends() -> None:
    """Hundreds of comments could be divided into comments in 2 to that power ways."""
    assert format_of(b"<!---->" * 100_000) is None
    assert format_of(b"<?" * 100_000) is None


def test_parts_are_one_text() -> None:
    """Rows stand one under the other; sheets and attachments begin with their names."""
    parts = [
        Part("Subject: Prices"),
        Part("Dear Ann"),
        Part("Name | Price", sheet="2026", row=1, inside=("list.xlsx",)),
        Part("Pen | 2", sheet="2026", row=2, inside=("list.xlsx",)),
        Part("Pen | 1", sheet="2025", row=1, inside=("list.xlsx",)),
        Part("Terms", inside=("mail.eml", "terms.pdf"), page=1),
    ]
    assert joined(parts) == (
        "Subject: Prices\n\nDear Ann\n\nlist.xlsx\n\n2026\nName | Price\nPen | 2\n\n2025\nPen | 1"
        "\n\nmail.eml / terms.pdf\n\nTerms"
    )
