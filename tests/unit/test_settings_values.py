"""deployments.yaml: values and windows that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.settings_file import (
    ACCOUNT_ID,
    CLAUSES,
    FILE,
    WINDOW,
    changed,
    config,
    the_one,
    told,
)

NUMBERS = {
    f"{CLAUSES}.sku.capacity": ["0", "-1", "1.5", "1e3", "9" * 30, "9" * 6000, "NaN", "inf", "many"],
    f"{CLAUSES}.task.max_output_tokens": ["0", "-5", "9" * 30],
    f"{CLAUSES}.task.max_cost_per_document": ["-0.01", "NaN", "inf", "1e400", "1e300", "cheap"],
    "limits.max_document_bytes": ["0", "-1", "9" * 30, "50MB"],
    "accounts.main.fine_tuned_slots": ["0", "-1", "1001", "ten"],
    "prices.tokens_per_million.input": ["-1", "nan", "Infinity", "-inf", "1e300", "free"],
    "prices.hosting_per_hour.GlobalStandard": ["-1.70", ".nan", ".inf", "1,70"],
}


@pytest.mark.parametrize(
    ("place", "value"),
    [(place, value) for place, values in NUMBERS.items() for value in values],
    ids=lambda value: value[:40],
)
def test_numbers_outside_what_makes_sense_are_refused(tmp_path: Path, place: str, value: str) -> None:
    """Negative, none at all, huge, NaN and infinite ones are told with their key and what was found."""
    problem = the_one(tmp_path, place, value)
    assert problem.startswith(f"{place}: ")
    assert f"(found: {value[:80]})" in problem


@pytest.mark.parametrize(
    ("place", "value", "remedy"),
    [
        ("prices.billing_unit", "minutes", "rite one of minute, hour"),
        ("prices.billing_unit", "Minute", "rite one of minute, hour"),
        ("prices.billing_starts", "start", "write one of create, ready"),
        (f"{CLAUSES}.uploads.start", "yes", "write one of on_demand, scheduled"),
        (f"{CLAUSES}.sku.name", "Batch", "GlobalStandard"),
        (f"{CLAUSES}.version_upgrade_option", "Never", "NoAutoUpgrade"),
        (f"{WINDOW}.stop_when_empty", "maybe", "write true or false"),
        ("installation", "my installation", "use letters, digits"),
        ("installation", "x" * 65, "at most 64"),
        ("accounts.main.resource_id", "contoso", "write the account's resource id"),
        ("accounts.main.resource_id", ACCOUNT_ID + "/deployments/x", "write the account's resource id"),
        (f"{CLAUSES}.model.source", "elsewhere", "write the account's resource id"),
        (f"{CLAUSES}.tags", {"Lamplighter": "x"}, "set by Lamplighter itself"),
        (f"{CLAUSES}.tags", {"delete-after": "never"}, "set by Lamplighter itself"),
    ],
)
def test_words_that_are_not_known_are_told_with_those_that_are(
    tmp_path: Path, place: str, value: Any, remedy: str
) -> None:
    """Every closed set of words is spelled out in its message."""
    problem = the_one(tmp_path, place, value)
    assert problem.startswith(f"{place}: ")
    assert remedy in problem


@pytest.mark.parametrize("name", ["-first", "two words", "x" * 65, "ümlaut", "a/b", ""])
def test_a_deployment_s_name_must_be_one_that_azure_takes(tmp_path: Path, name: str) -> None:
    """It is the inbox folder's name too, so it holds no slash."""
    text = yaml.safe_dump({**FILE, "deployments": {name: FILE["deployments"]["clauses"]}}, allow_unicode=True)
    (problem,) = told(tmp_path, text)
    assert "use letters, digits, '-', '_' and '.', at most 64" in problem
    assert name in problem


@pytest.mark.parametrize(
    "lead", ["15", "-15m", "m", "", "15 minutes", "1h-5m", "9" * 400 + "d", "999999999d", "999999999d" * 2]
)
def test_a_duration_that_is_none_is_refused(tmp_path: Path, lead: str) -> None:
    """Without a unit, negative, in words, or longer than time itself."""
    problem = the_one(tmp_path, "defaults", {"lead": lead})
    assert problem.startswith("defaults.lead: ")
    assert "write a duration such as 90s, 15m, 12h or 1h30m" in problem or "30 days at most" in problem


def test_durations_have_bounds(tmp_path: Path) -> None:
    """A lead of a week, a grace of two days and a session of ten minutes or a year are mistakes."""
    assert "a day at most" in the_one(tmp_path, "defaults", {"lead": "7d"})
    assert "a day at most" in the_one(tmp_path, f"{WINDOW}.close_grace", "49h")
    assert "must be 30m or more" in the_one(tmp_path, f"{CLAUSES}.max_session", "10m")
    assert "30 days at most" in the_one(tmp_path, f"{CLAUSES}.max_session", "365d")


# --- windows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "remedy"),
    [
        ({"days": "mon", "from": "09:00", "to": "09:00"}, "is empty"),
        ({"days": "mon", "from": "24:00", "to": "09:00"}, "write 00:00 of the next day"),
        ({"from": "09:00", "to": "10:00"}, "days is missing: write daily, mon-fri or mon,wed,sat"),
        ({"days": "mon", "from": "09:00", "to": "2026-11-22T14:00:00Z"}, "both be HH:MM, or both ISO times"),
        ({"from": "2026-11-22T14:00:00Z", "to": "2026-11-22T14:00:00Z"}, "is empty"),
        ({"from": "2026-11-22T14:00:00Z", "to": "2026-11-22T14:30:00+01:00"}, "is empty"),
        (
            {"days": "mon", "from": "2026-11-22T14:00:00Z", "to": "2026-11-22T15:00:00Z"},
            "do not go with a one-off window",
        ),
        (
            {"time_zone": "UTC", "from": "2026-11-22T14:00:00Z", "to": "2026-11-22T15:00:00Z"},
            "do not go with a one-off window",
        ),
    ],
)
def test_a_window_that_can_never_open_is_told(tmp_path: Path, window: dict[str, str], remedy: str) -> None:
    """Empty ones, and keys that do not go together."""
    (problem,) = told(tmp_path, changed({f"{CLAUSES}.schedule": [window]}))
    assert problem.startswith(f"{WINDOW}: ")
    assert remedy in problem


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("9:00", "write HH:MM"),
        ("25:00", "write HH:MM"),
        ("09:60", "write HH:MM"),
        ("1320", "write HH:MM"),
        ("2026-13-01T00:00:00Z", "write HH:MM"),
        ("2026-11-22T14:00:00", "names no zone: write 2026-11-22T14:00:00Z for UTC"),
        ("2026-11-22", "names no zone: write 2026-11-22T00:00:00Z for UTC"),
        ("0001-01-01T00:00:00+14:00", "write a year from 2000 to 2099"),
        ("9999-12-31T23:59:59-14:00", "write a year from 2000 to 2099"),
    ],
)
def test_a_time_that_is_none_or_names_no_zone_is_told(tmp_path: Path, value: str, remedy: str) -> None:
    """A naive ISO time would mean another instant wherever the app runs."""
    problem = the_one(tmp_path, f"{WINDOW}.from", value)
    assert problem.startswith(f"{WINDOW}.from: ")
    assert remedy in problem


@pytest.mark.parametrize("days", ["", "mo", "mon-", "-fri", "mon,,tue", "weekdays", "mon-fri-sun"])
def test_days_that_are_none_are_told(tmp_path: Path, days: str) -> None:
    """The message shows the three ways to write them."""
    problem = the_one(tmp_path, f"{WINDOW}.days", days)
    assert problem.startswith(f"{WINDOW}.days: write days as daily, mon-fri or mon,wed,sat")


def test_a_window_must_fit_into_the_longest_session(tmp_path: Path) -> None:
    """With lead, grace and the last ten minutes of a session, 20:30 is the latest end in 12 hours from 09:00.

    A generation is closed ten minutes before its delete-after, so a longer window would lose its end.
    """
    window = {"days": "mon", "from": "09:00", "to": "20:30", "close_grace": "5m"}
    assert config(tmp_path, schedule=[window]).windows
    problem = the_one(tmp_path, f"{CLAUSES}.schedule", [{**window, "to": "20:31"}])
    assert problem.startswith(f"{WINDOW}: needs a session of 12:01:00")
    assert "max_session is 12:00:00: raise that, or split the window" in problem
    assert config(tmp_path, schedule=[{**window, "to": "20:31"}], max_session="13h").windows


def test_windows_that_follow_each_other_must_fit_together(tmp_path: Path) -> None:
    """Each of them is short enough, and nothing closes between them."""
    windows = [
        {"days": "mon-fri", "from": "08:00", "to": "15:00"},
        {"days": "mon-fri", "from": "15:00", "to": "22:00"},
    ]
    problem = the_one(tmp_path, f"{CLAUSES}.schedule", windows)
    assert problem.startswith(f"{CLAUSES}.schedule: has windows that follow each other")
    assert config(tmp_path, schedule=windows, max_session="15h").windows


def test_a_night_is_measured_past_midnight(tmp_path: Path) -> None:
    """22:00 to 04:00 lasts six hours, and 09:00 to 08:00 lasts twenty-three."""
    assert config(tmp_path, schedule=[{"days": "mon", "from": "22:00", "to": "04:00"}]).windows
    window = {"days": "mon", "from": "09:00", "to": "08:00"}
    assert "needs a session of 23:25:00" in the_one(tmp_path, f"{CLAUSES}.schedule", [window])
