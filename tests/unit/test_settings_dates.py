"""deployments.yaml: holidays, dates and closures, as they are read and as they are refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from shared.model import Closure, WeeklyWindow
from tests.unit.schedules import at
from tests.unit.settings_file import CLAUSES, FILE, WINDOW, changed, config, the_one, told

OFFICE: dict[str, Any] = FILE["deployments"]["clauses"]["schedule"][0]
CLOSURE = f"{CLAUSES}.closures.0"


def test_dates_and_holidays_of_a_window_are_read(tmp_path: Path) -> None:
    """As written; days may be a list of YAML's, too."""
    given = {
        **OFFICE,
        "days": ["mon", "wed-fri", "sun"],
        "skip_holidays": "DE-BE",
        "skip_dates": ["2026-12-24"],
        "also_on": ["2026-12-26", "2026-12-27"],
        "starting": "2026-11-01",
        "until": "2027-03-31",
    }
    (window,) = config(tmp_path, schedule=[given]).windows
    assert isinstance(window, WeeklyWindow)
    assert window.days == {0, 2, 3, 4, 6}
    assert window.skip_holidays == "DE-BE"
    assert window.skip_dates == {date(2026, 12, 24)}
    assert window.also_on == {date(2026, 12, 26), date(2026, 12, 27)}
    assert (window.starting, window.until) == (date(2026, 11, 1), date(2027, 3, 31))


@pytest.mark.parametrize("region", ["DE", "NO", "US-NY", "GB-SCT", "FR-6AE", "CH-ZH"])
def test_a_country_and_a_subdivision_are_read(tmp_path: Path, region: str) -> None:
    """NO is Norway, whatever YAML says."""
    (window,) = config(tmp_path, schedule=[{**OFFICE, "skip_holidays": region}]).windows
    assert isinstance(window, WeeklyWindow)
    assert window.skip_holidays == region


@pytest.mark.parametrize(
    ("region", "remedy"),
    [
        ("de-be", "unknown country 'de': did you mean 'DE-be'?"),
        ("DE-be", "unknown subdivision 'be' of DE: did you mean 'DE-BE'?"),
        ("DE-Augsbrg", "did you mean 'DE-Augsburg'?"),
        ("DE-XX", "unknown subdivision 'XX' of DE: known are BB, BE, BW"),
        ("DE-", "unknown subdivision '' of DE: known are BB, BE, BW"),
        ("Atlantis", "unknown country 'Atlantis'; write an ISO code such as DE or DE-BE"),
        ("VA-XX", "none is known, write VA"),
        ("", "has no value"),
    ],
)
def test_an_unknown_country_or_subdivision_is_told_with_the_one_that_was_meant(
    tmp_path: Path, region: str, remedy: str
) -> None:
    """As unknown time zones are."""
    problem = the_one(tmp_path, f"{WINDOW}.skip_holidays", region)
    assert problem.startswith(f"{WINDOW}.skip_holidays: ")
    assert remedy in problem


@pytest.mark.parametrize(
    "value", ["24.12.2026", "2026-13-01", "2026-02-29", "20261224", "tomorrow", "1999-12-31"]
)
@pytest.mark.parametrize("key", ["skip_dates", "also_on", "starting", "until"])
def test_a_date_that_is_none_is_told(tmp_path: Path, key: str, value: str) -> None:
    """With what to write."""
    is_list = key in ("skip_dates", "also_on")
    problem = the_one(tmp_path, f"{WINDOW}.{key}", [value] if is_list else value)
    assert problem.startswith(f"{WINDOW}.{key}{'.0' if is_list else ''}: write a ")
    assert f"(found: {value})" in problem


def test_one_date_where_a_list_is_wanted_is_told(tmp_path: Path) -> None:
    """skip_dates: 2026-12-24 without brackets."""
    assert "write a list here" in the_one(tmp_path, f"{WINDOW}.skip_dates", "2026-12-24")


@pytest.mark.parametrize(
    ("dates", "remedy"),
    [
        (
            {"starting": "2026-12-02", "until": "2026-12-01"},
            "until (2026-12-01) comes before starting (2026-12-02)",
        ),
        (
            {"skip_dates": ["2026-12-24"], "also_on": ["2026-12-24"]},
            "2026-12-24 is in skip_dates and in also_on: remove one",
        ),
        (
            {"until": "2026-12-01", "also_on": ["2026-12-24"]},
            "also_on has 2026-12-24, which is not between starting and until: remove it",
        ),
        (
            {"days": "sun", "starting": "2026-12-01", "until": "2026-12-05"},
            "opens on no day from 2026-12-01 to 2026-12-05",
        ),
    ],
)
def test_dates_that_do_not_agree_are_told(tmp_path: Path, dates: dict[str, Any], remedy: str) -> None:
    """No window that never opens is taken for one that does."""
    problem = the_one(tmp_path, f"{CLAUSES}.schedule", [{**OFFICE, **dates}])
    assert problem.startswith(f"{WINDOW}: {remedy}")


@pytest.mark.parametrize(
    "dates", [{"skip_holidays": "DE"}, {"skip_dates": ["2026-12-24"]}, {"until": "2026-12-24"}]
)
def test_dates_do_not_go_with_a_one_off_window(tmp_path: Path, dates: dict[str, Any]) -> None:
    """It has its own."""
    once = {"from": "2026-11-22T14:00:00Z", "to": "2026-11-22T15:00:00Z", **dates}
    assert "do not go with a one-off window" in the_one(tmp_path, f"{CLAUSES}.schedule", [once])


@pytest.mark.parametrize("days", ["0", "7", "sun-7", "1-5"])
def test_days_are_names_only(tmp_path: Path, days: str) -> None:
    """Whether 0 or 7 is Sunday, and 1 Monday or Sunday, differs from tool to tool."""
    assert "write days as daily, mon-fri or mon,wed,sat" in the_one(tmp_path, f"{WINDOW}.days", days)


# --- closures -----------------------------------------------------------------------------------------


def test_closures_are_read(tmp_path: Path) -> None:
    """A date is the whole local day of its zone, however long it is; times are instants."""
    closures = [
        {"date": "2026-12-24", "reason": "company closed"},
        {"date": "2026-10-25", "time_zone": "Europe/Berlin"},
        {"from": "2026-12-31T12:00:00+01:00", "to": "2027-01-01T00:00:00Z"},
    ]
    assert config(tmp_path, closures=closures).closures == (
        Closure(at("2026-12-24"), at("2026-12-25"), "UTC", "company closed"),
        Closure(at("2026-10-24T22:00"), at("2026-10-25T23:00"), "Europe/Berlin"),
        Closure(at("2026-12-31T11:00"), at("2027-01-01"), "UTC"),
    )


@pytest.mark.parametrize(
    ("closure", "remedy"),
    [
        ({"reason": "x"}, "write either date, or from and to"),
        ({"date": "2026-12-24", "from": "2026-12-24T12:00:00Z"}, "write either date, or from and to"),
        ({"from": "2026-12-24T12:00:00Z"}, "write either date, or from and to"),
        ({"from": "2026-12-24T12:00:00Z", "to": "2026-12-24T12:00:00Z"}, "is empty: to must come after from"),
        (
            {"from": "2026-12-24T12:00:00Z", "to": "2026-12-25T12:00:00Z", "time_zone": "UTC"},
            "time_zone goes with date only: remove it",
        ),
    ],
)
def test_a_closure_that_says_nothing_is_told(tmp_path: Path, closure: dict[str, str], remedy: str) -> None:
    """Neither a date nor two times in order."""
    problem = the_one(tmp_path, f"{CLAUSES}.closures", [closure])
    assert problem.startswith(f"{CLOSURE}: {remedy}")


@pytest.mark.parametrize(
    ("at", "remedy"),
    [
        ("12:00", "write an ISO time such as 2026-11-22T14:00:00Z"),
        ("2026-12-24T12:00:00", "names no zone: write 2026-12-24T12:00:00Z for UTC"),
    ],
)
def test_a_closure_s_times_are_instants(tmp_path: Path, at: str, remedy: str) -> None:
    """With a zone, as those of a one-off window are."""
    problem = the_one(tmp_path, f"{CLAUSES}.closures", [{"from": at, "to": "2026-12-25T12:00:00Z"}])
    assert problem.startswith(f"{CLOSURE}.from: {remedy}")


def test_an_unknown_key_of_a_closure_is_told_with_those_that_it_knows(tmp_path: Path) -> None:
    """As anywhere in the file."""
    closure = {"date": "2026-12-24", "reson": "typo"}
    assert told(tmp_path, changed({f"{CLAUSES}.closures": [closure]})) == [
        f"{CLOSURE}.reson: unknown key: did you mean 'reason'? (found: typo)"
    ]
