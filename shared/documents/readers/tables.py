"""Write a table's row as one line."""

from __future__ import annotations

from collections.abc import Iterable

MOST_COLUMNS = 1000
"""Up to which cells keep their columns; a cell may claim to span any number."""


def row(cells: Iterable[str]) -> str:
    """Return the cells joined by bars. Empty ones keep their place, save for those at the end."""
    folded = [" ".join(cell.split()) for cell in cells]
    while folded and not folded[-1]:
        folded.pop()
    return " | ".join(folded).strip()


class Grid:
    """Put the cells of a table under their columns; where a cell spans others, these are empty."""

    def __init__(self) -> None:
        self._cells = list[str]()  # of the row that is being read
        self._covered = dict[int, int]()  # by column, in how many rows from this one on
        self._begun = dict[int, int]()  # the same, by the cells of this row

    @property
    def is_covered(self) -> bool:
        """Return whether a cell above spans this row."""
        return bool(self._covered)

    def add(self, text: str, columns: int = 1, rows: int = 1) -> None:
        """Add the next cell, which spans so many columns and rows."""
        while len(self._cells) in self._covered:
            self._cells.append("")
        at = len(self._cells)
        columns = max(1, min(columns, MOST_COLUMNS - at))
        self._cells += [text, *[""] * (columns - 1)]
        if rows > 1:
            self._begun |= dict.fromkeys(range(at, min(at + columns, MOST_COLUMNS)), rows - 1)

    def end_row(self) -> str:
        """Return the row, and begin the next."""
        line = row(self._cells)
        self._covered = {at: rows - 1 for at, rows in self._covered.items() if rows > 1} | self._begun
        self._cells, self._begun = [], {}
        return line
