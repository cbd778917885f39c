"""Spreadsheets → their rows, as people see them; and workbooks that are larger than they look."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.documents.readers import sheets
from shared.documents.readers.package import Package
from shared.documents.readers.part import Part
from shared.errors import DocumentRefused
from tests.unit.readers.archives import archive

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "samples"
SPREAD = "its cells spread over more than 5,000,000: delete empty rows and columns, or split it"
TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
THREADS = "http://schemas.microsoft.com/office/2017/10/relationships"


def relations(**targets: str) -> str:
    """What a member refers to: by identifier, the type and the target."""
    entries = (
        f'<Relationship Id="{key}" Type="{t.split()[0]}" Target="{t.split()[1]}"/>'
        for key, t in targets.items()
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{"".join(entries)}</Relationships>'


def xlsx(rows: str, more: Mapping[str, str] | None = None) -> bytes:
    """A workbook with one sheet. `more`: members that are added."""
    sheet = f'<sheet name="Prices" sheetId="1" xmlns:r="{TYPES}" r:id="a"/>'
    return archive(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": relations(a=f"{TYPES}/officeDocument xl/workbook.xml"),
            "xl/workbook.xml": f'<workbook xmlns="{MAIN}"><sheets>{sheet}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(a=f"{TYPES}/worksheet worksheets/one.xml"),
            "xl/worksheets/one.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>',
            **(more or {}),
        }
    )


def text_cell(place: str, text: str) -> str:
    """A cell of an XLSX file."""
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def ods(rows: str, styles: str = "", manifest: str = "") -> bytes:
    """An OpenDocument spreadsheet with one table."""
    names = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text", "style", "drawing")
    )
    body = f'<office:body><office:spreadsheet><table:table table:name="Guests" table:style-name="t">{rows}'
    closed = "</table:table></office:spreadsheet></office:body>"
    content = (
        f'<office:document-content {names} xmlns:dc="http://purl.org/dc/elements/1.1/">{styles}{body}{closed}'
    )
    return archive({"content.xml": f"{content}</office:document-content>", "META-INF/manifest.xml": manifest})


def ods_row(*cells: str, attributes: str = "") -> str:
    """A row of an OpenDocument table; a cell is its attributes, a bar, and its text."""
    pairs = [cell.split("|", 1) for cell in cells]
    return f"<table:table-row {attributes}>" + "".join(
        f"<table:table-cell {given}>{f'<text:p>{text}</text:p>' if text else ''}</table:table-cell>"
        for given, text in pairs
    ) + "</table:table-row>"  # fmt: skip


def read(data: bytes) -> list[Part]:
    """The parts of a file."""
    return list(sheets.read(data, Package(data) if data.startswith(b"PK") else None))


def rows(data: bytes) -> list[tuple[int | None, str]]:
    """The parts, with their rows."""
    return [(part.row, part.text) for part in read(data)]


def refusal(data: bytes) -> str:
    """Why a file is refused."""
    with pytest.raises(DocumentRefused) as raised:
        read(data)
    return str(raised.value)


# --- what people see ----------------------------------------------------------------------------


def test_a_price_list_is_read_row_by_row_and_its_comment_after_it() -> None:
    """The hidden sheet with what the articles cost the firm is not read."""
    found = read((SAMPLES / "prices.xlsx").read_bytes())
    assert {part.sheet for part in found} == {"Prices 2026"}
    comment = "Ask Marta before quoting: the supplier charges 4 percent more from June."
    assert [(part.row, part.text) for part in found[3:]] == [
        (4, "FL-131 | Shellac flakes | 500 g | 27.9 | 2026-03-01 | FALSE"),
        (5, "FL-140 | Pine tar | 2.5 l | 33.25 | 2026-01-01 | TRUE"),
        (4, f"Comment on D4 by Henrik Falk: {comment}"),
    ]


def test_an_old_workbook_is_read() -> None:
    """Its hidden sheet is not."""
    found = read((SAMPLES / "stock.xls").read_bytes())
    assert found[0] == Part("Shelf | Part | Pieces | Counted on", sheet="Stock", row=1)
    assert found[3:] == [
        Part("C-11 | Hydraulic seal 40x52x7 | 0 | 2026-02-13", sheet="Stock", row=4),
        Part("C-12 | Grease, 400 g | 61.5 | 2026-02-13", sheet="Stock", row=5),
    ]


def test_an_opendocument_spreadsheet_is_read() -> None:
    """Its thousand empty rows are not; the comment has its row."""
    found = read((SAMPLES / "visitors.ods").read_bytes())
    assert found[1] == Part("2026-03-03 | School class 6b | Lindhagen | 27", sheet="March", row=2)
    assert [(part.row, part.text) for part in found[4:]] == [
        (5, "| Sum |  | 74"),
        (2, "Comment by Noor Haddad: Two wheelchairs: open the lift at 09:30."),
    ]


def test_cells_keep_their_places() -> None:
    """Rows have the numbers that people see, also if the sheet begins further down; a row is one line."""
    far = f'<row r="3">{text_cell("B3", "two&#10;lines")}{text_cell("D3", "end")}<c r="E3"/></row>'
    assert rows(xlsx(far + f'<row r="7">{text_cell("C7", "x")}</row>')) == [
        (3, "| two lines |  | end"),
        (7, "|  | x"),
    ]


def test_errors_and_unknown_results_are_not_dropped() -> None:
    """A sum that a program wrote and nobody opened has no result: the model reads what it is, not nothing."""
    cells = '<c r="A1"><v>8</v></c><c r="B1" t="e"><f>1/0</f><v>#DIV/0!</v></c>'
    cells += '<c r="C1"><f>SUM(A1:A9)&amp;"x"</f><v/></c>'
    empty = '<c r="D1" t="str"><f>IF(A1,"","y")</f><v></v></c>'
    late = '<row r="4"><c r="B4"><f>A1*2</f></c></row>'
    assert rows(xlsx(f'<row r="1">{cells}{empty}</row>{late}')) == [
        (1, '8 | #DIV/0! | =SUM(A1:A9)&"x"'),
        (4, "| =A1*2"),
    ]


def test_text_boxes_and_threads_are_read_once() -> None:
    """A thread also stands in the old comments, for programs that do not know it."""
    old = (
        f'<comments xmlns="{MAIN}"><authors><author>tc=1</author><author>Bo</author></authors><commentList>'
        + "".join(
            f'<comment ref="A1" authorId="{author}"><text><t>{text}</t></text></comment>'
            for author, text in enumerate(["[Threaded comment] Why?", "Bo:\nagreed"])
        )
    )
    box = "<from><row>4</row></from><txBody><a:p><a:r><a:t>Prices without VAT</a:t></a:r></a:p></txBody>"
    thread = '<threadedComment ref="A1" personId="p"><text>Why?</text></threadedComment>'
    found = rows(
        xlsx(
            f'<row r="1">{text_cell("A1", "Oil")}</row>',
            {
                "xl/worksheets/_rels/one.xml.rels": relations(
                    a=f"{TYPES}/comments ../c.xml",
                    b=f"{THREADS}/threadedComment /xl/t.xml",
                    c=f"{TYPES}/drawing ../d.xml",
                ),
                "xl/c.xml": old + "</commentList></comments>",
                "xl/t.xml": f'<a xmlns="t">{thread}</a>',
                "xl/persons/person.xml": '<a xmlns="t"><person displayName="Ines" id="p"/></a>',
                "xl/d.xml": f'<d xmlns="d" xmlns:a="a"><anchor>{box}</anchor></d>',
            },
        )
    )
    assert found == [
        (1, "Oil"),
        (5, "Prices without VAT"),
        (1, "Comment on A1 by Bo: agreed"),
        (1, "Comment on A1 by Ines: Why?"),
    ]


def test_opendocument_cells_are_read_as_they_are_shown() -> None:
    """An amount has its currency, a line break does not join words, and what stands for many is many."""
    kind = "office:value-type"
    shown = ods_row(
        f'{kind}="currency" office:value="12.5"|12,50 €',
        f'{kind}="float" office:value="1234"|1.234',
        f'{kind}="date" office:date-value="2026-03-01T14:30:00"|1.3.26',
        f'{kind}="time" office:time-value="PT26H05M00S"|26:05',
        f'{kind}="boolean" office:boolean-value="true"|WAHR',
        f'{kind}="float" office:value="0"|#DIV/0!',
        f'{kind}="string"|one<text:line-break/>two<text:s/>three<text:span>four</text:span>',
    )
    many = ods_row("|", 'table:number-columns-repeated="2"|x', attributes='table:number-rows-repeated="2"')
    empty = ods_row("|", attributes='table:number-rows-repeated="900000"')
    assert rows(ods(empty + shown + many)) == [
        (900_001, "12,50 € | 1234 | 2026-03-01 14:30 | 26:05 | TRUE | #DIV/0! | one two threefour"),
        (900_002, "| x | x"),
        (900_003, "| x | x"),
    ]


def test_a_hidden_opendocument_table_is_not_read() -> None:
    """Its style hides it."""
    style = '<style:style style:name="t"><style:table-properties table:display="false"/></style:style>'
    assert rows(ods(ods_row("|secret"), styles=style)) == []


# --- what people do not see ---------------------------------------------------------------------


def test_hidden_rows_and_columns_are_left_out_and_counted() -> None:
    """With their comments. However they were hidden: by hand, in a group, or by a filter."""
    cells = "".join(text_cell(f"{letter}{{0}}", letter + "{0}") for letter in "ABC")
    hidden = ["", 'r="2" hidden="1"', 'r="3"', 'hidden="true"', 'hidden="0"', 'hidden="1"']
    body = "".join(
        f"<row {given}>{cells.format(at) if at < 6 else ''}</row>" for at, given in enumerate(hidden, 1)
    )
    columns = '<cols><col min="2" max="2" hidden="1"/><col min="4" max="9999999" hidden="1"/></cols>'
    remarks = "".join(
        f'<comment ref="{at}"><text><t>on {at}</t></text></comment>' for at in ("A1", "A2", "B1")
    )
    sheet = f'<worksheet xmlns="{MAIN}">{columns}<sheetData>{body}</sheetData></worksheet>'
    data = xlsx(
        "",
        {
            "xl/worksheets/one.xml": sheet,
            "xl/worksheets/_rels/one.xml.rels": relations(a=f"{TYPES}/comments ../c.xml"),
            "xl/c.xml": f'<comments xmlns="{MAIN}">{remarks}</comments>',
        },
    )
    note = (None, "[Not read: 2 hidden rows and 1 hidden column of this sheet.]")
    seen = [(1, "A1 | C1"), (3, "A3 | C3"), (5, "A5 | C5")]
    assert rows(data) == [*seen, (1, "Comment on A1: on A1"), note]


def test_hidden_rows_and_columns_of_an_old_workbook_are_left_out() -> None:
    """A bit in the record of a row, and in that of columns, hides them."""
    data = bytearray((SAMPLES / "stock.xls").read_bytes())
    data[data.index(b"\x08\x02\x10\x00\x03\x00") + 16] |= 0x20
    margins = data.index(b"\x26\x00\x08\x00")  # two records, in place of which columns and a blank fit
    data[margins : margins + 24] = struct.pack("<8H2HI", 0x7D, 12, 1, 1, 2560, 15, 1, 0, 0xDEAD, 4, 0)
    found = read(bytes(data))
    assert [(part.row, part.text) for part in found[-2:]] == [
        (5, "C-12 | 61.5 | 2026-02-13"),
        (None, "[Not read: 1 hidden row and 1 hidden column of this sheet.]"),
    ]


def test_hidden_rows_and_columns_of_an_opendocument_table_are_left_out() -> None:
    """Also if one entry hides many of them."""
    columns = '<table:table-column/><table:table-column table:visibility="collapse"/><table:table-column/>'
    columns += '<table:table-column table:visibility="filter" table:number-columns-repeated="999999999"/>'
    remark = "<office:annotation><text:p>no</text:p></office:annotation>"
    collapsed = 'table:visibility="collapse" table:number-rows-repeated="3"'
    body = ods_row("|a", "|b" + remark, "|c", 'table:number-columns-repeated="9"|d')
    body += ods_row("|e" + remark, attributes=collapsed)
    body += ods_row("|f", attributes='table:visibility="filter"') + ods_row("|g")
    assert rows(ods(columns + body)) == [
        *((1, "a | c"), (6, "g"), (None, "[Not read: 4 hidden rows and 10 hidden columns of this sheet.]")),
    ]


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        xlsx('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'),
        ods(
            ods_row(
                'table:number-columns-repeated="16384"|x', attributes='table:number-rows-repeated="1048576"'
            )
        ),
        ods(ods_row('table:number-columns-repeated="999999999"|', "|x")),
    ],
    ids=["two cells far apart", "one for all", "empty ones before one"],
)
def test_a_few_bytes_do_not_become_billions_of_cells(data: bytes) -> None:
    """Calamine would end the process."""
    assert refusal(data) == SPREAD


def test_formatted_cells_without_content_do_not_count() -> None:
    """Honest workbooks have borders down to the last row."""
    assert rows(
        xlsx(f'<row r="1">{text_cell("A1", "x")}</row><row r="1048576"><c r="XFD1048576" s="1"/></row>')
    ) == [(1, "x")]


def test_entities_are_refused() -> None:
    """No office program declares any."""
    data = xlsx("", {"xl/sharedStrings.xml": '<!DOCTYPE d [<!ENTITY a "aaaa">]><sst/>'})
    assert refusal(data) == "the file declares XML entities, which no office program writes: save it again"


def test_what_calamine_cannot_read_is_refused_with_a_remedy() -> None:
    """Protected, binary and damaged workbooks; it panics on some, which is no Exception in Python."""
    assert (
        refusal(ods("", manifest="<m><encryption-data/></m>"))
        == "the file is protected by a password: save it without one"
    )
    assert (
        refusal(xlsx("", {"xl/workbook.bin": ""})) == "the file is a binary workbook (xlsb): save it as xlsx"
    )
    damaged = "the file is damaged: open it and save it again as xlsx"
    assert refusal(xlsx("<row><")) == refusal(ods("<a>")) == damaged
    old = (SAMPLES / "stock.xls").read_bytes()
    for cut in (b"", old[:512], old[:3000]):
        assert refusal(cut) == damaged


def test_a_hostile_old_workbook_harms_its_own_process_at_most() -> None:
    """Whatever byte of it is wrong: it is read, refused, or ends the child; no other error comes out."""
    script = (
        "import random, os, sys\n"
        "from shared.documents.readers import sheets\n"
        "from shared.errors import DocumentRefused\n"
        "data, noise, ended = open(sys.argv[1], 'rb').read(), random.Random(4), set()\n"
        "for _ in range(60):\n"
        "    bad = bytearray(data)\n"
        "    for _ in range(5): bad[noise.randrange(len(bad))] = noise.randrange(256)\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        try: list(sheets.read(bytes(bad), None))\n"
        "        except DocumentRefused: pass\n"
        "        except BaseException: os._exit(9)\n"
        "        os._exit(0)\n"
        "    ended.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "print(sorted(code for code in ended if code > 0))\n"
    )
    command = [sys.executable, "-c", script, str(SAMPLES / "stock.xls")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"
