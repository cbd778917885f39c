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

from shared.documents.backlog import Leftover
from shared.documents.sweep_position import Position
from shared.hosting.ledger import DecisionRow
from shared.model import AccountRecord, Document, DocumentState, Hold, HostingSession
from shared.ports import Row, Value
from shared.rows import from_row, to_values

AT = datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC)
STORED = [
    AccountRecord,
    DecisionRow,
    Document,
    Hold,
    HostingSession,
    Leftover,
    Position,
]


def row(values: dict[str, Value], etag: str = "v7") -> Row:
    return Row("key", values, etag, AT)


def sample(hint: Any) -> Any:
    """Some value of a field's type, other than its default."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(each for each in typing.get_args(hint) if each is not type(None))
    if issubclass(hint, StrEnum):
        return list(hint)[-1]
    return {str: "ä 📄", int: 5_000_000_000, float: 0.25, bool: True, datetime: AT}[hint]


def filled(kind: Any) -> Any:
    """An item with every field set, whichever fields it has by now."""
    hints = typing.get_type_hints(kind)
    values = {field.name: sample(hints[field.name]) for field in dataclasses.fields(kind)}
    return kind(**values | ({"etag": "v7"} if "etag" in values else {}))


def emptied(kind: Any) -> Any:
    """An item with nothing set that may be None."""
    hints = typing.get_type_hints(kind)
    optional = {name for name, hint in hints.items() if type(None) in typing.get_args(hint)}
    item = dataclasses.replace(filled(kind), **dict.fromkeys(optional))
    return dataclasses.replace(item, etag="v7") if "etag" in hints else item


@pytest.mark.parametrize("kind", STORED)
def test_what_is_stored_is_read_back(kind: Any) -> None:
    """Every field of every stored dataclass survives, set or None."""
    for item in (filled(kind), emptied(kind)):
        assert from_row(kind, row(to_values(item))) == item


@pytest.mark.parametrize("kind", STORED)
def test_a_row_holds_what_a_table_can_hold(kind: Any) -> None:
    """Plain strings, numbers, booleans and times; a None is a column that is not there."""
    for values in (to_values(filled(kind)), to_values(emptied(kind))):
        assert {type(value) for value in values.values()} <= {str, int, float, bool, datetime}
        assert "etag" not in values


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


def test_a_whole_dollar_is_still_a_float() -> None:
    """Table storage gives a float without a fraction back as an integer."""
    document = Document("d", "clauses", "clauses/a.txt", "0x1", 5, AT, cost=2.0)
    stored = from_row(Document, row({**to_values(document), "cost": 2}))
    assert isinstance(stored.cost, float)
    assert stored.state is DocumentState.WAITING
