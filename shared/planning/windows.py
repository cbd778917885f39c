"""Schedules → half-open UTC intervals.

A local time that the clocks skip shifts by the gap (02:10 becomes 03:10); one that occurs twice means
the first for opening and the second for closing, so that each window opens exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.domain import OneOffWindow, WeeklyWindow

DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class Interval:
    """A window at a certain time: open in [start, end), kept for outside callers until `keep_until`."""

    start: datetime
    end: datetime
    keep_until: datetime
    stop_when_empty: bool


def intervals(
    windows: Iterable[WeeklyWindow | OneOffWindow], since: datetime, until: datetime
) -> list[Interval]:
    """Every interval that touches [since, until), in order of start."""
    found: list[Interval] = []
    for window in windows:
        match window:
            case OneOffWindow():
                found.append(_interval(window.start, window.end, window))
            case WeeklyWindow():
                zone = ZoneInfo(window.time_zone)
                # A window ends on the day after its start at the latest.
                day = (since - window.close_grace).astimezone(zone).date() - DAY
                while day <= until.astimezone(zone).date():
                    if day.weekday() in window.days:
                        found.append(_on_day(window, day, zone))
                    day += DAY
    return sorted(
        each for each in found if each.start < each.end and each.keep_until > since and each.start < until
    )


def _on_day(window: WeeklyWindow, day: date, zone: ZoneInfo) -> Interval:
    passes_midnight = window.end is None or window.end <= window.start
    last_day = day + DAY if passes_midnight else day
    start = _to_utc(datetime.combine(day, window.start), zone, closing=False)
    end = _to_utc(datetime.combine(last_day, window.end or time(0)), zone, closing=True)
    # An opening inside the skipped hour can fall behind the closing: there is no window on that day.
    return _interval(start, end, window)


def _interval(start: datetime, end: datetime, window: WeeklyWindow | OneOffWindow) -> Interval:
    return Interval(start, end, end + window.close_grace, window.stop_when_empty)


def _to_utc(local: datetime, zone: ZoneInfo, *, closing: bool) -> datetime:
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) != local:
        # Skipped by the clocks: the offset before the gap, which fold 0 means, shifts it by the gap.
        return first
    return local.replace(tzinfo=zone, fold=1 if closing else 0).astimezone(UTC)
