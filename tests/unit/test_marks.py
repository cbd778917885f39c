"""What a span is marked with: holidays, own dates, closures, and the clocks, with local time and UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

from shared.model import Closure, OneOffWindow, WeeklyWindow
from shared.schedule.marks import Mark, Special, marks
from tests.unit.schedules import WORKDAYS, at, weekly

NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"
CHRISTMAS = ("2026-12-21", "2027-01-04")
OFFICE = weekly(
    "09:00",
    "18:00",
    BERLIN,
    days=WORKDAYS,
    skip_holidays="DE-BE",
    skip_dates=frozenset({date(2026, 12, 24), date(2026, 12, 27)}),
    also_on=frozenset({date(2026, 12, 26), date(2026, 12, 28)}),
)


def shown(window: WeeklyWindow | OneOffWindow, since: str, until: str) -> list[str]:
    return [f"{each.day} {each.kind}: {each.what}" for each in marks([window], at(since), at(until))]


def test_holidays_and_own_dates_are_marked_where_they_change_something() -> None:
    """A Sunday that is skipped and a Monday that is added are as they would be anyway."""
    assert shown(OFFICE, *CHRISTMAS) == [
        "2026-12-24 skipped: skip_dates names it",
        "2026-12-25 holiday: Christmas Day",
        "2026-12-26 added: also_on names it, although it is Second Day of Christmas",
        "2027-01-01 holiday: New Year's Day",
    ]


def test_a_mark_has_utc_and_local_time() -> None:
    """Of the window that would have opened: New Year's Day in Berlin."""
    *_, new_year = marks([OFFICE], *map(at, CHRISTMAS))
    assert (new_year.at, new_year.until) == (at("2027-01-01T08:00"), at("2027-01-01T17:00"))
    berlin = timezone(timedelta(hours=1))
    assert new_year.local.isoformat() == datetime(2027, 1, 1, 9, tzinfo=berlin).isoformat()
    assert new_year.local_until.isoformat() == datetime(2027, 1, 1, 18, tzinfo=berlin).isoformat()
    assert new_year.window is OFFICE


def test_dates_outside_first_and_last_are_nothing_special() -> None:
    """A window that does not hold yet skips nothing."""
    later = weekly("09:00", "18:00", BERLIN, skip_holidays="DE-BE", starting=date(2026, 12, 26))
    assert shown(later, "2026-12-24", "2026-12-28") == ["2026-12-26 holiday: Second Day of Christmas"]


def test_closures_are_marked_with_their_reason() -> None:
    """In order of time among the others, also when they began before the span."""
    closures = [
        Closure(at("2026-12-01"), at("2026-12-22"), BERLIN, "inventory"),
        Closure(at("2026-12-24T23:00"), at("2026-12-25T23:00"), BERLIN),
        Closure(at("2027-01-04"), at("2027-01-05"), BERLIN, "after the span"),
    ]
    found = marks([OFFICE], *map(at, CHRISTMAS), closures)
    assert [each.what for each in found if each.kind is Special.CLOSURE] == ["inventory", "closed"]
    assert found == sorted(found, key=lambda each: each.at)
    assert found[2].day == date(2026, 12, 25)  # its local date


def test_a_span_is_half_open() -> None:
    """A window that ends where the span begins is not in it, nor one that begins where it ends."""
    assert shown(OFFICE, "2026-12-25T17:00", "2026-12-26T08:00") == []
    assert len(shown(OFFICE, "2026-12-25T16:59", "2026-12-26T08:01")) == 2


def clocks(start: str, end: str, zone: str = NEW_YORK, year: int = 2026) -> list[Mark]:
    return marks(
        [weekly(start, end, zone)], datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    )


def test_a_window_in_the_hour_that_changes_is_moved() -> None:
    """New York, 02:10 to 02:50: skipped in March; November's repeated hour is before it."""
    (spring,) = clocks("02:10", "02:50")
    assert spring.what == (
        "the clocks go forward by 1:00:00; 02:10 is skipped and it opens at 03:10; "
        "02:50 is skipped and it closes at 03:50"
    )
    assert (spring.day, spring.at, spring.moved) == (date(2026, 3, 8), at("2026-03-08T07:00"), True)
    assert spring.at == spring.until
    (autumn,) = clocks("01:10", "01:50")
    assert autumn.what == (
        "the clocks go back by 1:00:00; 01:10 comes twice and it opens at the first; "
        "01:50 comes twice and it closes at the second; it is open for 1:40:00 instead of 0:40:00"
    )


def test_a_window_that_is_skipped_altogether_does_not_open() -> None:
    """02:30 to 03:00 on 8 March."""
    (spring,) = clocks("02:30", "03:00")
    assert spring.what.endswith("02:30 is skipped and it opens at 03:30; so it does not open")


def test_a_window_over_a_change_is_longer_or_shorter() -> None:
    """A night in Berlin, of the date before; none of its times is moved."""
    assert [(each.day, each.what, each.moved) for each in clocks("22:00", "06:00", BERLIN)] == [
        (
            date(2026, 3, 28),
            "the clocks go forward by 1:00:00; it is open for 7:00:00 instead of 8:00:00",
            False,
        ),
        (
            date(2026, 10, 24),
            "the clocks go back by 1:00:00; it is open for 9:00:00 instead of 8:00:00",
            False,
        ),
    ]


def test_a_change_that_touches_no_window_is_not_marked() -> None:
    """By day, on another weekday, in a zone without any, or for a one-off window."""
    assert clocks("09:00", "18:00") == []
    assert clocks("02:10", "02:50", "Asia/Tokyo") == []
    assert shown(weekly("02:10", "02:50", NEW_YORK, days=[0]), "2026-01-01", "2027-01-01") == []
    once = OneOffWindow(at("2026-03-08T06:00"), at("2026-03-08T08:00"))
    assert shown(once, "2026-01-01", "2027-01-01") == []


def test_a_change_by_half_an_hour_and_at_midnight_is_marked() -> None:
    """Lord Howe Island's half an hour; Beirut's clocks skip midnight."""
    first, second = clocks("00:00", "24:00", "Australia/Lord_Howe")
    assert "forward by 0:30:00" in second.what
    assert "back by 0:30:00" in first.what
    spring, *_ = clocks("20:00", "24:00", "Asia/Beirut")
    assert spring.what.endswith("00:00 is skipped and it closes at 01:00")
