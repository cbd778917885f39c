"""A property: windows are open in exactly the minutes that a clock on the wall says.

A sample; `dev.py bench windows` takes every zone and year.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from random import Random
from zoneinfo import available_timezones

import pytest

from tests.reference.schedules import MARGIN, differences, holidays_of, schedule
from tests.reference.wall_clock import A_DAY, MINUTE, WallClock, changes
from tests.unit.schedules import at, weekly

ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # half an hour
    "Asia/Beirut",  # at midnight
    "Antarctica/Troll",  # two hours
    "Africa/Casablanca",  # around Ramadan, backwards
    "America/Havana",
    "Asia/Kathmandu",  # never, and three quarters of an hour off
    *Random(5).sample(sorted(available_timezones()), 4),
)
SCHEDULES = 16


@pytest.mark.parametrize("zone", ZONES)
def test_every_minute_is_as_a_clock_on_the_wall_says(zone: str) -> None:
    """Around each change of the clocks in a year: joined windows, nights, closures, holidays and dates."""
    random = Random(zone)
    year = random.randrange(2024, 2036)
    for change in changes(zone, year) or [datetime(year, 6, 1, tzinfo=UTC)]:
        since = datetime.combine(change.date(), time(0), UTC) - 2 * timedelta(days=1) - MARGIN * MINUTE
        clock = WallClock(zone, since, 5 * A_DAY + 2 * MARGIN)
        first = (since + MARGIN * MINUTE).date()
        for _ in range(SCHEDULES):
            given = schedule(random, zone, clock.jumps(), first, days=5)
            assert differences(clock, given, holidays_of(year)) == []


def test_the_reference_sees_what_the_clocks_skip_and_repeat() -> None:
    """By figures that were counted by hand: New York, March and November 2026."""
    spring = WallClock("America/New_York", at("2026-03-01"), 14 * A_DAY)
    autumn = WallClock("America/New_York", at("2026-10-25"), 14 * A_DAY)
    assert spring.jumps() == [2 * 60, 3 * 60]
    assert autumn.jumps() == [60, 2 * 60 - 1]
    night = weekly("02:10", "02:50", "America/New_York", days=[6])
    assert sum(spring.open_minutes([night])) == 40
    assert spring.open_minutes([night]).find(1) == 7 * A_DAY + 7 * 60 + 10  # 03:10 daylight time
    night = weekly("00:30", "01:30", "America/New_York", days=[6])
    assert sum(autumn.open_minutes([night])) == 120
