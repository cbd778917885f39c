"""On which dates a window opens: holidays, dates of one's own, first and last ones."""

from __future__ import annotations

from datetime import date

import pytest

from shared.schedule.public_holidays import public_holidays
from tests.unit.schedules import WORKDAYS, opened, weekly

BERLIN = "Europe/Berlin"


def days(*texts: str) -> frozenset[date]:
    return frozenset(map(date.fromisoformat, texts))


def test_holidays_are_skipped() -> None:
    """Christmas 2026 in Berlin: Friday the 25th is one, Thursday the 24th is none."""
    office = weekly("09:00", "18:00", BERLIN, days=WORKDAYS, skip_holidays="DE-BE")
    assert opened(office, "2026-12-23", "2026-12-29") == [
        "12-23 08:00 to 12-23 17:00",
        "12-24 08:00 to 12-24 17:00",
        "12-28 08:00 to 12-28 17:00",
    ]


@pytest.mark.parametrize(
    ("region", "day", "name"),
    [
        ("DE-BE", date(2027, 3, 8), "Women's Day"),
        ("DE", date(2027, 3, 8), None),
        ("DE-BY", date(2027, 1, 6), "Epiphany"),
        ("US", date(2026, 11, 26), "Thanksgiving Day"),
        ("US", date(2026, 7, 3), "Independence Day (observed)"),
        ("GB-SCT", date(2026, 11, 30), "Saint Andrew's Day"),
        ("GB-ENG", date(2026, 11, 30), None),
    ],
)
def test_holidays_are_those_of_the_subdivision(region: str, day: date, name: str | None) -> None:
    """With their English names, whatever the machine's language is."""
    assert public_holidays(region, day.year).get(day) == name


def test_a_night_belongs_to_the_holiday_it_starts_on() -> None:
    """22:00 to 04:00: New Year's Eve's runs into the holiday; the holiday's own evening has none."""
    night = weekly("22:00", "04:00", BERLIN, skip_holidays="DE-BE")
    assert opened(night, "2026-12-31T12:00", "2027-01-03T12:00") == [
        "12-31 21:00 to 01-01 03:00",
        "01-02 21:00 to 01-03 03:00",
    ]


def test_a_holiday_is_the_local_date_s() -> None:
    """In Auckland 1 and 2 January are; their mornings are the evenings before in UTC."""
    early = weekly("08:00", "09:00", "Pacific/Auckland", skip_holidays="NZ")
    assert opened(early, "2026-12-30T12:00", "2027-01-03T12:00") == [
        "12-30 19:00 to 12-30 20:00",
        "01-02 19:00 to 01-02 20:00",
    ]


def test_a_skipped_night_is_skipped_past_midnight() -> None:
    """skip_dates is about the date on which the window starts."""
    night = weekly("22:00", "04:00", skip_dates=days("2026-12-24"))
    assert opened(night, "2026-12-24T12:00", "2026-12-26T12:00") == ["12-25 22:00 to 12-26 04:00"]
