"""One record of a file, as it is staged: a line of JSON. The content of records is untrusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

Scalar: TypeAlias = str | int | float | bool | None
"""A cell. Of a CSV file always a string; of JSONL any JSON value may stand here."""


_RARE = b" "  # begins a line that holds what orjson does not: larger integers, half a surrogate pair


@dataclass(frozen=True)
class Problem:
    """Why a record has no answer. `code`: Azure's where it has one. `message`: what to do, for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Record:
    """One row of a table, one line of JSONL, or one request of a Batch file.

    `place`: the number of its row or line in the file, from 1; the header of a table is row 1. `id`: its
    custom_id, or the value of the id column; empty if it has none. `text`: what the task asks about. `body`:
    of a Batch request. `kept`: the columns that stand in the result, in their order. `problem`: set if it
    cannot be asked; then there is neither text nor body.
    """

    place: int
    id: str = ""
    text: str = ""
    body: Mapping[str, Any] | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)
    problem: Problem | None = None


def to_line(record: Record) -> bytes:
    """Return the record as a staged line, with the line's end."""
    line: dict[str, Any] = {"at": record.place}
    if record.id:
        line["id"] = record.id
    if record.problem is not None:
        line["problem"] = [record.problem.code, record.problem.message]
    elif record.body is not None:
        line["body"] = record.body
    else:
        line["text"] = record.text
    if record.kept:
        line["kept"] = record.kept
    try:
        return orjson.dumps(line) + b"\n"  # a copy: what orjson returns keeps 3 kB
    except TypeError:
        return _RARE + encoded(line) + b"\n"


def encoded(value: Any) -> bytes:
    """Return a value as one line of JSON in UTF-8, without its end. Half a surrogate pair is an escape."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def from_line(line: bytes) -> Record:
    """Return the record of a staged line. Raises ValueError or KeyError for anything else."""
    found = json.loads(line) if line.startswith(_RARE) else orjson.loads(line)
    problem = found.get("problem")
    return Record(
        found["at"],
        found.get("id", ""),
        found.get("text", ""),
        found.get("body"),
        found.get("kept", {}),
        Problem(*problem) if problem else None,
    )


@dataclass(frozen=True)
class Outcome:
    """What became of a record. Exactly one of `problem`, `response` and `answer` counts.

    `answer`: what the task's form allows: a text, or a value by its schema. `response`: of a Batch request,
    `{"status_code": …, "request_id": …, "body": …}` as Azure gave it, also if it refused the request.
    `problem`: why there is neither.
    """

    answer: Any = None
    response: Mapping[str, Any] | None = None
    problem: Problem | None = None


def problem_of(code: str, error: Exception) -> Outcome:
    """Return the outcome of a record that failed."""
    return Outcome(problem=Problem(code, str(error)))
