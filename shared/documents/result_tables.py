"""Write the tables of an answer as CSV that a spreadsheet opens: RFC 4180, UTF-8 with a byte order mark.

A spreadsheet computes a cell that begins like a formula, and formulas can read other cells and send them away
(https://owasp.org/www-community/attacks/CSV_Injection). Such a cell gets an apostrophe before it. So does
what follows a semicolon, tab or line break within a cell: where the comma is the decimal sign, Excel divides
a line at its semicolons, and does not know where a cell began.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.documents.quote_places import Places

MOST_CHARACTERS = 1_000_000
"""Of one file for people, more or less. The JSON has the rest."""
CUT = "Cut here: the JSON has the rest."
_MOST_COLUMNS = 40
_MOST_TABLES = 8
_DEEPEST = 4  # objects around a table
_LONGEST_CELL = 32_000  # Excel holds 32,767
_LONGEST_END = 20  # of a file's name: the result's own name leaves no more room
_NUMBER = r"[+-]?[0-9]+(?:[.,][0-9]+)*(?:[eE][+-]?[0-9]+)?%?"
_PLAIN = re.compile(rf"\s*{_NUMBER}\s*")
_FORMULA = re.compile(r"[\t\r]|\s*[=+\-@＝＋－＠]")
_INNER = re.compile(rf'([;\t\r\n](?:[^\S\t\r\n]|")*)(?=[=+\-@＝＋－＠])(?!{_NUMBER}\s*(?:[;\t\r\n]|\Z))')


@dataclass(frozen=True)
class Table:
    """Rows of an answer. `name`: the part of its file's name; "" for the only table of an answer."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    places: Places


def scalar(value: Any) -> str:
    """Return a value without parts as text for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)[:MOST_CHARACTERS]


def columns(value: Any) -> list[str]:
    """Return the columns of a list of flat objects; none if it is something else, or too wide to read."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        return []
    if not all(_is_flat(cell) for row in value for cell in row.values()):
        return []
    names = list(dict.fromkeys(name for row in value for name in row))
    return names if len(names) <= _MOST_COLUMNS else []


def _is_flat(cell: Any) -> bool:
    if isinstance(cell, list):
        return not any(isinstance(each, dict | list) for each in cell)
    return not isinstance(cell, dict)


def tables(answer: Any, places: Places) -> list[Table]:
    """Return the tables that get files: the only one of an answer, or those among its fields, by name."""
    if names := columns(answer):
        return [Table("", names, answer, places)]
    found = list(_tables(answer, places, _DEEPEST)) if isinstance(answer, dict) else []
    if len(found) == 1:
        return [Table("", found[0].columns, found[0].rows, found[0].places)]
    top = [each for each in found if answer.get(each.name) is each.rows][:_MOST_TABLES]
    ends = _ends([each.name for each in top])
    return [Table(end, each.columns, each.rows, each.places) for end, each in zip(ends, top, strict=True)]


def _tables(answer: Mapping[str, Any], places: Places, depth: int) -> Iterator[Table]:
    for name, each in answer.items():
        if names := columns(each):
            yield Table(name, names, each, places.at(name))
        elif isinstance(each, dict) and depth:
            yield from _tables(each, places.at(name), depth - 1)


def _ends(names: Sequence[str]) -> list[str]:
    """Return different parts of file names for fields, which may have any names."""
    ends = list[str]()
    for number, name in enumerate(names, 1):
        end = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:_LONGEST_END].strip("_")
        ends.append(end if end and end not in ends else f"table.{number}")  # no field gives a dot
    return ends


def to_csv(table: Table) -> bytes:
    """Return a table as a CSV file. A column with quotes is followed by one with their places."""
    text = io.StringIO()
    writer = csv.writer(text)
    quotes = table.places.quotes
    head = [[name, f"{name} (place)"] if name in quotes else [name] for name in table.columns]
    writer.writerow([harmless(name) for names in head for name in names])
    for number, row in enumerate(table.rows):
        if text.tell() > MOST_CHARACTERS:
            writer.writerow([CUT])
            break
        writer.writerow(_cells(row, table.places.at(number), table.columns, quotes))
    return text.getvalue().encode("utf-8-sig", errors="replace")


def _cells(row: Mapping[str, Any], places: Places, names: Sequence[str], quotes: set[str]) -> Iterator[str]:
    for name in names:
        value = row.get(name)
        yield harmless("; ".join(map(scalar, value)) if isinstance(value, list) else scalar(value))
        if name in quotes:
            yield harmless("; ".join(places.at(name).all))


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula. Plain numbers such as -3.5 stay as they are."""
    if len(cell) > _LONGEST_CELL:
        cell = f"{cell[:_LONGEST_CELL]}…"
    if _FORMULA.match(cell) and not _PLAIN.fullmatch(cell):
        cell = f"'{cell}"
    return _INNER.sub(r"\1'", cell)
