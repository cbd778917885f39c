"""Write a table's row as one line."""

from __future__ import annotations

from collections.abc import Iterable


def row(cells: Iterable[str]) -> str:
    """Return the cells joined by bars. Empty ones keep their place, save for those at the end."""
    folded = [" ".join(cell.split()) for cell in cells]
    while folded and not folded[-1]:
        folded.pop()
    return " | ".join(folded).strip()
