"""Read the numbers on a measurement's command line: one without sense gets a sentence, not a traceback."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

_MOST = 10_000_000


def whole(least: int = 1, most: int = _MOST) -> Callable[[str], int]:
    """Return a reader of whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise ArgumentTypeError(f"write a whole number from {least:,} to {most:,}")
        return number

    return read


def wholes(least: int = 1, most: int = _MOST) -> Callable[[str], list[int]]:
    """Return a reader of whole numbers with commas in between."""
    one = whole(least, most)
    return lambda text: [one(part) for part in text.split(",")]


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a reader of numbers from `least` to `most`."""

    def read(text: str) -> float:
        try:
            given = float(text)
        except ValueError:
            given = float("nan")
        if not least <= given <= most:
            raise ArgumentTypeError(f"write a number from {least:,} to {most:,}")
        return given

    return read
