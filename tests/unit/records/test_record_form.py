"""Which files are files of records: their content says so, never their name."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from shared.documents.records.form import form_of
from shared.errors import DocumentRefused
from shared.model import RecordForm
from tests.unit.records.record_files import BATCH, batch, converted, task

_REQUEST = json.dumps(batch()).encode()
_LONG = json.dumps(batch(body={"model": "clauses", "messages": ["x" * 100_000]})).encode()[: 64 * 1024]

_SORTED = b'{"body": {"messages": ["' + b"x" * 64 * 1024


def archive(*names: str) -> bytes:
    """Return a ZIP archive with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, "")
    return file.getvalue()


@pytest.mark.parametrize(
    "head",
    [
        _REQUEST,
        b"\xef\xbb\xbf\r\n" + _REQUEST,
        _REQUEST.decode().encode("utf-16"),
        b"{not JSON\n" + _REQUEST,
        b"nothing at all\n" + _REQUEST,
        _LONG,
        b"\xef\xbb\xbf" + _SORTED,
    ],
    ids=["plain", "byte order mark", "UTF-16", "bad JSON first", "no JSON first", "a cut line", "sorted"],
)
def test_a_batch_file_is_known_in_every_folder(head: bytes) -> None:
    """Also where the task asks about rows."""
    assert form_of(head, BATCH) is form_of(head, task()) is RecordForm.BATCH


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"A letter.",
        b"id,text\n1,a",
        b'{"text": "a"}',
        b"# The format\n\nA line is\n\n    " + _REQUEST,
        b"%PDF-1.7",
    ],
)
def test_without_records_every_other_file_is_one_document(head: bytes) -> None:
    """A page about the format among them."""
    assert form_of(head, BATCH) is None


@pytest.mark.parametrize(
    "head",
    [
        b"id,text\n1,a",
        b"text",
        b'{"text": "a"}\n',
        b'oops\n{"text": "a"}\n',
        archive("[Content_Types].xml", "xl/workbook.xml"),
        archive("[Content_Types].xml", "docProps/app.xml"),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    ],
)
def test_with_records_tables_are_asked_row_by_row(head: bytes) -> None:
    """Whether a package is a spreadsheet is certain only once its end is read."""
    assert form_of(head, task()) is RecordForm.ROWS


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "empty"),
        (b"%PDF-1.7", "upload CSV, JSONL, XLSX"),
        (b"<!DOCTYPE html><p>a", "upload CSV"),
        (b"MIME-Version: 1.0\nFrom: a@example.org\n\ntext", "upload CSV"),
        (b"\x89PNG\r\n\x1a\n", "upload CSV"),
        (b"\x7fELF\x02\x01\x01", "upload CSV"),
        (archive("a.csv"), "upload CSV"),
        (archive("[Content_Types].xml", "word/document.xml"), "upload CSV"),
        (b'[{"text": "a"},\n{"text": "b"}]', "one JSON value"),
        (b'[\n {"text": "a"}\n]', "one JSON value"),
        (b'{\n "text": "a"\n}', "one JSON value"),
    ],
)
def test_with_records_other_formats_are_refused_with_the_remedy(head: bytes, reason: str) -> None:
    """They would be one senseless row."""
    with pytest.raises(DocumentRefused, match=reason):
        form_of(head, task())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_columns_that_the_task_names_tell_the_delimiter(delimiter: str) -> None:
    """However many of the other signs there are."""
    data = f"a,b;c|d{delimiter}text{delimiter}id\n1{delimiter}x{delimiter}2\n".encode()
    if delimiter in (",", ";", "|"):
        data = data.replace(b"a,b;c|d", b"a.b")
    (record,), layout = converted(data)
    assert (record.text, record.id, layout.delimiter) == ("x", "2", delimiter)
