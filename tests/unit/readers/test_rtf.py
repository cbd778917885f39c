"""Rich text (RTF) → parts: what is printed, and nothing that is deleted or hidden."""

from __future__ import annotations

import random

import pytest

from shared.documents.readers.rtf import read
from shared.errors import DocumentRefused
from tests.unit.growth import grows_linearly


def texts(body: str, head: str = r"\rtf1\ansi\ansicpg1252\deff0") -> list[str]:
    """The text of each part."""
    return [part.text for part in read(f"{{{head} {body}}}".encode("latin-1"))]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"\pard one \b bold\b0  two\par three\line four\par", ["one bold two", "three\nfour"]),
        ("ta\nken toge\r\nther\\\nnext", ["taken together", "next"]),
        (r"a\{b\}\\c\~d\_e\-f\tab g \ldblquote h\rdblquote\emdash", ["a{b}\\c\xa0d\u2011ef\tg “h”—"]),
        (r"{\*\unknown secret}{\info{\title secret}}{\stylesheet{\s1 secret;}}seen", ["seen"]),
        (r"{\pict\bin6 {{{}}}}{\*\shppict{\pict 00ff}}seen", ["seen"]),
        (r'{\field{\*\fldinst HYPERLINK "http://x"}{\fldrslt our terms}} and', ["our terms and"]),
        (r"kept{\deleted  gone}{\v  secret} here\v  x\v0 , \deleted x\deleted0 there", ["kept here, there"]),
        (r"{\listtext 1.\tab}first\par{\listtext 2.\tab}second", ["1.\tfirst", "2.\tsecond"]),
        (
            r"10{\super 6\'32} CO\sub 2\u8722?\nosupersub 3\super 1\plain 1 \super 4\super0 5",
            ["10⁶² CO₂₋3¹1 ⁴5"],
        ),
        (r"{\*\revtbl{secret;}}{\revised new} text} after the end", ["new text"]),
        ("cut off {\\b in a group", ["cut off in a group"]),
    ],
)
def test_paragraphs_are_parts(body: str, expected: list[str]) -> None:
    """Instructions, properties and pictures are no text; the results of fields are."""
    assert texts(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (r"Gr\'f6\'dfe \u8364?5 \u-10179?\u-8703?", "Größe €5 😁"),
        (r"\uc2\u1055\'cf\'cf{\uc0\u1088}\u1080ab", "При"),
        (
            r"{\fonttbl{\f1\fcharset204 Arial;}{\f2\fnil\fcharset238 Arial;}}{\f1\'cf\'f0}\'e4{\f2\'ec}",
            "Прäě",
        ),
        (r"\deff1{\fonttbl\f1\fcharset128 Gothic;\f3\cpg1253 X;}\'94\'5b\'8a\'fa \'83\\\f3\'e1", "納期 ソα"),
        (r"\ansicpg1251\'cf\ansicpg99999\'f0", "Пр"),
        (r"\mac\'8a", "ä"),
        (r"\ansicpg65001\'c3\'9f", "ß"),
        (r"\u0?\u99999999?x\bin3 ab}y", "xy"),
    ],
)
def test_characters_are_read_in_the_encoding_of_their_font(body: str, expected: str) -> None:
    """Word writes most of them twice: in Unicode, and for old programs in the font's."""
    assert texts(body) == [expected]


def test_a_row_is_a_part() -> None:
    """A paragraph or a table inside of a cell is in its row."""
    table = (
        r"before\par\trowd\pard\intbl Item\cell Price\cell\row\intbl Pump\par P2\cell\cell 5\cell\row"
        r"\intbl{\itap2 in\nestcell it\nestcell{\*\nesttableprops\nestrow}{\nonesttables\par}}out\cell x"
        r"\cell\row"
        r"\pard after\par\intbl un\cell finished\pard\par next"
    )
    expected = [
        "before",
        "Item | Price",
        "Pump P2 |  | 5",
        "in it out | x",
        "after",
        "un",
        "finished",
        "next",
    ]
    assert texts(table) == expected


def test_what_a_paragraph_refers_to_follows_it() -> None:
    """Notes, comments and text boxes; headers and footers once, however many sections repeat them."""
    box = r"{\shp{\*\shpinst{\sp{\sn x}{\sv secret}}{\shptxt\pard a box\par in it\par}}{\shprslt secret}}"
    section = r"{\header Our firm\par}{\footerr page}"
    body = (
        section
        + rf"Text{{\super\chftn}}{{\footnote a {{\b note}}}} goes{{\*\annotation why?}} on{box}\par\sect"
        + section
    )
    assert texts(body + "end") == [
        "Our firm",
        "page",
        "Text goes on",
        "a note",
        "why?",
        "a box",
        "in it",
        "end",
    ]


def test_a_part_names_the_headings_above_it() -> None:
    """By the outline level of paragraphs, which Word and LibreOffice write for headings."""
    first = rb"{\rtf1\pard\outlinelevel0 A\par\pard a\par"
    second = rb"\pard\outlinelevel1 B\par\pard b{\footnote c}\par\pard\outlinelevel0 D\par}"
    assert [(part.text, part.heading) for part in read(first + second)] == [
        ("A", ()),
        ("a", ("A",)),
        ("B", ("A",)),
        ("b", ("A", "B")),
        ("c", ("A", "B")),
        ("D", ()),
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (rb"{\rtf1{\pict 00ff}\par}", "holds no text"),
        (b"plain", "is damaged"),
        (b"{\\rtf1" + b"{" * 500_000, "nested too deeply"),
        (b"{\\rtf1" + b"{\\footnote a" * 500_000, "nested too deeply"),
    ],
)
def test_other_files_are_refused(data: bytes, reason: str) -> None:
    """A bomb at once."""
    with pytest.raises(DocumentRefused, match=reason):
        list(read(data))


def test_a_long_table_of_fonts_takes_no_longer_than_its_length() -> None:
    """Libraries take minutes for this one."""
    assert grows_linearly(lambda size: texts(r"{\fonttbl" + r"\f1" * size + "}x"), 10_000)


def test_damaged_files_are_read_or_refused() -> None:
    """Whatever the bytes are; and every part is a text."""
    whole = (
        rb"{\rtf1\ansi\ansicpg1252\uc1{\fonttbl{\f1\fcharset128 A;}}{\header h}\pard\outlinelevel0 A\par"
        rb"\pard\intbl b\cell\'f6\u8364?\cell\row\pard{\f1\'94\'5b}{\footnote n}{\v x}\bin2 {}"
        rb"{\*\shpinst{\shptxt t}}\u-10179?\par}"
    )
    noise = random.Random(8)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(noise.randint(1, 8)):
            data[noise.randrange(5, len(data))] = noise.choice(b"\\{}'*0129-uvx \x80")
        try:
            parts = list(read(bytes(data[: noise.randint(1, len(data))])))
        except DocumentRefused as refusal:
            assert str(refusal)
        else:
            assert parts and all(part.text == part.text.strip() != "" for part in parts)
