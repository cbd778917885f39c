"""Write the values of a spreadsheet's cells as people read them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

MOST_CELLS = 5_000_000
"""Cells of a file, from the first to the last that holds something: calamine takes memory for all of them."""

_EXACT = 10**15  # below it, programs show all digits of a whole number

SPREAD = f"its cells spread over more than {MOST_CELLS:,}: delete empty rows and columns, or split it"

Cell = str | int | float | bool
"""A cell of a row that is asked by itself: a number, a yes or no, or any other value as people read it."""

Value = int | float | str | bool | time | date | datetime | timedelta


def shown(value: Value) -> str:
    """Return the cell's text: dates as in ISO 8601, numbers with the digits that spreadsheets keep."""
    match value:
        case str():
            return value
        case bool():
            return str(value).upper()
        case int() | float():
            return f"{value:.15g}"
        case datetime():
            return _moment(value)
        case date():
            return value.isoformat()
        case time():
            return value.isoformat(_precision(value))
        case timedelta():
            minutes, seconds = divmod(round(value.total_seconds()), 60)
            return f"{minutes // 60}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")


def cell(value: Value) -> Cell:
    """Return the cell of a row."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[return-value]
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    return value if isinstance(value, int) else shown(value)


def column(letters: str) -> int:
    """Return the number of a column, from 1, which spreadsheets name with letters."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _moment(value: datetime) -> str:
    if value.microsecond:  # moments are stored as fractions of a day
        value = (value + timedelta(milliseconds=500)).replace(microsecond=0)
    if value.time() == time():
        return value.date().isoformat()
    return value.isoformat(" ", _precision(value.time()))


def _precision(value: time) -> str:
    return "seconds" if value.second else "minutes"
