"""Convert a deployment's record to its table row, and a row to the record.

The parts of a record share one row, and values that no column can hold are stored as text. The columns are
those of the first version, in which a record had no parts, so rows of every version can be read.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, fields
from operator import itemgetter
from typing import Any

from shared.model import (
    Action,
    Backoff,
    Batch,
    DeploymentRecord,
    DeploymentSpec,
    Generation,
    History,
    LastDecision,
    ModelContext,
    Observed,
    RecordState,
)
from shared.ports import Row, Value
from shared.rows import plain

_PARTS: dict[str, Any] = {
    "generation": Generation,
    "backoff": Backoff,
    "history": History,
    "decision": LastDecision,
}
_RENAMED = {"number": "generation", "count": "decisions"}
_PACKED = dict.fromkeys(("create_seconds", "gathered", "adopted", "context"), "")
# The value that a missing column stands for.
_ABSENT = {
    _RENAMED.get(field.name, field.name): field.default
    for kind in (DeploymentRecord, *_PARTS.values())
    for field in fields(kind)
    if field.name not in ("account", "deployment", "etag", *_PARTS)
} | _PACKED


def _picked(kind: Any) -> itemgetter[Any]:
    """Return a getter of the columns of a part, in the order of its fields."""
    return itemgetter(*(_RENAMED.get(field.name, field.name) for field in fields(kind)))


_PICK = {name: _picked(kind) for name, kind in _PARTS.items()}


def to_values(record: DeploymentRecord) -> dict[str, Value]:
    """Return the columns of a record."""
    columns = dict(vars(record))
    del columns["etag"]
    for part in _PARTS:
        columns |= vars(columns.pop(part))
    for name, column in _RENAMED.items():
        columns[column] = columns.pop(name)
    history = record.history
    columns["create_seconds"] = " ".join(map(str, history.create_seconds))
    columns["gathered"] = " ".join(f"{of.documents}/{of.seconds}/{of.lately}" for of in history.gathered)
    for name, packed in (("adopted", history.adopted), ("context", history.context)):
        columns[name] = json.dumps(asdict(packed), sort_keys=True) if packed else ""
    return plain(columns)


def from_row(row: Row) -> DeploymentRecord:
    """Return the record in a row. Raises KeyError if the row does not name its deployment."""
    columns: dict[str, Any] = {**_ABSENT, **row.values}
    return DeploymentRecord(
        columns["account"],
        columns["deployment"],
        RecordState(columns["state"]),
        columns["changed_at"],
        columns["settled"],
        columns["doubted_at"],
        _generation(*_PICK["generation"](columns)),
        _backoff(*_PICK["backoff"](columns)),
        _history(*_PICK["history"](columns)),
        _decision(*_PICK["decision"](columns)),
        row.etag,
    )


# Cached: most parts of a record that has changed are as before.
_generation = functools.lru_cache(maxsize=1024)(Generation)
_backoff = functools.lru_cache(maxsize=1024)(Backoff)


@functools.lru_cache(maxsize=1024)
def _history(create_seconds: str, gathered: str, adopted: str, context: str) -> History:
    return History(
        tuple(map(int, create_seconds.split())),
        tuple(Batch(*map(int, batch.split("/"))) for batch in gathered.split()),
        DeploymentSpec(**json.loads(adopted)) if adopted else None,
        ModelContext(**json.loads(context)) if context else None,
    )


@functools.lru_cache(maxsize=1024)
def _decision(observed: str, wanted: bool, action: str, *rest: Any) -> LastDecision:
    return LastDecision(Observed(observed), wanted, Action(action), *rest)
