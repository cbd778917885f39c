"""NCRONTAB schedules, pure."""

from datetime import UTC, datetime

import pytest

from local.host.app import HostError
from local.host.triggers import next_occurrence

NOON = datetime(2026, 11, 4, 12, 0, 30, 250_000, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 */5 * * * *", "2026-11-04T12:05:00+00:00"),
        ("*/10 * * * * *", "2026-11-04T12:00:40+00:00"),
        ("30 0 12 * * *", "2026-11-05T12:00:30+00:00"),  # strictly after, though it is within that second
        ("0 0 9-17 * * *", "2026-11-04T13:00:00+00:00"),
        ("0 30 9 * Jan Mon", "2027-01-04T09:30:00+00:00"),
        ("0 0 0 * * 0", "2026-11-08T00:00:00+00:00"),  # Sunday is 0
        ("0 0 0 * * SUN,sat", "2026-11-07T00:00:00+00:00"),
        ("0 0 9 1-7 * 1", "2026-12-07T09:00:00+00:00"),  # the first Monday: both fields must match
        ("0 0 0 29 2 *", "2028-02-29T00:00:00+00:00"),
        ("0 0 0 * * */7", "2026-11-08T00:00:00+00:00"),
    ],
)
def test_next_occurrence(expression: str, expected: str) -> None:
    """The next occurrence is the first one after the given time, by NCRONTAB's rules."""
    assert next_occurrence(expression, NOON).isoformat() == expected


def test_a_step_from_a_weekday_does_not_reach_the_next_sunday() -> None:
    """`1/2` is Monday, Wednesday and Friday: the step ends at Saturday."""
    when = NOON
    days = [(when := next_occurrence("0 0 0 * * 1/2", when)).strftime("%a") for _ in range(4)]
    assert days == ["Fri", "Mon", "Wed", "Fri"]


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * * *", "00:05:00", "60 * * * * *", "a b c d e f", "*/0 * * * * *"),
        *("0 0 0 * * 7", "0 0 0 * * 5-7", "0 0 0 L * *", "0 0 0 * * 5L", "0 0 0 * * MON#2", "0 0 0 LW * *"),
        *("0 0 0 31 2 *", "0 0 0 30 FEB MON"),
    ],
)
def test_what_is_not_a_schedule_is_refused(expression: str) -> None:
    """Fewer fields, values out of range, cron's own extensions and dates that never come are errors."""
    with pytest.raises(HostError, match="schedule"):
        next_occurrence(expression, NOON)
