"""What a command prints: aligned text or one JSON document on stdout; progress and alerts on stderr.

File names and what models answer are untrusted: nothing that could steer a terminal is printed.
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

# Control and format characters (which turn text around), lone surrogates, line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def is_closed(error: OSError) -> bool:
    """Whether a stream's reader has gone; Windows says so with EINVAL."""
    return error.errno in (errno.EPIPE, errno.EINVAL)


def clean(text: object, *, lines: bool = False) -> str:
    """Text that cannot steer a terminal: on one line, or with its own `lines`."""
    kept = "\n\t" if lines else ""
    return "".join(
        each if each in kept or unicodedata.category(each) not in _UNSAFE else " " * (each in "\n\t\r")
        for each in str(text)
    )


def clock_time(at: str | datetime | None) -> str:
    """A time for people, in UTC; "-" for none."""
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    return f"{at:%Y-%m-%d %H:%M:%S}".removesuffix(":00") if at else "-"


def fixed(figure: float, digits: int = 2) -> str:
    """A figure with so many decimals; what rounds to nothing has no sign."""
    return f"{round(figure, digits) + 0.0:.{digits}f}"


def bounds(least: float, most: float, digits: int = 2) -> str:
    """A figure that is known within bounds, or exactly."""
    low, high = fixed(least, digits), fixed(most, digits)
    return low if low == high else f"{low} to {high}"


def money(least: float, most: float, currency: str, digits: int = 2) -> str:
    """An amount, or its bounds."""
    return f"{bounds(least, most, digits)} {currency}"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Aligned columns, cleaned; the last one as wide as it likes."""
    cells = [list(headings), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def facts(pairs: Iterable[tuple[str, object]]) -> list[str]:
    """`name   value` lines, aligned; what has no value is left out."""
    shown = [(name, clean(value)) for name, value in pairs if value not in (None, "", [])]
    width = max((len(name) for name, _ in shown), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in shown]


class OutputClosed(Exception):
    """The reader of standard output has gone, as `head` does: nothing more is to be printed."""


class Terminal:
    """Where a command prints. Raises OutputClosed where nobody reads the answer any more."""

    def __init__(self, out: TextIO, err: TextIO, *, as_json: bool) -> None:
        self._out = out
        self._err = err
        self.as_json = as_json

    def show(self, report: object, text: Iterable[str]) -> None:
        """The command's answer: the report as JSON if that was asked for, else the text."""
        self.write(
            json.dumps(to_json(report), indent=2) + "\n"
            if self.as_json
            else "".join(f"{line}\n" for line in text)
        )

    def write(self, text: str) -> None:
        """A document of another kind, such as CSV, as it is."""
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as error:
            if not is_closed(error):
                raise
            raise OutputClosed from error

    def tell(self, text: str) -> None:
        """A line beside the answer. The work continues if nobody reads it."""
        try:
            self._err.write(f"{clean(text)}\n")
            self._err.flush()
        except OSError as error:
            if not is_closed(error):
                raise

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Show how far a long wait is: in place on a terminal, else a line for every change."""
        if not self._out.isatty():
            last = ""

            def tell(text: str) -> None:
                nonlocal last
                if text != last:
                    self.tell(text)
                last = text

            yield tell
            return
        from rich.console import Console
        from rich.text import Text

        with Console(file=self._err).status(Text("...")) as status:
            yield lambda text: status.update(Text(clean(text)))


class AlertLines(logging.Handler):
    """The app's alerts, as lines for people instead of JSON for Azure."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(logging.WARNING)
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        logged = json.loads(record.getMessage())
        where = f" ({logged['deployment']})" if "deployment" in logged else ""
        times = f" ({logged['times']} times since the last such line)" if "times" in logged else ""
        self._terminal.tell(f"alert {logged['event']}{where}: {logged['remedy']}{times}")
