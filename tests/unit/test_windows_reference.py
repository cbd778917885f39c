"""Properties: windows are open in exactly the minutes that a clock on the wall says, wherever one looks.

A sample; `dev.py bench windows` takes every zone and year.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model import OneOffWindow, WeeklyWindow
from shared.schedule.windows import intervals
from tests.reference.schedules import MARGIN, differences, holidays_of, schedule
from tests.reference.wall_clock import A_DAY, MINUTE, WallClock, changes
from tests.unit.schedules import DAY, at, weekly

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
YEARS = (2026, 2031)
DAYS = 5  # around a change of the clocks


@functools.cache
def clock_around_a_change(zone: str, year: int, which: int) -> WallClock:
    """Of the changes in a year one; of the year's middle where there is none."""
    found = changes(zone, year) or [datetime(year, 6, 1, tzinfo=UTC)]
    middle = found[which % len(found)].date()
    since = datetime.combine(middle, time(0), UTC) - 2 * DAY - MARGIN * MINUTE
    return WallClock(zone, since, DAYS * A_DAY + 2 * MARGIN)


CLOCKS = st.builds(
    clock_around_a_change,
    st.sampled_from(ZONES),
    st.sampled_from(YEARS),
    st.integers(min_value=0, max_value=1),
)
DICE = st.integers(0, 2**32).map(Random)


def first_day(clock: WallClock) -> date:
    return (clock.since + MARGIN * MINUTE).date()


@settings(max_examples=150)
@given(CLOCKS, DICE)
def test_every_minute_is_as_a_clock_on_the_wall_says(clock: WallClock, dice: Random) -> None:
    """Around a change of the clocks: joined windows, nights, closures, holidays and dates of one's own."""
    given_ = schedule(dice, clock.zone, clock.jumps(), first_day(clock), DAYS)
    assert differences(clock, given_, holidays_of(clock.since.year)) == []


@given(CLOCKS, DICE)
def test_a_part_of_the_time_has_the_same_intervals(clock: WallClock, dice: Random) -> None:
    """Whole, in order, graces included: all that touch the part. Two of one kind never touch each other."""
    first = first_day(clock)
    drawn = schedule(dice, clock.zone, clock.jumps(), first, DAYS)
    around_the_clock = [weekly("00:00", "24:00", clock.zone)] if dice.random() < 0.3 else []
    windows = [_bounded(window, first, dice) for window in (*drawn.windows, *around_the_clock)]
    since = datetime.combine(first, time(0), UTC) - 10 * DAY
    whole = intervals(windows, since, since + 30 * DAY, drawn.closures)
    assert all(one.start <= other.start for one, other in pairwise(whole))
    for kind in (False, True):
        of_kind = [found for found in whole if found.stop_when_empty is kind]
        assert all(one.end < other.start for one, other in pairwise(of_kind))
    part = since + dice.randrange(9 * A_DAY, 18 * A_DAY) * MINUTE
    until = part + dice.choice((1, 60, A_DAY)) * MINUTE
    touching = [found for found in whole if found.keep_until > part and found.start < until]
    assert intervals(windows, part, until, drawn.closures) == touching


def _bounded(window: WeeklyWindow | OneOffWindow, first: date, dice: Random) -> WeeklyWindow | OneOffWindow:
    """With a grace, and an end, as what never closes is followed for a month only."""
    grace = timedelta(minutes=dice.choice((0, 0, 5, 8 * 60, 5 * A_DAY)))
    if isinstance(window, OneOffWindow):
        return replace(window, close_grace=grace)
    starting, until = window.starting or first, window.until or first + DAYS * DAY
    return replace(window, close_grace=grace, starting=starting, until=until)


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
