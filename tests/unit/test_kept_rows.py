"""A store that an earlier version wrote is taken over: its rows are read, and written again without loss.

`tests/reference/rows-0.1.0.jsonl` holds rows of version 0.1.0, whose record of a deployment had no parts.
They were kept from runs of the simulation and of the stories of adoption, so that between them every column
is set.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared import rows
from shared.documents.sweep import Position
from shared.hosting import record_row
from shared.hosting.ledger import DecisionRow
from shared.model import AccountRecord, Batch, Document, Hold, HostingSession, RecordState
from shared.ports import Row

KEPT = Path(__file__).parents[1] / "reference" / "rows-0.1.0.jsonl"
READERS: dict[str, Callable[[Row], Any]] = {
    "account": functools.partial(rows.from_row, AccountRecord),
    "decision": functools.partial(rows.from_row, DecisionRow),
    "deployment": record_row.from_row,
    "document": functools.partial(rows.from_row, Document),
    "hold": functools.partial(rows.from_row, Hold),
    "session": functools.partial(rows.from_row, HostingSession),
    "walk": functools.partial(rows.from_row, Position),
}
LATER = {"kept", "token_renewal", "request_renewal", "context"}  # columns that version 0.1.0 did not write
WRITERS = {"deployment": record_row.to_values}


def kept(kind: str) -> list[Row]:
    """The rows of that kind; a time is stored as {"at": …}, as JSON has none."""
    lines = [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()]
    return [
        Row("key", {name: _value(each) for name, each in line["values"].items()}, "v7", datetime.now(UTC))
        for line in lines
        if line["kind"] == kind
    ]


def _value(value: Any) -> Any:
    return datetime.fromisoformat(value["at"]) if isinstance(value, dict) else value


@pytest.mark.parametrize("kind", READERS)
def test_a_row_of_version_0_1_0_is_read_and_written_again_without_loss(kind: str) -> None:
    """Column for column; a later version may add columns."""
    found = kept(kind)
    assert found
    for row in found:
        written = WRITERS.get(kind, rows.to_values)(READERS[kind](row))
        assert {name: written.get(name) for name in row.values} == row.values
        assert {name: type(written[name]) for name in row.values} == {
            name: type(value) for name, value in row.values.items()
        }


def test_every_field_of_a_record_takes_its_value_from_such_a_row() -> None:
    """Nothing is left at its default, whichever column it is in."""
    records = [record_row.from_row(row) for row in kept("deployment")]
    for part in ("generation", "backoff", "history", "decision"):
        for name, default in vars(type(getattr(records[0], part))()).items():
            if name in LATER:
                continue
            assert any(getattr(getattr(record, part), name) != default for record in records), name
    assert {record.state for record in records} == set(RecordState)
    assert {record.settled for record in records} == {True, False}
    assert any(record.doubted_at for record in records)
    assert {record.etag for record in records} == {"v7"}


def test_what_no_column_can_hold_is_text_in_the_row_alone() -> None:
    """Samples, batches and the properties of an adopted deployment."""
    records = [record_row.from_row(row) for row in kept("deployment")]
    assert any(record.history.create_seconds == (190, 431) for record in records)
    assert any(record.history.gathered[-1:] == (Batch(9, 1761, 2),) for record in records)
    (adopted,) = {record.history.adopted.capacity for record in records if record.history.adopted}
    assert adopted == 50


def test_a_record_needs_no_column_but_its_names() -> None:
    """A new column needs no migration, and a roll-back leaves out what its successor wrote."""
    values = {"account": "a", "deployment": "clauses", "failures": 3, "weather": "fine"}
    record = record_row.from_row(Row("key", values, "v7", datetime.now(UTC)))
    assert (record.account, record.deployment, record.backoff.failures) == ("a", "clauses", 3)
    assert (record.state, record.generation.number, record.generation.owned) == (RecordState.ABSENT, 0, True)
