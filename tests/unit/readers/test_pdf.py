"""PDF files → their pages, filled-in forms and comments; and what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.documents.readers.part import Part
from shared.documents.readers.pdf import read
from shared.errors import DocumentRefused
from tests.unit.readers.pages import PICTURE, encryption, lines, pdf

SAMPLES = Path(__file__).parents[3] / "samples"
LETTER = lines("The rent is due on the third working day of each month.", "It is paid in advance.")
OCR = "its pages hold pictures without text: run text recognition (OCR) and upload the result"
UNREAD = "[Page {} holds pictures without text. They were not read.]"


def texts(data: bytes) -> list[tuple[int | None, str]]:
    """The parts, with their pages."""
    return [(part.page, part.text) for part in read(data)]


def refusal(data: bytes) -> str:
    """Why a file is refused."""
    with pytest.raises(DocumentRefused) as raised:
        list(read(data))
    return str(raised.value)


# --- text ---------------------------------------------------------------------------------------


def test_a_lease_is_read_page_by_page() -> None:
    """Its facts can be found with the page that they stand on."""
    first, second = read((SAMPLES / "lease.pdf").read_bytes())
    assert first.page == 1 and "The rent is 2,450 euros a month" in first.text
    assert second.page == 2 and "owes a compensation of 4,900 euros." in second.text


@pytest.mark.parametrize(
    ("drawn", "read_as"),
    [
        (lines("a consid-", "eration of the parties"), "a consideration of the parties"),
        (lines("Sub-", "Saharan Africa"), "Sub-Saharan Africa"),
        (lines("in 2025-", "2026"), "in 2025-\n2026"),
        (lines("soft\\255hyphen"), "soft-hyphen"),
        (lines("one  ", "", "two"), "one\ntwo"),
    ],
    ids=["divided word", "name with a hyphen", "numbers", "drawn soft hyphen", "empty lines"],
)
def test_lines_are_read_as_they_were_written(drawn: str, read_as: str) -> None:
    """Words that the end of a line divided are whole again."""
    assert texts(pdf(drawn)) == [(1, read_as)]


def test_a_page_without_anything_is_left_out() -> None:
    """The numbers of the others stay."""
    assert texts(pdf(lines("one"), "", lines("three"))) == [(1, "one"), (3, "three")]


# --- what is laid over the text -----------------------------------------------------------------


def test_a_filled_in_form_is_read_with_the_names_of_its_fields() -> None:
    """A field that is on both pages is read once; one that is empty or hidden, never."""
    name = "/Subtype/Widget/FT/Tx/T(f1)/TU(Name of the tenant)/V(Pia Rosenquist)"
    first = [
        name,
        "/Subtype/Widget/FT/Btn/T(Pets)/V/Off/AS/Off",
        "/Subtype/Widget/FT/Ch/Ff 131072/T(Floor)/V(second)/Opt[(first)(second)]",
        "/Subtype/Widget/FT/Tx/T(Fax)",
        "/Subtype/Widget/F 2/FT/Tx/T(Total)/V(17)",
    ]
    file = pdf(lines("Application"), lines("Page two"), annotations={1: first, 2: [name]})
    assert texts(file) == [
        (1, "Application"),
        (1, "Name of the tenant: Pia Rosenquist"),
        (1, "Pets: not checked"),
        (1, "Floor: second"),
        (2, "Page two"),
    ]


def test_comments_are_read_with_their_authors() -> None:
    """Text that was typed onto the page is its text; left out is what only repeats it, or a comment."""
    annotations = [
        "/Subtype/Text/T(Ines)/Contents(Who pays the heating?)",
        "/Subtype/FreeText/Contents(Received 4 May)",
        "/Subtype/Highlight/Contents(The rent is due)/QuadPoints[0 9 9 9 0 0 9 0]",
        "/Subtype/Highlight/Contents(Too early)/QuadPoints[0 9 9 9 0 0 9 0]",
        "/Subtype/Popup/Contents(Who pays the heating?)",
        "/Subtype/Text/F 2/Contents(hidden)",
    ]
    assert texts(pdf(LETTER, annotations={1: annotations}))[1:] == [
        (1, "Comment by Ines: Who pays the heating?"),
        (1, "Received 4 May"),
        (1, "Comment: Too early"),
    ]


def test_a_file_inside_is_named() -> None:
    """Nobody believes that an invoice's data were read which were not."""
    names = "/Names<</EmbeddedFiles<</Names[(a)4 0 R]>>>>"
    inside = [
        "<</Type/Filespec/F(order.xml)/UF(order.xml)/EF<</F 5 0 R>>>>",
        "<</Length 1>>stream\nx\nendstream",
    ]
    assert list(read(pdf(LETTER, catalog=names, more=inside)))[1:] == [
        Part("[The document holds the file order.xml here. It was not read.]")
    ]


# --- pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pages",
    [
        [PICTURE],
        [PICTURE, "", PICTURE],
        [PICTURE + lines(f"Envelope 7F-{number}") for number in range(3)],
        ["0 0 m 9 9 l S " * 50],
    ],
    ids=["scan", "with an empty page", "with a stamp on each page", "letters as curves"],
)
def test_a_scan_is_refused_with_the_remedy(pages: Sequence[str]) -> None:
    """An answer from a stamp alone would be none."""
    assert refusal(pdf(*pages)) == OCR


def test_a_scanned_page_among_others_is_not_dropped_silently() -> None:
    """Who asks about the annex reads why the answer does not know it."""
    assert texts(pdf(LETTER, PICTURE, PICTURE + lines("Annex B")))[1:] == [
        (2, UNREAD.format(2)),
        (3, "Annex B"),
        (3, UNREAD.format(3)),
    ]


def test_a_page_of_few_words_over_a_picture_is_read() -> None:
    """A certificate is one, as is a poster."""
    assert texts(pdf(PICTURE + lines("Certificate for Ada Okafor"))) == [
        (1, "Certificate for Ada Okafor"),
        (1, UNREAD.format(1)),
    ]


def test_letters_that_the_file_does_not_identify_are_not_taken_for_text() -> None:
    """A font without a table from glyphs to letters shows words, and gives other letters."""
    fonts = [
        "<</Type/Font/Subtype/Type0/BaseFont/Foo/Encoding/Identity-H/DescendantFonts[5 0 R]>>",
        "<</Type/Font/Subtype/CIDFontType2/BaseFont/Foo/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)"
        "/Supplement 0>>/FontDescriptor<</Type/FontDescriptor/FontName/Foo/Flags 4>>>>",
    ]
    file = pdf("BT /F1 12 Tf 72 720 Td <002B0048004F004F0052> Tj ET", more=fonts).replace(
        b"/F1 3 0", b"/F1 4 0"
    )
    assert refusal(file) == OCR.replace("pictures without text", "letters that the file does not identify")


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permissions", "password", "reason"),
    [
        (-4, b"secret", "the file is protected by a password: save it without one"),
        (-532, b"", "the file is protected: its owner forbids copying its text, and may lift that"),
    ],
)
def test_protection_is_respected(permissions: int, password: bytes, reason: str) -> None:
    """A file that opens may still forbid to take its text."""
    assert refusal(pdf(LETTER, trailer=encryption(permissions, password=password))) == reason


def test_a_file_whose_end_is_missing_is_refused() -> None:
    """Pdfium would repair it and give the pages that are there: an answer without the rest."""
    whole = pdf(LETTER, LETTER)
    cut = "the file ends too early: upload it again"
    assert refusal(whole[: whole.index(b"xref")]) == cut
    assert refusal(whole.replace(b"%PDF-1.7\n", b"%PDF-1.7\n9 0 obj<</Linearized 1/L 90000>>endobj\n")) == cut


@pytest.mark.parametrize("damage", [b"/Pages 2 0 R", b"/Kids[5 0 R]", b"/Root 1 0 R"])
def test_damage_is_refused(damage: bytes) -> None:
    """What lacks its pages is no document, even if its text is there."""
    assert refusal(pdf(LETTER).replace(damage, b" " * len(damage))).startswith("the file is damaged")


def test_a_page_that_is_shown_without_end_is_refused() -> None:
    """A file of a few kilobytes may have any number of pages."""
    file = pdf(LETTER).replace(b"/Kids[5 0 R]/Count 1>>", b"/Count 5001/Kids[" + b"5 0 R " * 5001 + b"]>>")
    assert refusal(file) == "the file has 5,001 pages, more than 5,000: split it"


def test_a_form_that_only_adobe_shows_is_refused() -> None:
    """Its only page says to wait."""
    form = "/AcroForm<</Fields[]/XFA(x)>>/NeedsRendering true"
    assert refusal(pdf(lines("Please wait..."), catalog=form)) == (
        "the file is a form that only Adobe's programs show (XFA): print it as a PDF"
    )
