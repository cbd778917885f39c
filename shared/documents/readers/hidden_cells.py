"""Leave out the hidden rows and columns of a sheet, however they were hidden, and say that they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MOST_COLUMNS = 16_384
"""Columns of a sheet, in all programs."""


@dataclass
class Hidden:
    """Rows and columns count from 1."""

    rows: set[int] = field(default_factory=set)
    columns: set[int] = field(default_factory=set)
    _left_out: int = 0  # rows that hold something
    _columns_left_out: set[int] = field(default_factory=set)

    def visible(self, cells: Sequence[str], row: int, times: int = 1) -> Sequence[str]:
        """Return those that people see of a row, which may stand there several times."""
        if row in self.rows:
            self._left_out += times * any(cells)
            return ()
        if not self.columns:
            return cells
        places = list(enumerate(cells, 1))
        self._columns_left_out.update(at for at, cell in places if cell and at in self.columns)
        return [cell for at, cell in places if at not in self.columns]

    def shows(self, row: int | None, column: int) -> bool:
        """Return whether people see a cell."""
        return row not in self.rows and column not in self.columns

    def note(self) -> str:
        """Return what to say of what was left out; empty if that held nothing."""
        counts = ((self._left_out, "row"), (len(self._columns_left_out), "column"))
        told = [f"{count:,} hidden {name}{'s' if count > 1 else ''}" for count, name in counts if count]
        return f"[Not read: {' and '.join(told)} of this sheet.]" if told else ""
