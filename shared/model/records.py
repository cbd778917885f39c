"""Record files: what a task asks of each row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RecordForm(StrEnum):
    """The kinds of files that are asked row by row."""

    ROWS = "rows"  # CSV, JSONL or a spreadsheet: the task asks about each row
    BATCH = "batch"  # OpenAI's Batch format: each line is a request of its own


@dataclass(frozen=True)
class Column:
    """A column's name, in a template."""

    name: str


@dataclass(frozen=True)
class Records:
    """How the rows of a file become requests.

    `text`: literal pieces and columns; together they are the document of a row's request. `keep`: the columns
    that stand in the result, beside the id; None: all. `id`: the column whose value identifies a row; None:
    its number does.
    """

    text: tuple[str | Column, ...]
    keep: tuple[str, ...] | None = None
    id: str | None = None

    @property
    def shown(self) -> tuple[str, ...] | None:
        """Return the columns that stand in the result; None: all."""
        if self.keep is None:
            return None
        return self.keep if self.id is None or self.id in self.keep else (self.id, *self.keep)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that a file must have."""
        used = [piece.name for piece in self.text if isinstance(piece, Column)]
        return tuple(dict.fromkeys([*used, *(self.keep or ()), *([self.id] if self.id else ())]))
