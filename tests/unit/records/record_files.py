"""Files of records, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shared.documents.records.form import Converter, form_of, records_from, sheet_records
from shared.documents.records.layout import Layout, layout_from
from shared.documents.records.record import Outcome, Record, from_line, to_line
from shared.documents.records.result_files import writers_for
from shared.model import Column, RecordForm, Records, Slot, Task, Template

ROWS = Records((Column("text"),), None, "id")


def task(records: Records | None = ROWS, schema: dict[str, Any] | None = None) -> Task:
    """Return a task that asks about each row."""
    return Task((Template("user", (Slot.DOCUMENT,)),), 100, schema, records=records)


def converted(
    data: bytes, of: Task | None = None, *, piece: int = 1 << 20, head: int = 64 * 1024
) -> tuple[list[Record], Layout]:
    """Return a text file's records as they are staged, and its layout. `piece`: bytes fed at a time."""
    of = of or task()
    form = form_of(data[:head], of)
    assert form is not None
    converter = records_from(data[:head], form, of, "clauses")
    return staged(converter, (data[at : at + piece] for at in range(0, len(data), piece)))


def staged(converter: Converter, pieces: Iterable[bytes]) -> tuple[list[Record], Layout]:
    """Feed a converter; return what comes back from its staged lines."""
    lines = [to_line(record) for piece in pieces for record in converter.feed(piece)]
    lines += map(to_line, converter.finish())
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    return [from_line(line) for line in lines], layout_from(converter.layout.to_json())


def of_sheet(rows: bytes, of: Task | None = None) -> tuple[list[Record], Layout]:
    """Return the records of what the reader's child streams."""
    return staged(sheet_records(of or task()), [rows[:7], rows[7:]])


def results(
    records: Sequence[Record], outcomes: Sequence[Outcome], layout: Layout, of: Task | None = None
) -> dict[str, bytes]:
    """Return the result files by the end of their names."""
    files = {}
    for file in writers_for(layout, of or task()):
        pieces = [
            file.head(),
            *(file.add(*pair) for pair in zip(records, outcomes, strict=True)),
            *file.finish(),
        ]
        files[file.end] = b"".join(pieces)
    return files


def batch(**changes: Any) -> dict[str, Any]:
    """Return a request of a Batch file; a change to None leaves the field out."""
    body = {"model": "clauses", "messages": [{"role": "user", "content": "Hello"}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body} | changes
    return {name: value for name, value in line.items() if value is not None}


BATCH = task(None)
FORM = RecordForm.BATCH
