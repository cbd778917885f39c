"""Schedules → intervals: midnight, zones and the days on which the clocks change."""

from __future__ import annotations

from datetime import timedelta

from shared.model import Demand, OneOffWindow
from shared.planning.desired import wanted
from shared.schedule.windows import Interval, intervals
from tests.fakes.world import config
from tests.unit.schedules import DAY, WORKDAYS, at, opened, weekly

# --- ordinary days ------------------------------------------------------------------------------------


def test_office_hours_open_on_workdays_in_their_own_zone() -> None:
    """09:00 to 18:00 in Berlin is 08:00 to 17:00 UTC in winter, and there is no Saturday."""
    office = weekly("09:00", "18:00", "Europe/Berlin", days=WORKDAYS)
    assert opened(office, "2026-11-26", "2026-12-01") == [
        "11-26 08:00 to 11-26 17:00",
        "11-27 08:00 to 11-27 17:00",
        "11-30 08:00 to 11-30 17:00",
    ]


def test_the_day_of_a_window_is_the_zone_s_not_utc_s() -> None:
    """Monday 06:00 in Auckland is still Sunday in UTC."""
    monday = weekly("06:00", "08:00", "Pacific/Auckland", days=[0])
    assert opened(monday, "2026-06-07", "2026-06-14") == ["06-07 18:00 to 06-07 20:00"]


def test_a_window_past_midnight_belongs_to_the_day_it_begins_on() -> None:
    """22:00 to 04:00 on Fridays ends on Saturday, and Saturday has none of its own."""
    night = weekly("22:00", "04:00", days=[4])
    assert opened(night, "2026-11-27", "2026-11-30") == ["11-27 22:00 to 11-28 04:00"]


def test_midnight_ends_the_day_when_it_is_written_as_24() -> None:
    """00:00 to 24:00 is the whole day, and 18:00 to 24:00 its evening."""
    wednesday = weekly("00:00", "24:00", days=[2])
    assert opened(wednesday, "2026-11-23", "2026-11-30") == ["11-25 00:00 to 11-26 00:00"]
    assert opened(weekly("18:00", "24:00"), "2026-11-25", "2026-11-26") == ["11-25 18:00 to 11-26 00:00"]


def test_an_interval_is_half_open() -> None:
    """At its end it is over, and what ends at `since` or starts at `until` is not listed."""
    morning = weekly("09:00", "10:00")
    assert opened(morning, "2026-11-25T10:00", "2026-11-26T09:00") == []
    assert opened(morning, "2026-11-25T09:59", "2026-11-25T10:00") == ["11-25 09:00 to 11-25 10:00"]
    assert opened(morning, "2026-11-25T08:00", "2026-11-25T09:00") == []
    assert opened(morning, "2026-11-25T08:00", "2026-11-25T09:01") == ["11-25 09:00 to 11-25 10:00"]


def test_a_window_is_kept_for_its_grace_after_its_end() -> None:
    """With five minutes of grace it touches 18:04 and does not touch 18:05."""
    office = weekly("09:00", "18:00", grace=timedelta(minutes=5), stop_when_empty=True)
    assert intervals([office], at("2026-11-25T18:04"), at("2026-11-25T19:00")) == [
        Interval(at("2026-11-25T09:00"), at("2026-11-25T18:00"), at("2026-11-25T18:05"), True)
    ]
    assert intervals([office], at("2026-11-25T18:05"), at("2026-11-25T19:00")) == []


def test_a_one_off_window_happens_once() -> None:
    """It is exact to the second while it touches the requested time, and never listed again."""
    start, end = at("2026-11-25T14:00:07"), at("2026-11-25T14:02:09")
    window = OneOffWindow(start, end, stop_when_empty=True, close_grace=timedelta(seconds=30))
    assert intervals([window], at("2026-11-25"), at("2026-11-26")) == [
        Interval(start, end, end + timedelta(seconds=30), True)
    ]


def test_a_one_off_window_that_ends_before_it_starts_is_none() -> None:
    """Nothing is created for it, whatever its grace is."""
    start = at("2026-11-25T14:00")
    for length in (timedelta(0), timedelta(hours=-1)):
        window = OneOffWindow(start, start + length, close_grace=timedelta(hours=2))
        assert intervals([window], at("2026-11-25"), at("2026-11-26")) == []


def test_friday_s_stop_is_not_missed_until_monday() -> None:
    """Whoever looks first on Monday at 08:00 sees that it is to be down, whatever ran on Friday."""
    office = config("desk", weekly("09:00", "18:00", days=WORKDAYS))
    assert wanted(office, Demand(), at("2026-11-27T12:00")).up
    assert not wanted(office, Demand(), at("2026-11-27T18:00")).up
    monday = wanted(office, Demand(), at("2026-11-30T08:00"))
    assert (monday.up, monday.changes_at) == (False, at("2026-11-30T08:45"))


# --- the clocks change --------------------------------------------------------------------------------


def test_a_window_over_the_repeated_hour_opens_once() -> None:
    """New York, 1 November 2026: 00:30 to 01:30 opens at the first and closes at the second 01:30."""
    night = weekly("00:30", "01:30", "America/New_York")
    assert opened(night, "2026-11-01T04:00", "2026-11-02T04:00") == ["11-01 04:30 to 11-01 06:30"]


def test_a_window_inside_the_repeated_hour_opens_once() -> None:
    """New York, 1 November 2026: 01:10 to 01:50 opens at the first 01:10 and closes at the second 01:50."""
    night = weekly("01:10", "01:50", "America/New_York")
    assert opened(night, "2026-11-01T04:00", "2026-11-02T05:00") == ["11-01 05:10 to 11-01 06:50"]


def test_a_window_inside_the_skipped_hour_shifts_by_the_gap() -> None:
    """New York, 8 March 2026: 02:10 to 02:50 becomes 03:10 to 03:50 daylight time."""
    night = weekly("02:10", "02:50", "America/New_York")
    assert opened(night, "2026-03-08T05:00", "2026-03-09T04:00") == ["03-08 07:10 to 03-08 07:50"]


def test_a_window_that_opens_in_the_skipped_hour_does_not_stay_open_for_a_day() -> None:
    """New York, 7 and 8 March 2026: 02:30 to 06:00 closes at 06:00 on both days."""
    night = weekly("02:30", "06:00", "America/New_York")
    assert opened(night, "2026-03-07T05:00", "2026-03-09T04:00") == [
        "03-07 07:30 to 03-07 11:00",
        "03-08 07:30 to 03-08 10:00",
    ]


def test_a_window_that_closes_in_the_skipped_hour_closes_after_the_gap() -> None:
    """Berlin, 29 March 2026: 23:00 to 02:30 closes at 03:30 summer time."""
    night = weekly("23:00", "02:30", "Europe/Berlin")
    assert opened(night, "2026-03-28T12:00", "2026-03-29T12:00") == ["03-28 22:00 to 03-29 01:30"]


def test_a_window_whose_time_was_skipped_altogether_is_none() -> None:
    """New York, 8 March 2026: 02:30 to 03:00 shifts its opening behind its closing, so nothing is created."""
    night = weekly("02:30", "03:00", "America/New_York", grace=timedelta(hours=1))
    assert opened(night, "2026-03-08T05:00", "2026-03-09T04:00") == []
    assert opened(night, "2026-03-09T04:00", "2026-03-10T04:00") == ["03-09 06:30 to 03-09 07:00"]


def test_a_whole_day_lasts_as_long_as_the_day_does() -> None:
    """Berlin: 23 hours on 29 March and 25 on 25 October 2026, both of them Sundays."""
    sundays = weekly("00:00", "24:00", "Europe/Berlin", days=[6])
    found = intervals([sundays], at("2026-01-01"), at("2027-01-01"))
    lengths = {f"{each.end:%m-%d}": each.end - each.start for each in found if each.end - each.start != DAY}
    assert lengths == {"03-29": timedelta(hours=23), "10-25": timedelta(hours=25)}
