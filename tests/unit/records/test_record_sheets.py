"""Spreadsheets: their rows come out of the reader's child as a stream."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import pytest

from shared.documents.readers import sandbox
from shared.documents.readers.sandbox import Sandbox
from shared.documents.records.record import Outcome
from shared.errors import DocumentRefused, ReaderUnavailable
from shared.model import Column, Records
from tests.unit.readers.test_sheets import SAMPLES, ods, ods_row, text_cell
from tests.unit.readers.test_sheets import xlsx as untyped_xlsx
from tests.unit.records.record_files import of_sheet, results, task

_HEADER = f'<row r="1">{text_cell("A1", "id")}{text_cell("B1", "text")}{text_cell("C1", "n")}</row>'
_TYPE = '<Override ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
_ANY = task(Records((Column("text"),)))


def xlsx(rows: str) -> bytes:
    """Return a workbook with one sheet."""
    return untyped_xlsx(rows, {"[Content_Types].xml": f"<Types>{_TYPE}</Types>"})


def many() -> bytes:
    """Return a workbook of 3,000 rows and 3 MB."""
    texts = ((at, hashlib.blake2b(b"%d" % at).hexdigest() * 8) for at in range(2, 3002))
    return xlsx(_HEADER + "".join(f'<row r="{at}">{text_cell(f"B{at}", text)}</row>' for at, text in texts))


async def rows(data: bytes, reader: Sandbox | None = None) -> bytes:
    """Return all rows of a file."""
    reader = reader or Sandbox()
    try:
        async with contextlib.aclosing(reader.rows(data)) as pieces:
            return b"".join([piece async for piece in pieces])
    finally:
        await reader.close()


async def test_the_rows_of_a_workbook() -> None:
    """Numbers stay numbers, errors and dates are texts, hidden rows are left out, hidden columns are not."""
    sheet = (
        _HEADER
        + f'<row r="3">{text_cell("A3", "a")}{text_cell("B3", "=1+1")}<c r="C3"><v>1.5</v></c></row>'
        + f'<row r="4" hidden="1">{text_cell("B4", "unseen")}</row>'
        + f'<row r="5"><c r="A5"><v>7</v></c>{text_cell("B5", "b")}<c r="C5" t="b"><v>1</v></c></row>'
        + f'<row r="6">{text_cell("A6", "c")}<c r="B6" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>'
        + '<row r="7"><c r="C7"><v>0</v></c></row>'
    )
    found, layout = of_sheet(await rows(xlsx(sheet)))
    assert [(record.place, record.id, record.text, dict(record.kept)) for record in found] == [
        (3, "a", "=1+1", {"id": "a", "text": "=1+1", "n": 1.5}),
        (5, "7", "b", {"id": 7, "text": "b", "n": True}),
        (6, "c", "#DIV/0!", {"id": "c", "text": "#DIV/0!", "n": ""}),
        (7, "", "", {"id": "", "text": "", "n": 0}),
    ]
    assert found[3].problem and found[3].problem.code == "empty_record"
    again, _ = of_sheet(await rows(results(found, [Outcome("yes")] * 4, layout)[".xlsx"]))
    assert [dict(record.kept) for record in again] == [
        {**record.kept, "answer": "yes", "error": ""} for record in found
    ]


@pytest.mark.parametrize("name", ["prices.xlsx", "stock.xls", "visitors.ods"])
async def test_the_samples_are_read(name: str) -> None:
    """In each format."""
    lines = (await rows((SAMPLES / name).read_bytes())).splitlines()
    assert len(lines) > 1 and all(isinstance(json.loads(line)[0], int) for line in lines)


async def test_the_rows_of_an_opendocument_table() -> None:
    """Cells are texts there; a row that stands for several is several."""
    table = ods_row("|text") + ods_row("|a", attributes='table:number-rows-repeated="2"')
    file = io.BytesIO(ods(table))
    with zipfile.ZipFile(file, "a") as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    found, _ = of_sheet(await rows(file.getvalue()), _ANY)
    assert [(record.place, record.text) for record in found] == [(2, "a"), (3, "a")]


@pytest.mark.parametrize("data", [b"%PDF-1.7", b"text", b"PK\x03\x04", xlsx("<row")], ids=str)
async def test_what_is_no_spreadsheet_is_refused_with_the_remedy(data: bytes) -> None:
    """By the child, which reads all of it."""
    with pytest.raises(DocumentRefused, match="save it"):
        of_sheet(await rows(data))


async def test_many_rows_are_streamed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the child is there for the next file. The size of all rows is limited."""
    reader = Sandbox()
    found, _ = of_sheet(await rows(many(), reader))
    assert [record.place for record in found] == list(range(2, 3002))
    assert reader.usage.cpu_seconds > 0
    monkeypatch.setattr(sandbox, "_MOST_ROWS", 1_000_000)
    with pytest.raises(DocumentRefused):
        await rows(many(), reader)
    assert await rows(xlsx(_HEADER), reader) == b'[1,"id","text","n"]\n'


async def test_who_stops_reading_rows_leaves_none_to_the_next() -> None:
    """The fork ends, and the next file has its own rows."""
    reader = Sandbox()
    async with contextlib.aclosing(reader.rows(many())) as pieces:
        async for _ in pieces:
            break
    assert await rows(xlsx(_HEADER), reader) == b'[1,"id","text","n"]\n'


_CHILD = """
import os
def rows(data):
    yield 1, ["text"]
    if data == b"late":
        for at in range(100_000):
            yield at, ["a" * 20]
    if data == b"spin":
        while True:
            pass
    os.abort()
"""


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"early", "failed on it twice"), (b"late", "failed on it twice"), (b"spin", "too long")],
)
async def test_a_spreadsheet_that_harms_its_reader_is_refused(
    data: bytes, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also after it has given rows."""
    folder = tmp_path / "shared" / "documents" / "readers"
    folder.mkdir(parents=True)
    for path in ("shared", "shared/documents", "shared/documents/readers"):
        (tmp_path / path / "__init__.py").touch()
    (tmp_path / "shared" / "errors.py").write_text("class DocumentRefused(Exception): ...")
    (folder / "child.py").write_text(_CHILD)
    monkeypatch.setattr(sandbox, "SECONDS_FOR_ROWS", 1)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(DocumentRefused, match=reason):
        await rows(data)
    (folder / "child.py").write_text("import no_such_package")
    with pytest.raises(ReaderUnavailable):
        await rows(data)


async def test_without_forks_rows_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.setattr(sandbox, "_FORKS", False)
    assert await rows(xlsx(_HEADER)) == b'[1,"id","text","n"]\n'


@pytest.mark.parametrize(
    "line",
    [b"no JSON", b"[]", b'["1"]', b"[1, []]", b"[true]", b"1", b"[1, 2", b"\xff", b"{}"],
)
def test_what_a_child_that_was_taken_over_sends_is_refused(line: bytes) -> None:
    """Its answers are untrusted."""
    with pytest.raises(DocumentRefused):
        of_sheet(b'[1, "id", "text"]\n[2, "a", "b"]\n' + line + b"\n")
    with pytest.raises(DocumentRefused, match="as it says"):
        of_sheet(b'{"refused": "as it says"}\n')
    with pytest.raises(DocumentRefused, match="no rows"):
        of_sheet(b'[1, "id", "text"]\n')
