"""Results of record files: one line or row for each record, in order, in the file's own format."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from shared.documents.records.layout import Layout, RecordFormat
from shared.documents.records.record import Outcome, Problem, Record
from shared.documents.records.result_files import writers_for
from shared.documents.result_tables import harmless
from shared.model import RecordForm
from tests.unit.records.record_files import results, task

_SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}, "scores": {"type": "array"}}}
_PROBLEM = Problem("empty_record", "there is nothing to ask")
_COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4.1-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
}
_NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def layout(form: RecordFormat, *columns: str, delimiter: str = ",") -> Layout:
    """Return the layout of a file of rows."""
    return Layout(RecordForm.ROWS, form, columns, delimiter)


def table(data: bytes, delimiter: str = ",") -> list[list[str]]:
    """Return the rows of a CSV file."""
    return list(
        csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True)
    )


def sheet(data: bytes) -> list[list[tuple[str, str]]]:
    """Return type and text of each cell of an XLSX file."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        root = ElementTree.fromstring(file.read("xl/worksheets/sheet1.xml"))
    rows = root.iter(f"{_NS}row")
    return [[(cell.get("t", "n"), "".join(cell.itertext())) for cell in row] for row in rows]


def test_the_lines_of_rows_hold_answer_or_error() -> None:
    """Whatever the file's format was."""
    records = [Record(2, "a", "t", kept={"n": 1}), Record(3, problem=_PROBLEM)]
    found = results(records, [Outcome({"x": [1]}), Outcome(problem=_PROBLEM)], layout(RecordFormat.JSONL))
    assert [json.loads(line) for line in found.pop(".jsonl").splitlines()] == [
        {"row": 2, "id": "a", "columns": {"n": 1}, "answer": {"x": [1]}, "error": None},
        {
            "row": 3,
            "id": "",
            "columns": {},
            "answer": None,
            "error": {"code": "empty_record", "message": "there is nothing to ask"},
        },
    ]
    assert not found


def test_a_table_has_its_columns_then_those_of_the_answers() -> None:
    """By the schema's properties if there are any; names that the file has are not taken again."""
    kept = {"answer.label": "ä", "error": "was"}
    of = layout(RecordFormat.CSV, *kept, delimiter=";")
    records = [Record(2, text="t", kept=kept), Record(3, text="t", kept={"error": "b"})]
    outcomes = [Outcome({"label": "late", "scores": [0.5, True]}), Outcome(problem=_PROBLEM)]
    written = results(records, outcomes, of, task(schema=_SCHEMA))[".csv"]
    assert written.startswith(b"\xef\xbb\xbf")
    assert table(written, ";") == [
        ["answer.label", "error", "answer.label 2", "answer.scores", "error 2"],
        ["ä", "was", "late", "[0.5, true]", ""],
        ["", "b", "", "", "empty_record: there is nothing to ask"],
    ]
    assert table(results(records, [Outcome(True), Outcome("b")], of)[".csv"], ";")[0][2:] == [
        "answer",
        "error 2",
    ]


@given(
    st.lists(st.text(st.sampled_from("a0=+-@＝;,\t\r\n \"'|")) | st.text(max_size=5), min_size=2, max_size=4),
    st.sampled_from(",;\t|"),
)
@example(["\tx", "a"], ",")
@example(["a", "\rx"], ",")
def test_no_cell_is_a_formula_wherever_a_spreadsheet_divides_the_line(
    cells: list[str], delimiter: str
) -> None:
    """At the file's own delimiter, or at the comma or semicolon of the reader's country."""
    names = [f"c{number}" for number in range(len(cells))]
    record = Record(2, text="t", kept=dict(zip(names, cells, strict=True)))
    written = results([record], [Outcome("")], layout(RecordFormat.CSV, *names, delimiter=delimiter))[".csv"]
    found = table(written, delimiter)[1][: len(cells)]
    if delimiter == ",":
        assert found == [harmless(cell).replace("\0", "\ufffd") for cell in cells]
    for cell in found:
        for part in re.split(r"[;\t\r\n]" if delimiter == "," else r"[,;\t\r\n]", cell):
            assert not re.match(r"[\s\"]*[=@＝]", part)


def test_cells_that_no_spreadsheet_holds_are_cut() -> None:
    """In the files for spreadsheets alone, by what these count as characters."""
    record = Record(2, text="t", kept={"a": "x" * 40_000, "b": "\N{GRINNING FACE}" * 20_000})
    csv_file = results([record], [Outcome("")], layout(RecordFormat.CSV, "a", "b"))
    assert json.loads(csv_file[".jsonl"])["columns"] == record.kept
    assert max(map(len, table(csv_file[".csv"])[1])) <= 32_001
    row = sheet(results([record], [Outcome("")], layout(RecordFormat.SHEET, "a", "b"))[".xlsx"])[1]
    assert [text[-1] for _, text in row[:2]] == ["…", "…"]
    assert all(len(text.encode("utf-16-le")) <= 2 * 32_767 for _, text in row)


def test_a_workbook_keeps_what_its_cells_are() -> None:
    """Texts are never formulas, numbers never texts; signs that XML does not hold are escaped."""
    kept = {"a": "=1+1", "b": 1.5, "c": True, "d": "<&>\r\n\x01_x0041_\ud800", "e": "", "f": "_x0041_"}
    written = results(
        [Record(2, text="t", kept=kept)], [Outcome("http://a.example")], layout(RecordFormat.SHEET, *kept)
    )[".xlsx"]
    assert [text for _, text in sheet(written)[0]] == [
        *kept,
        "answer",
        "error",
    ]
    assert sheet(written)[1] == [
        ("inlineStr", "=1+1"),
        ("n", "1.5"),
        ("b", "1"),
        ("inlineStr", "<&>_x000D_\n_x0001__x005F_x0041_\ufffd"),
        ("n", ""),
        ("inlineStr", "_x005F_x0041_"),
        ("inlineStr", "http://a.example"),
        ("n", ""),
    ]
    assert (
        written
        == results(
            [Record(2, text="t", kept=kept)], [Outcome("http://a.example")], layout(RecordFormat.SHEET, *kept)
        )[".xlsx"]
    )


def test_a_batch_has_an_output_and_an_error_file_as_azure_writes_them() -> None:
    """Each request is in one of them, once, in input order; a refusal by the model keeps its response."""
    response: dict[str, Any] = {"status_code": 200, "request_id": "r-1", "body": _COMPLETION}
    refused = {"status_code": 400, "request_id": "r-2", "body": {"error": {"code": "content_filter"}}}
    records = [
        Record(1, "z\ud800\x01", body={}),
        Record(2, problem=Problem("invalid_json_line", "why")),
        Record(3, "b", body={}),
        Record(4, "a", body={}),
    ]
    outcomes = [
        Outcome(response=response),
        Outcome(problem=records[1].problem),
        Outcome(response=refused),
        Outcome(response=response),
    ]
    found = results(records, outcomes, Layout(RecordForm.BATCH, RecordFormat.JSONL))
    output, errors = (
        [json.loads(line) for line in found[end].splitlines()] for end in (".jsonl", ".errors.jsonl")
    )
    assert [line["custom_id"] for line in output] == ["z\ud800\x01", "a"]
    assert found[".jsonl"].decode().isprintable() or b"\\ud800\\u0001" in found[".jsonl"]
    for line in output:
        assert ChatCompletion.model_validate(line["response"]["body"]).choices[0].message.content == "Hi"
        assert (line["response"], line["error"]) == (response, None)
    assert errors == [
        {
            "custom_id": None,
            "response": None,
            "error": {"code": "invalid_json_line", "message": "why", "param": None, "line": 2},
        },
        {"custom_id": "b", "response": refused, "error": None},
    ]


@pytest.mark.parametrize("form", list(RecordFormat))
def test_many_rows_come_in_small_pieces(form: RecordFormat) -> None:
    """No file is in memory."""
    for file in writers_for(layout(form, "a"), task()):
        sizes = [len(file.head())]
        sizes += [
            len(file.add(Record(n, text="t", kept={"a": str(n * 7919)}), Outcome("b"))) for n in range(20_000)
        ]
        sizes += map(len, file.finish())
        assert max(sizes) < 100_000 < 1.5 * sum(sizes)
