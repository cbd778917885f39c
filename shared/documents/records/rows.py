"""Make the record of a row: what the task asks about it, what is kept of it, and what is wrong with it."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from shared.documents.records.decoding import DAMAGED, UNREADABLE
from shared.documents.records.record import Problem, Record
from shared.errors import DocumentRefused
from shared.model import Column, Records

MOST_TEXT = 1_000_000
"""Characters of one record: what is asked about it, and what is kept of it."""
MOST_ROWS = 1_000_000
"""Records of a file."""
_SHORTENED = 1000  # characters of each value that is kept of a record that is too large

TOO_LARGE = Problem(
    "record_too_large",
    f"it has more than {MOST_TEXT:,} characters: shorten it, or upload its text as a document of its own",
)
_EMPTY = Problem(
    "empty_record", "the columns that task.records.text names are empty: there is nothing to ask"
)
_UNREADABLE = Problem("invalid_encoding", UNREADABLE)
_BINARY = Problem("invalid_text", "its text has NUL or half characters, as binary data has: remove them")
_DUPLICATE = Problem("duplicate_id", "an earlier row has the same id: give each its own")


class Rows:
    """Make the records of one file. `text_of`: returns a value of the file's format as text."""

    def __init__(self, records: Records, text_of: Callable[[Any], str]) -> None:
        self._records = records
        self._text_of = text_of
        self._ids = Ids()
        self._count = 0

    def record(self, place: int, row: Mapping[str, Any], problem: Problem | None = None) -> Record:
        """Return the record of a row. Raises DocumentRefused if the file has too many."""
        self._count += 1
        if self._count > MOST_ROWS:
            raise DocumentRefused(f"the file has more than {MOST_ROWS:,} rows: split it")
        keep = self._records.shown
        kept = row if keep is None else {name: row[name] for name in keep if name in row}
        identifier = self._text(row.get(self._records.id)) if self._records.id else ""
        text, telling = self._filled(row)
        found = problem or self._problem(identifier, text, telling, kept)
        if found is None:
            return Record(place, identifier, text, kept=kept)
        if found is TOO_LARGE:
            identifier = _shortened(identifier)
            kept = {name: _shortened(value) for name, value in kept.items()}
        return Record(
            place,
            _cleaned(identifier),
            kept={name: _cleaned(value) for name, value in kept.items()},
            problem=found,
        )

    def end(self) -> None:
        """Raise DocumentRefused if the file had no row."""
        if not self._count:
            raise DocumentRefused("the file has no rows: write one below the header for each record")

    def _filled(self, row: Mapping[str, Any]) -> tuple[str, bool]:
        """Return the template filled with a row, and whether the row says something there."""
        pieces, telling = list[str](), False
        for piece in self._records.text:
            if isinstance(piece, Column):
                piece = self._text(row.get(piece.name))
                telling = telling or not (not piece or piece.isspace())
            pieces.append(piece)
        return "".join(pieces), telling

    def _text(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        return "" if value is None else self._text_of(value)

    def _problem(self, identifier: str, text: str, telling: bool, kept: Mapping[str, Any]) -> Problem | None:
        texts = [value for value in kept.values() if isinstance(value, str)]
        whole = "".join((identifier, text, *texts))
        if len(whole) > MOST_TEXT:
            return TOO_LARGE
        if DAMAGED in whole:
            return _UNREADABLE
        if not telling:
            return _EMPTY
        if "\0" in text or not _can_be_sent(text):
            return _BINARY
        return _DUPLICATE if identifier and self._ids.has(identifier) else None


class Ids:
    """Know which ids came before, by digests: a million ids may be long."""

    def __init__(self) -> None:
        self._digests = set[bytes]()

    def has(self, identifier: str) -> bool:
        """Return whether this one came before, and note it."""
        digest = hashlib.blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._digests:
            return True
        self._digests.add(digest)
        return False


def column_names(cells: Sequence[Any]) -> tuple[str, ...]:
    """Return different names for the columns of a header; a second "name" is "name 2"."""
    names = dict[str, None]()
    given = {str(cell or "").strip() for cell in cells}
    numbers = dict[str, int]()  # of a name that stands there several times: the last one
    for place, cell in enumerate(cells, 1):
        name = str(cell or "").strip().replace(DAMAGED, "\N{REPLACEMENT CHARACTER}") or f"column {place}"
        found, number = name, numbers.get(name, 1)
        while found in names or (found != name and found in given):
            number += 1
            found = f"{name} {number}"
        numbers[name] = number
        names[found] = None
    return tuple(names)


def unused(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number if it is taken."""
    number = 2
    found = name
    while found in taken:
        found, number = f"{name} {number}", number + 1
    return found


def refuse_without(names: Collection[str], records: Records) -> None:
    """Raise DocumentRefused if a column that the task names is missing."""
    for name in records.columns:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise DocumentRefused(
                f"its first row names {len(names)} columns, and none is {name!r}, which task.records "
                f"names{hint}: write the columns' names into the first row, or correct task.records"
            )


def _can_be_sent(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shortened(value: Any) -> Any:
    return f"{value[:_SHORTENED]}…" if isinstance(value, str) and len(value) > _SHORTENED else value


def _cleaned(value: Any) -> Any:
    return value.replace(DAMAGED, "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
