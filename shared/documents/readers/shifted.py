"""Write superscripts and subscripts: 10⁶ is not 106, and a reference to a note is no digit of a number."""

from __future__ import annotations

Shift = dict[int, int]
"""What becomes of characters; of letters nothing, as most that are raised are no powers (1st, TM)."""

RAISED: Shift = str.maketrans("0123456789+-−=()", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾")
LOWERED: Shift = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
LEVEL: Shift = {}


def shifted(text: str, shift: Shift) -> str:
    """Return text as it is written above or below the line, or on it."""
    return text.translate(shift) if shift else text
