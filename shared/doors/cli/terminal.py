"""Print a command's output: aligned text or one JSON document on stdout; progress and alerts on stderr.

File names and answers of models are untrusted: characters that control a terminal are removed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TextIO

from shared.reports.as_json import to_json

# Control and format characters (which may reverse text), lone surrogates, line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def is_closed(error: OSError) -> bool:
    """Return whether a stream's reader has gone; Windows reports EINVAL then."""
    return error.errno in (errno.EPIPE, errno.EINVAL)


def clean(text: object, *, lines: bool = False) -> str:
    """Return the text without characters that control a terminal; on one line unless `lines`."""
    kept = "\n\t" if lines else ""
    return "".join(
        char if char in kept or unicodedata.category(char) not in _UNSAFE else " " * (char in "\n\t\r")
        for char in str(text)
    )


def shortened(text: str, most: int = 60) -> str:
    """Return a text of any length for a column: the middle of a long one is left out."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def clock_time(at: str | datetime | None) -> str:
    """Return a time in UTC for people; "-" for None."""
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    return f"{at:%Y-%m-%d %H:%M:%S}".removesuffix(":00") if at else "-"


def fixed(figure: float, digits: int = 2) -> str:
    """Return a figure with so many decimals; if it rounds to zero, without a sign."""
    return f"{round(figure, digits) + 0.0:.{digits}f}"


def bounds(least: float, most: float, digits: int = 2) -> str:
    """Return a figure with its bounds, or alone if they are equal."""
    low, high = fixed(least, digits), fixed(most, digits)
    return low if low == high else f"{low} to {high}"


def money(least: float, most: float, currency: str, digits: int = 2) -> str:
    """Return an amount, or its bounds."""
    return f"{bounds(least, most, digits)} {currency}"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return aligned columns of cleaned text; the last column is not cut."""
    cells = [list(headings), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def facts(pairs: Iterable[tuple[str, object]]) -> list[str]:
    """Return aligned lines of `name   value`, without names that have no value."""
    shown = [(name, clean(value)) for name, value in pairs if value not in (None, "", [])]
    width = max((len(name) for name, _ in shown), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in shown]


class OutputClosed(Exception):
    """The reader of standard output has gone, as `head` does. Print nothing more."""


class Terminal:
    """The output of a command. Raises OutputClosed if the answer's reader has gone."""

    def __init__(self, out: TextIO, err: TextIO, *, as_json: bool) -> None:
        self._out = out
        self._err = err
        self.as_json = as_json

    def show(self, report: object, text: Iterable[str]) -> None:
        """Print the command's answer: the report as JSON if asked for, else the text."""
        self.write(
            json.dumps(to_json(report), indent=2) + "\n"
            if self.as_json
            else "".join(f"{line}\n" for line in text)
        )

    def write(self, text: str) -> None:
        """Print a document of another format, such as CSV, unchanged."""
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as error:
            if not is_closed(error):
                raise
            raise OutputClosed from error

    def tell(self, text: str) -> None:
        """Print a line on stderr. The work continues if its reader has gone."""
        try:
            self._err.write(f"{clean(text)}\n")
            self._err.flush()
        except OSError as error:
            if not is_closed(error):
                raise

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Show the progress of a long wait: in place on a terminal, else a line for every change."""
        if not self._out.isatty():
            last = ""

            def show(text: str) -> None:
                nonlocal last
                if text != last:
                    self.tell(text)
                last = text

            yield show
            return
        from rich.console import Console
        from rich.text import Text

        with Console(file=self._err).status(Text("...")) as status:
            yield lambda text: status.update(Text(clean(text)))


class AlertLines(logging.Handler):
    """A handler that prints the app's alerts as lines for people, not as JSON for Azure."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(logging.WARNING)
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Print an alert (see logging.Handler)."""
        logged = json.loads(record.getMessage())
        where = f" ({logged['deployment']})" if "deployment" in logged else ""
        times = f" ({logged['times']} times since the last such line)" if "times" in logged else ""
        self._terminal.tell(f"alert {logged['event']}{where}: {logged['remedy']}{times}")
