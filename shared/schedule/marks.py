"""What is special in a span of a schedule: holidays, dates of one's own, closures, changes of the clocks."""

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
    """The kinds of marks."""

    HOLIDAY = "holiday"  # the window does not open on it
    SKIPPED = "skipped"  # skip_dates
    ADDED = "added"  # also_on
    CLOSURE = "closure"
    CLOCKS = "clocks"


@dataclass(frozen=True)
class Mark:
    """Something special, in [at, until) UTC.

    For a date that is the time of the window that opens on it or would have; a change of the clocks is an
    instant, so both are the same.
    """

    at: datetime
    until: datetime
    time_zone: str  # the window's, or the closure's
    kind: Special
    what: str  # in words: a holiday's name, a closure's reason, what the clocks do to the window
    day: date  # the local date of the window, or of the closure's beginning
    window: WeeklyWindow | None = None  # none for a closure
    moved: bool = False  # the window starts or ends in the hour that the clocks skip or repeat

    @property
    def local(self) -> datetime:
        """`at` on the clocks of its zone, with their offset."""
        return self.at.astimezone(ZoneInfo(self.time_zone))

    @property
    def local_until(self) -> datetime:
        """`until` on the clocks of its zone, with their offset."""
        return self.until.astimezone(ZoneInfo(self.time_zone))


def marks(
    windows: Iterable[WeeklyWindow | OneOffWindow],
    since: datetime,
    until: datetime,
    closures: Iterable[Closure] = (),
) -> list[Mark]:
    """Every mark that touches [since, until), in order of time, then of the windows; closures come last.

    One-off windows and closures are instants: no holiday and no clock concerns them.
    """
    found: list[Mark] = []
    for window in windows:
        if isinstance(window, WeeklyWindow):
            found += _dates(window, since, until)
            found += _clocks(window, since, until)
    found += [
        Mark(
            each.start,
            each.end,
            each.time_zone,
            Special.CLOSURE,
            each.reason or "closed",
            each.start.astimezone(ZoneInfo(each.time_zone)).date(),
        )
        for each in closures
    ]
    return sorted(
        (mark for mark in found if mark.at < until and (mark.until > since or mark.at >= since)),
        key=lambda mark: mark.at,
    )


def _dates(window: WeeklyWindow, since: datetime, until: datetime) -> Iterator[Mark]:
    """Where holidays and dates decide otherwise than the weekday does."""
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
    """The changes of the clocks while a window is open, or in whose hour it starts or ends."""
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
    """What becomes of local times that the clocks skip or repeat."""
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
    """The local dates whose window may touch [since, until)."""
    zone = ZoneInfo(window.time_zone)
    day, last = since.astimezone(zone).date() - DAY, until.astimezone(zone).date()
    while day <= last:
        yield day
        day += DAY
