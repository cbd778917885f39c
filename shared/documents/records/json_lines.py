"""Divide a JSONL file into its lines, and parse each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.documents.records.decoding import DAMAGED, UNREADABLE, Decoder
from shared.documents.records.record import Problem
from shared.documents.records.rows import TOO_LARGE
from shared.documents.records.strict_json import parse

_LONGEST = 4_000_000  # characters of a line: JSON may write one of a text with six, and pictures as text
_BLANK = " \t\r\n\x1a"


class JsonLines:
    """Parse the lines of a file. `head`: its first bytes."""

    def __init__(self, head: bytes) -> None:
        self._decoder = Decoder(head)
        self._rest = ""  # the last line as far as it came
        self._number = 0

    def feed(self, data: bytes, final: bool = False) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
        """Yield number and object of the lines that end in the next piece; a problem if it has no object."""
        lines = (self._rest + self._decoder.text(data, final)).split("\n")
        self._rest = "" if final else lines.pop()[: _LONGEST + 1]
        for line in lines:
            self._number += 1
            line = line.strip(_BLANK)
            if line:
                yield self._number, _parsed(line)


def _parsed(line: str) -> dict[str, Any] | Problem:
    if len(line) > _LONGEST:
        return TOO_LARGE
    if DAMAGED in line:
        return Problem("invalid_json_line", UNREADABLE)
    try:
        found = parse(line)
    except ValueError as error:
        return _invalid(str(error))
    return found if isinstance(found, dict) else _invalid("it is not an object")


def _invalid(why: str) -> Problem:
    return Problem("invalid_json_line", f"the line is not one JSON object: {why}")
