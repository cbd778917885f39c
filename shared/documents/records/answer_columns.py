"""Divide an answer among the columns of a table: one for each property of its schema, or one for all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.documents.records.record import Outcome, Scalar
from shared.documents.records.rows import unused
from shared.model import Task

ANSWER, ERROR = "answer", "error"


class AnswerColumns:
    """The columns that follow those of the file. `taken`: the names of those."""

    def __init__(self, task: Task, taken: Sequence[str]) -> None:
        schema = task.response_schema or {}
        properties = schema.get("properties")
        self._properties = tuple(properties) if isinstance(properties, dict) else ()
        names = list(taken)
        for name in [*(f"{ANSWER}.{each}" for each in self._properties or ())] or [ANSWER]:
            names.append(unused(name, names))
        names.append(unused(ERROR, names))
        self.names: tuple[str, ...] = tuple(names[len(taken) :])

    def cells(self, outcome: Outcome) -> list[Scalar]:
        """Return the cells of one answer, and what is wrong."""
        blank = [None] * (len(self.names) - 1)
        if outcome.problem is not None:
            return [*blank, f"{outcome.problem.code}: {outcome.problem.message}"]
        answer = outcome.answer
        if self._properties and isinstance(answer, Mapping):
            return [*(_cell(answer.get(name)) for name in self._properties), None]
        return [_cell(answer), *blank]


def _cell(value: Any) -> Scalar:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
