"""Dataclasses ↔ table rows: whatever is stored is read back as it was."""

from __future__ import annotations

import ast
import dataclasses
import types
import typing
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.batches.rows import BatchJob, StoredFile
from shared.documents.backlog import Leftover
from shared.documents.sweep_position import Position
from shared.hosting import record_row
from shared.hosting.ledger import DecisionRow
from shared.model import AccountRecord, DeploymentRecord, Document, Hold, HostingSession
from shared.notify.outbox import Notice
from shared.ports import Row, Value
from shared.rows import from_row, to_values
from shared.sources.taken import Claim, Progress

AT = datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC)
STORED = [
    *(AccountRecord, BatchJob, DecisionRow, Document, Hold, HostingSession, Leftover, Notice, Position),
    *(StoredFile, Claim, Progress),
]


def row(values: dict[str, Value], etag: str = "v7") -> Row:
    return Row("key", values, etag, AT)


def as_stored(values: dict[str, Value]) -> dict[str, Value]:
    """What Table storage gives back: a float without a fraction is an integer."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in values.items()
    }


PLAIN = {
    str: st.text(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
}


def value_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(value_of, arguments))
    if origin is tuple:
        return st.lists(value_of(arguments[0]), max_size=3).map(tuple)
    if origin is not None:
        return st.dictionaries(*map(value_of, arguments), max_size=3)
    if hint is type(None):
        return st.none()
    if dataclasses.is_dataclass(hint):
        return stored(hint)
    return st.sampled_from(list(hint)) if issubclass(hint, StrEnum) else PLAIN[hint]


def stored(kind: Any) -> st.SearchStrategy[Any]:
    """An item with any value in each of its fields, whichever it has by now."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: value_of(hints[field.name]) for field in dataclasses.fields(kind)}
    return st.builds(kind, **fields | ({"etag": st.just("v7")} if "etag" in fields else {}))


@settings(max_examples=40)
@given(stored(DeploymentRecord))
def test_a_record_of_parts_is_read_back(record: DeploymentRecord) -> None:
    """Its lists and what was adopted are packed into columns of text, and unpacked."""
    assert record_row.from_row(row(as_stored(record_row.to_values(record)))) == record


@pytest.mark.parametrize("kind", STORED)
@settings(max_examples=40)
@given(data=st.data())
def test_what_is_stored_is_read_back(kind: Any, data: st.DataObject) -> None:
    """Each field as it was, type and all; a row holds nothing that a table cannot, and no etag."""
    item = data.draw(stored(kind))
    values = to_values(item)
    assert {type(value) for value in values.values()} <= {str, int, float, bool, datetime}
    assert "etag" not in values
    found = from_row(kind, row(as_stored(values)))
    assert found == item
    for field in dataclasses.fields(kind):
        assert type(getattr(found, field.name)) is type(getattr(item, field.name)), field.name


def test_every_dataclass_that_is_stored_is_tested_here() -> None:
    """Whatever `shared` reads from a row is in the list above."""
    root = Path(__file__).parents[2] / "shared"
    calls = (
        node
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "from_row"
    )
    assert {ast.unparse(call.args[0]) for call in calls} == {kind.__name__ for kind in STORED}


def test_the_etag_is_the_row_s() -> None:
    """What was read names the version that it was read in, so that a save can name it."""
    stale = AccountRecord("a", etag="v1")
    assert from_row(AccountRecord, row(to_values(stale), etag="v2")).etag == "v2"


def test_columns_of_a_newer_version_are_left_out() -> None:
    """A roll-back reads what its successor wrote."""
    values = {**to_values(AccountRecord("a", endpoint="https://x/")), "region": "westeurope"}
    assert from_row(AccountRecord, row(values)) == AccountRecord("a", endpoint="https://x/", etag="v7")


def test_columns_that_an_older_version_did_not_write_have_their_default() -> None:
    """A new field needs no migration."""
    values = to_values(AccountRecord("a", busy="409"))
    del values["busy"]
    assert from_row(AccountRecord, row(values)) == AccountRecord("a", etag="v7")
