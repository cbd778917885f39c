"""How commands print: nothing that steers a terminal, aligned, progress and alerts beside the answer."""

from __future__ import annotations

import logging

import pytest

from shared import alerts
from shared.alerts import Alert, alert, event
from shared.doors.cli.terminal import AlertLines, Terminal, clean, money, table
from tests.unit.command_line import Screen


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain – ünïcode 🙂", "plain – ünïcode 🙂"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x9b31m", "31m"),
        ("a\rb\nc\td", "a b c d"),
        ("bell\x07 null\0 delete\x7f", "bell null delete"),
        ("right\u202eleft\u2066", "rightleft"),
        ("half \ud83d pair\u2028", "half  pair"),
    ],
)
def test_nothing_that_steers_a_terminal_is_printed(text: str, printed: str) -> None:
    """File names and answers are untrusted: escapes, overprinting and turned text do not get through."""
    assert clean(text) == printed


def test_an_answer_keeps_its_lines() -> None:
    """A text of several lines stays one; a carriage return, which overprints, does not."""
    assert clean("one\n\ttwo\rthree\x1b", lines=True) == "one\n\ttwo three"


def test_columns_are_aligned() -> None:
    """Each column as wide as its widest cell, and no spaces at the end."""
    assert table(("A", "LAST"), [("1\x1b", "x"), ("long", "")]) == ["A     LAST", "1     x", "long"]


def test_an_amount_is_shown_with_its_bounds_only_where_they_differ() -> None:
    """Cents are what counts."""
    assert money(1.701, 1.702, "USD") == "1.70 USD"
    assert money(1.7, 2, "EUR") == "1.70 to 2.00 EUR"


def test_progress_is_a_line_for_every_change_where_nobody_looks_on() -> None:
    """A pipeline's log is not filled with the same line."""
    out, err = Screen(), Screen()
    with Terminal(out, err, as_json=False).progress() as tell:
        for text in ("creating", "creating", "ready\x1b"):
            tell(text)
    assert (out.getvalue(), err.getvalue()) == ("", "creating\nready\n")


def test_progress_on_a_terminal_is_shown_in_place() -> None:
    """It goes to standard error, and names in it are no markup."""
    out, err = Screen(tty=True), Screen(tty=True)
    with Terminal(out, err, as_json=False).progress() as tell:
        tell("waiting for [bold]name[/bold]")
    assert out.getvalue() == ""
    assert "[bold]name[/bold]" in err.getvalue()


def test_alerts_are_lines_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's own log lines are JSON for Azure; here its alerts are shown, and its events are not."""
    err = Screen()
    log, lines = logging.getLogger("lamplighter"), AlertLines(Terminal(Screen(), err, as_json=False))
    log.addHandler(lines)
    try:
        event("pass", account="main")
        for _ in range(3):
            alert(Alert.DELETE_REFUSED, "remove the lock", deployment="clauses")
        monkeypatch.setattr(alerts, "REPEAT_SECONDS", 0.0)
        alert(Alert.DELETE_REFUSED, "remove the lock", deployment="clauses")
    finally:
        log.removeHandler(lines)
    assert err.getvalue().splitlines() == [
        "alert delete_refused (clauses): remove the lock",
        "alert delete_refused (clauses): remove the lock (3 times since the last such line)",
    ]
