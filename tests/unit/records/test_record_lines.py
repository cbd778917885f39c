"""JSONL files and Batch files: one request a line, each with its outcome."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.records.form import records_from
from shared.documents.records.layout import Layout, RecordFormat
from shared.documents.records.record import Record
from shared.documents.records.request import request_of
from shared.errors import DocumentRefused
from shared.model import Column, RecordForm, Records
from tests.fakes.world import config
from tests.unit.records.record_files import BATCH, batch, converted, staged, task

_DEEP = "[" * 100_000 + "]" * 100_000
_FIRST = json.dumps(batch(custom_id="first"))


@pytest.mark.parametrize(
    ("changes", "most"),
    [({}, 50), ({"n": 8}, 400), ({"n": True}, 50), ({"max_tokens": 10**400}, 10_000_000)],
)
def test_a_request_counts_the_longest_answers_that_it_may_have(changes: dict[str, Any], most: int) -> None:
    """Several answers, and numbers that no float holds."""
    body = {"messages": [], "max_tokens": 50, **changes}
    assert request_of(Record(1, body=body), config()).request.max_output_tokens == most


def test_tools_and_calls_of_them_are_part_of_the_prompt() -> None:
    given = [{"function": {"name": "find", "description": "word " * 500}}]
    for more in ({"tools": given}, {"messages": [{"role": "assistant", "tool_calls": given}]}):
        asked = request_of(Record(1, body={"messages": [], **more}), config())
        assert 400 < asked.prompt_tokens < 1000


def lines(*values: Any) -> bytes:
    """Return a JSONL file. A text is a line as it stands."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in values]
    return "\n".join(texts).encode()


def codes(records: list[Record]) -> list[str]:
    """Return the problem of each record; empty if it can be asked."""
    return [record.problem.code if record.problem else "" for record in records]


def test_each_line_is_a_row() -> None:
    """Numbers are those of the lines; what is no text is written as JSON where a text is needed."""
    of = task(Records(("Say: ", Column("text"), " / ", Column("n")), None, "id"))
    data = b"\xef\xbb\xbf" + lines(
        {"id": 7, "text": "ä", "n": [1.5, None, True]}, "", "  ", {"text": "b", "x": None}
    )
    records, layout = converted(data + b"\r\n", of)
    assert layout == Layout(RecordForm.ROWS, RecordFormat.JSONL)
    assert records == [
        Record(1, "7", "Say: ä / [1.5, null, true]", kept={"id": 7, "text": "ä", "n": [1.5, None, True]}),
        Record(4, "", "Say: b / ", kept={"text": "b", "x": None}),
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"text": "a"', "invalid_json_line"),
        ("[1]", "invalid_json_line"),
        ('{"text": NaN}', "invalid_json_line"),
        ('{"text": 1e999}', "invalid_json_line"),
        (f'{{"text": {_DEEP}}}', "invalid_json_line"),
        ('{"text": "x", "y": ' + "[" * 101 + "]" * 101 + "}", "invalid_json_line"),
        ('{"text": ' + "9" * 5000 + "}", "invalid_json_line"),
        ('{"other": "a"}', "empty_record"),
        ('{"text": "a\\u0000"}', "invalid_text"),
        ('{"text": "a", "id": "1"}', "duplicate_id"),
        ('{"text": "%s"}' % ("x" * 1_000_001), "record_too_large"),
        ('{"text": "%s"}' % ("x" * 10_000_000), "record_too_large"),
    ],
)
def test_a_bad_line_spoils_no_other(line: str, code: str) -> None:
    """It is a row with a problem."""
    records, _ = converted(lines({"text": "a", "id": "1"}, line, {"text": "b"}), piece=500_000)
    assert codes(records) == ["", code, ""]
    assert [record.place for record in records] == [1, 2, 3]


def test_bytes_and_characters_that_are_no_text_spoil_their_line_alone() -> None:
    """Half a surrogate pair cannot be sent; one that stands for damage in CSV is none here."""
    data = lines({"text": "\udcff"}, {"text": "a\ud800"}, {"text": "größer"}, "~", {"text": "b"})
    data = (
        json.dumps({"text": "größer"}, ensure_ascii=False).encode()
        + b"\n"
        + data.replace(b"~", b'{"text": "\xff"}')
    )
    found, _ = converted(data, task(Records((Column("text"),))))
    assert codes(found) == ["", "invalid_encoding", "invalid_text", "", "invalid_json_line", ""]


def test_numbers_and_half_characters_are_kept_as_they_are() -> None:
    """Also those that other programs round or refuse."""
    row = {"text": "a", "id": 12345678901234567890123, "half": "\ud83d", "small": 1e-320}
    (record,), _ = converted(lines(row))
    assert record.kept == row


def test_a_field_that_no_line_has_refuses_the_file() -> None:
    """A line may be without it."""
    with pytest.raises(DocumentRefused, match="no line has the field 'text'"):
        converted(lines({"Text": "a"}, {"Text": "b"}), task(Records((Column("text"),))))


def test_a_batch_file_gives_its_bodies_as_they_stand() -> None:
    """The deployment's name counts in any case, and the file decides for one of the two URLs."""
    body = {"model": "CLAUSES", "messages": [], "seed": 12345678901234567890123, "unknown": {"a": 1.0}}
    records, layout = converted(lines(batch(url="/chat/completions", body=body)), BATCH)
    assert records == [Record(1, "a", body=body)]
    assert layout == Layout(RecordForm.BATCH, RecordFormat.JSONL)


@given(st.text(st.characters(codec=None), min_size=1), st.booleans())
def test_a_custom_id_is_kept_verbatim(custom_id: str, as_ascii: bool) -> None:
    """Control characters and halves of surrogate pairs among them."""
    line = json.dumps(batch(custom_id=custom_id), ensure_ascii=as_ascii).encode("utf-8", "surrogatepass")
    try:
        line.decode()
    except UnicodeDecodeError:
        return  # a file in UTF-8 has no such bytes
    (record,), _ = converted(line, BATCH, piece=7)
    assert record.id == custom_id and record.problem is None


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("{", "invalid_json_line", "not one JSON object"),
        ('"text"', "invalid_json_line", "not an object"),
        (batch(custom_id="first"), "duplicate_custom_id", "its own"),
        (batch(custom_id=None), "invalid_request", "custom_id is missing"),
        (batch(custom_id=7), "invalid_request", "custom_id is missing"),
        (batch(custom_id=""), "invalid_request", "custom_id is missing"),
        (batch(method=None), "invalid_request", 'write "POST"'),
        (batch(method="GET"), "invalid_request", 'write "POST"'),
        (batch(url="/chat/completions"), "url_mismatch", "differs from the rest of the file: write /v1"),
        (
            batch(url="/v1/responses"),
            "url_mismatch",
            "responses are not answered here: write the request as a",
        ),
        (batch(url="/v1/embeddings"), "url_mismatch", "embeddings are not answered here"),
        (batch(url=None), "url_mismatch", "write /v1/chat/completions"),
        (batch(url=["/v1/chat/completions"]), "url_mismatch", "write /v1/chat/completions"),
        (batch(body="text"), "invalid_request", "not an object"),
        (batch(body=None), "invalid_request", "body is missing"),
        (batch(body={"model": "gpt-4o"}), "model_mismatch", "write clauses"),
        (batch(body={}), "model_mismatch", "write clauses"),
        (batch(body={"model": "clauses", "stream": True}), "invalid_request", "whole answers"),
    ],
)
def test_a_bad_request_is_a_line_of_the_error_file(line: Any, code: str, told: str) -> None:
    """With Azure's code, and what to do; the requests around it are asked."""
    records, _ = converted(lines(_FIRST, line, batch(custom_id="last")), BATCH)
    assert codes(records) == ["", code, ""]
    assert records[1].problem and told in records[1].problem.message
    assert records[1].body is None


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf \r\n\n"])
def test_a_batch_file_without_requests_is_refused(data: bytes) -> None:
    """As Azure does."""
    with pytest.raises(DocumentRefused, match="empty_file"):
        staged(records_from(data, RecordForm.BATCH, BATCH, "clauses"), [data])


def test_more_requests_than_azure_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limit is 100,000."""
    monkeypatch.setattr("shared.documents.records.batch_lines.MOST_LINES", 2)
    with pytest.raises(DocumentRefused, match="too_many_tasks"):
        converted(lines(*(batch(custom_id=each) for each in "abc")), BATCH)
