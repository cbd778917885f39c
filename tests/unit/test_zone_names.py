"""Names of time zones: taken, warned of, or refused with the one to write."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest

from shared.settings.windows_zones import WINDOWS_ZONES
from shared.settings.zone_names import _ABBREVIATIONS, _CONTINENTS, time_zone, zone_doubt
from tests.unit.settings_file import WINDOW, the_one


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "GMT", "Etc/UTC", "US/Eastern", "Asia/Kolkata"])
def test_a_place_and_universal_time_are_taken(name: str) -> None:
    """Without a warning."""
    assert time_zone(name) == name
    assert zone_doubt(name) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "EST",
            "is an abbreviation, which has no summer time or several meanings: write the IANA name of a ",
        ),
        ("EST", "such as 'America/New_York'"),
        ("MST", "such as 'America/Denver'"),
        ("HST", "such as 'Pacific/Honolulu'"),
        ("pst", "such as 'America/Los_Angeles'"),
        ("MEZ", "such as 'Europe/Berlin'"),
        ("localtime", "is another zone on every machine: write an IANA name such as 'Europe/Berlin'"),
        ("posixrules", "is another zone on every machine"),
        ("Factory", "is another zone on every machine"),
        ("W. Europe Standard Time", "is a name of Windows: write the IANA name 'Europe/Berlin'"),
        ("eastern standard time", "is a name of Windows: write the IANA name 'America/New_York'"),
        ("India Standard Time", "write the IANA name 'Asia/Kolkata'"),
        ("GMT+5", "or 'Etc/GMT-5' for +05:00 all year (its sign is reversed)"),
        ("UTC-3", "or 'Etc/GMT+3' for -03:00 all year"),
        ("+01:00", "or 'Etc/GMT-1' for +01:00 all year"),
        ("UTC+0", "or 'Etc/UTC' for +00:00 all year"),
        ("GMT+05:30", "is an offset: write the IANA name of a place, which knows its summer time"),
        ("GMT+99", "is an offset: write the IANA name of a place"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("utc", "did you mean 'UTC'?"),
        ("Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("??", "write an IANA name such as 'Europe/Berlin'"),
        ("Standard Time", "unknown time zone 'Standard Time'"),
        ("x" * 1000, f"unknown time zone '{'x' * 80}'"),
    ],
)
def test_what_is_no_place_is_refused_with_the_name_to_write(name: str, message: str) -> None:
    """Also what the system's files know: EST has no summer time, and localtime is UTC in Azure."""
    with pytest.raises(ValueError, match=re.escape(message)):
        time_zone(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CET", "the time zone 'CET' is no place's: write one, such as 'Europe/Berlin'"),
        ("PST8PDT", "such as 'America/Los_Angeles'"),
        ("Etc/GMT+5", "the time zone 'Etc/GMT+5' is 5 h behind UTC all year, as its sign is reversed"),
        ("Etc/GMT-14", "is 14 h ahead of UTC all year"),
    ],
)
def test_what_is_likely_not_meant_is_warned_of(name: str, message: str) -> None:
    """It can be used: somebody may mean it."""
    assert time_zone(name) == name
    assert message in (zone_doubt(name) or "")


def test_every_name_that_is_advised_is_taken() -> None:
    """Nobody is sent from one mistake to the next; a few of the UTC ones of Windows are fixed zones."""
    advised = {*WINDOWS_ZONES.values(), *_ABBREVIATIONS.values(), *_CONTINENTS.values()}
    assert {time_zone(name) for name in advised} == advised <= available_timezones()
    assert len(WINDOWS_ZONES) > 130
    assert all(ZoneInfo(name) for name in advised)


def test_the_file_s_key_is_reported(tmp_path: Path) -> None:
    """As with every other mistake."""
    message = the_one(tmp_path, f"{WINDOW}.time_zone", "Tokyo Standard Time")
    assert message == (
        f"{WINDOW}.time_zone: 'Tokyo Standard Time' is a name of Windows: write the IANA name 'Asia/Tokyo' "
        "(found: Tokyo Standard Time)"
    )
