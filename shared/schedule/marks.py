"""Find the exceptions in a schedule: holidays, named dates, closures, changes of the clocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from shared.model import Closure, OneOffWindow, WeeklyWindow
from shared.schedule.clocks import clock_changes, times_shown
from shared.schedule.windows import (
    DAY,
    Interval,
    holiday,
    in_effect,
    local_times,
    on_day,
    opens_on,
)


class Special(StrEnum):
    """List the kinds of marks."""

    HOLIDAY = "holiday"  # the window does not open on it
    SKIPPED = "skipped"  # skip_dates
    ADDED = "added"  # also_on
    CLOSURE = "closure"
    CLOCKS = "clocks"


@dataclass(frozen=True)
class Mark:
    """An exception in the schedule, in [at, until) UTC.

    For a date, that is the window that opens on it, or would have opened. A change of the clocks is an
    instant: `at` equals `until`.
    """

    at: datetime
    until: datetime
    time_zone: str  # the window's, or the closure's
    kind: Special
    what: str  # in words: the holiday's name, the closure's reason, the effect of the clocks on the window
    day: date  # the local date of the window, or of the closure's start
    window: WeeklyWindow | None = None  # none for a closure
    moved: bool = False  # the window starts or ends in the hour that the clocks skip or repeat

    @property
    def local(self) -> datetime:
        """Return `at` as local time of its zone, with the offset."""
        return self.at.astimezone(ZoneInfo(self.time_zone))

    @property
    def local_until(self) -> datetime:
        """Return `until` as local time of its zone, with the offset."""
        return self.until.astimezone(ZoneInfo(self.time_zone))


def marks(
    windows: Iterable[WeeklyWindow | OneOffWindow],
    since: datetime,
    until: datetime,
    closures: Iterable[Closure] = (),
) -> list[Mark]:
    """Return every mark that touches [since, until), ordered by time, then by window; closures come last.

    One-off windows and closures are given as instants: holidays and clock changes do not affect them.
    """
    found: list[Mark] = []
    for window in windows:
        if isinstance(window, WeeklyWindow):
            found += _dates(window, since, until)
            found += _clocks(window, since, until)
    found += [
        Mark(
            closure.start,
            closure.end,
            closure.time_zone,
            Special.CLOSURE,
            closure.reason or "closed",
            closure.start.astimezone(ZoneInfo(closure.time_zone)).date(),
        )
        for closure in closures
    ]
    return sorted(
        (mark for mark in found if mark.at < until and (mark.until > since or mark.at >= since)),
        key=lambda mark: mark.at,
    )


def _dates(window: WeeklyWindow, since: datetime, until: datetime) -> Iterator[Mark]:
    """Yield the dates on which a holiday or a named date overrides the weekday."""
    for day in _days(window, since, until):
        if not in_effect(window, day):
            continue
        usual, name = day.weekday() in window.days, holiday(window, day)
        if opens_on(window, day) and (not usual or name):
            although = f", although it is {name}" if name else ""
            yield _of_day(window, day, Special.ADDED, f"also_on names it{although}")
        elif usual and day in window.skip_dates:
            yield _of_day(window, day, Special.SKIPPED, "skip_dates names it")
        elif usual and name:
            yield _of_day(window, day, Special.HOLIDAY, name)


def _of_day(window: WeeklyWindow, day: date, kind: Special, what: str) -> Mark:
    times = on_day(window, day)
    return Mark(times.start, max(times.start, times.end), window.time_zone, kind, what, day, window)


def _clocks(window: WeeklyWindow, since: datetime, until: datetime) -> Iterator[Mark]:
    """Yield clock changes while a window is open, or at whose hour it starts or ends."""
    zone = ZoneInfo(window.time_zone)
    for change in clock_changes(window.time_zone, since - DAY, until + DAY):
        for day in _days(window, change.at, change.at + DAY):
            start, end = local_times(window, day)
            opened, length = on_day(window, day), end - start
            moves = list(_moves(start, end, opened, zone))
            if not opens_on(window, day) or not (moves or opened.start < change.at < opened.end):
                continue
            way, by = ("forward", change.by) if change.by > timedelta(0) else ("back", -change.by)
            what = "; ".join([f"the clocks go {way} by {by}", *moves])
            lasts = opened.end - opened.start
            if lasts <= timedelta(0):
                what += "; so it does not open"
            elif lasts != length:
                what += f"; it is open for {lasts} instead of {length}"
            yield Mark(
                change.at, change.at, window.time_zone, Special.CLOCKS, what, day, window, moved=bool(moves)
            )


def _moves(start: datetime, end: datetime, opened: Interval, zone: ZoneInfo) -> Iterator[str]:
    """Describe how the start and end move if the clocks skip or repeat them."""
    for local, at, verb, chosen in (
        (start, opened.start, "opens", "first"),
        (end, opened.end, "closes", "second"),
    ):
        shown = times_shown(local, zone)
        if shown == 0:
            yield f"{local:%H:%M} is skipped and it {verb} at {at.astimezone(zone):%H:%M}"
        elif shown == 2:
            yield f"{local:%H:%M} comes twice and it {verb} at the {chosen}"


def _days(window: WeeklyWindow, since: datetime, until: datetime) -> Iterator[date]:
    """Yield the local dates whose window may touch [since, until)."""
    zone = ZoneInfo(window.time_zone)
    day, last = since.astimezone(zone).date() - DAY, until.astimezone(zone).date()
    while day <= last:
        yield day
        day += DAY
