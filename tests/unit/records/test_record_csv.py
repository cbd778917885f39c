"""CSV files: every row has an outcome, and a bad one spoils no other."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents.records import csv_rows
from shared.documents.records.record import Outcome, Record
from shared.errors import DocumentRefused
from shared.model import Column, Records
from tests.unit.records.record_files import ROWS, converted, results, task

_CELL = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\udcff"), max_size=20)


def codes(records: list[Record]) -> list[str]:
    """Return the problem of each record; empty if it can be asked."""
    return [record.problem.code if record.problem else "" for record in records]


@settings(deadline=None)
@given(st.lists(st.tuples(_CELL, _CELL, _CELL), min_size=1), st.sampled_from(",;\t|"), st.integers(1, 40))
def test_rows_in_are_rows_out(rows: list[tuple[str, str, str]], delimiter: str, piece: int) -> None:
    """Whatever is in the cells, and wherever the pieces are cut; no cell is a formula."""
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([("text", "=n", "other"), *rows])
    of = task(Records((Column("text"),)))
    records, layout = converted(file.getvalue().encode(), of, piece=piece)
    assert [tuple(record.kept.values()) for record in records] == rows
    assert [record.place for record in records] == list(range(2, len(rows) + 2))
    assert [record.text for record in records if not record.problem] == [
        row[0] for row in rows if row[0].strip()
    ]
    written = results(records, [Outcome("an answer")] * len(rows), layout, of)[".csv"]
    back = list(csv.reader(io.StringIO(written.decode("utf-8-sig"), newline=""), delimiter=delimiter))
    assert back[0] == ["text", "'=n", "other", "answer", "error"]
    assert [[cell.replace("'", "") for cell in row[:3]] for row in back[1:]] == [
        [cell.replace("'", "") for cell in row] for row in rows
    ]
    assert not [cell for row in back for cell in row if cell.lstrip()[:1] in tuple("=@")]


_BAD = {
    "a quote that nothing ends": (b'id,text\n1,a\n2,"b\n3,c\n4,d\n', ["", "invalid_quoting", "", ""]),
    "a quote that a later row ends": (b'id,text\n1,"a\n2,b\n3,"c"\n4,d\n', ["invalid_quoting", "", "", ""]),
    "text after a quote": (b'id,text\n1,"a"b\n2,"c"\n', ["invalid_quoting", ""]),
    "too few and too many cells": (b"id,text\n1\n2,b,c\n3,d\n", ["invalid_row", "invalid_row", ""]),
    "empty cells at the end": (b"id,text\n1,a,,\n", [""]),
    "an empty text": (b"id,text\n1,\n2,  \n3,a\n", ["empty_record", "empty_record", ""]),
    "the same id": (b"id,text\n1,a\n1,b\n,c\n,d\n", ["", "duplicate_id", "", ""]),
    "NUL": (b"id,text\n1,a\0b\n2,c\n", ["invalid_text", ""]),
    "damaged UTF-8": (
        "id,text\n1,größe\n2,ä~\n3,ö\n".encode().replace(b"~", b"\xff"),
        ["", "invalid_encoding", ""],
    ),
    "blank lines": (b"\n\nid,text\n\n1,a\n\n", [""]),
    "quotes within a cell": (b'id,text\n1,5" pipe\n2,"6"" pipe"\n', ["", ""]),
    "carriage returns": (b"id,text\r1,a\r2,b\r", ["", ""]),
}


@pytest.mark.parametrize(("data", "expected"), _BAD.values(), ids=_BAD)
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_a_bad_row_is_a_row_with_a_problem(data: bytes, expected: list[str], piece: int) -> None:
    """It is never a failed file, and the rows after it are read."""
    records, _ = converted(data, piece=piece)
    assert codes(records) == expected
    assert all(record.problem.message for record in records if record.problem)


def test_the_encoding_is_that_of_the_content() -> None:
    """With a mark, or an old one that the text itself tells, also if it begins late; else rows are bad."""
    text = "id;text\n" + "1;plain\n" * 20_000 + "2;Größe und Maße: für Mädchen, schön genäht, weiß\n" * 20
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        records, layout = converted(text.encode(encoding), task(Records((Column("text"),))), piece=100_001)
        assert records[-1].text.startswith("Größe und Maße") and len(records) == 20_020
        assert (layout.columns, layout.delimiter) == (("id", "text"), ";")
    assert codes(converted("id,text\n1,a\n2,é\n".encode("cp1252"))[0]) == ["", "invalid_encoding"]


@pytest.mark.parametrize(
    "cell", [b"x" * 10_000_000, b'"' + b"line\n" * 2_000_000 + b'"'], ids=["one line", "many lines"]
)
def test_a_cell_of_ten_megabytes_is_one_row_with_a_problem(cell: bytes) -> None:
    """What is kept of it is short, and the rows around it are whole."""
    records, _ = converted(b"id,text\n1,a\n2," + cell + b"\n3,c\n")
    assert codes(records) == ["", "record_too_large", ""]
    assert [record.id for record in records] == ["1", "2", "3"]
    assert len(records[1].kept["text"]) < 2000


def test_a_line_without_end_takes_no_memory() -> None:
    """Also if a quote opens it."""
    converter_input = b'id,text\n1,"' + b"x" * 40_000_000 + b'"\n2,b\n'
    tracemalloc.start()
    try:
        records, _ = converted(converter_input)
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()
    assert codes(records) == ["record_too_large", ""]


def test_quotes_that_open_and_close_for_ever_do_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line would be read as often as there are lines before it."""
    monkeypatch.setattr(csv_rows, "_LONGEST", 5_000)
    monkeypatch.setattr(csv_rows, "_MOST_AGAIN", 100_000)
    with pytest.raises(DocumentRefused, match="quotes"):
        converted(b"id,text\n" + b'b","x\n' * 100_000, piece=20_000)


def test_a_template_takes_several_columns() -> None:
    """Names count without the space around them; a second one of the same name has a number."""
    of = task(Records((Column("title"), ": ", Column("body 2")), ("n", "title")))
    records, layout = converted(b" title ,body,body,n\nT,b,c,1\n,,,2\n", of)
    assert (records[0].text, dict(records[0].kept)) == ("T: c", {"n": "1", "title": "T"})
    assert codes(records) == ["", "empty_record"]
    assert layout.columns == ("n", "title")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"id,Text\n1,a\n", "none is 'text'.*did you mean 'Text'"),
        (b"1,a\n2,b\n", "none is 'text'"),
        (b"id,text\n", "no rows"),
        (b"\n", "empty"),
        (b'id,"text\n1,a\n', "the first row cannot be read"),
    ],
)
def test_a_fault_of_the_whole_file_refuses_it(data: bytes, reason: str) -> None:
    """Before anything is hosted."""
    with pytest.raises(DocumentRefused, match=reason):
        converted(data)


def test_more_rows_than_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file can be split."""
    monkeypatch.setattr("shared.documents.records.rows.MOST_ROWS", 3)
    assert len(converted(b"id,text\n" + b",a\n" * 3)[0]) == 3
    with pytest.raises(DocumentRefused, match="more than 3 rows: split it"):
        converted(b"id,text\n" + b",a\n" * 4)


def test_a_row_is_staged_as_it_is() -> None:
    """The line holds what later steps need, and nothing else: the id stands in the result, too."""
    (record,), layout = converted(b"id,text,n\nr1,a,7\n", task(Records(ROWS.text, ("n",), "id")))
    assert record == Record(2, "r1", "a", kept={"id": "r1", "n": "7"})
    assert json.loads(layout.to_json()) == {
        "form": "rows",
        "format": "csv",
        "columns": ["id", "n"],
        "delimiter": ",",
    }
