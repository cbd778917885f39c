"""Schedules → half-open UTC intervals.

A local time that the clocks skip shifts by the gap (02:10 becomes 03:10); one that occurs twice means
the first for opening and the second for closing, so that each window opens exactly once.

A window belongs to the local date on which it starts, in its own zone, also when it goes on past midnight:
weekday, holiday and dates of one's own are looked up for that date. Closures are instants, and cut.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.model import Closure, OneOffWindow, WeeklyWindow
from shared.schedule.clocks import to_utc
from shared.schedule.leads import Leads
from shared.schedule.public_holidays import public_holidays

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
_LONGEST = timedelta(days=31)
"""Joined windows are followed so far beyond what is asked for: `max_session` is 30 days at most."""


@dataclass(frozen=True, order=True)
class Interval:
    """Windows at a certain time: open in [start, end), kept for outside callers until `keep_until`."""

    start: datetime
    end: datetime
    keep_until: datetime
    stop_when_empty: bool


def intervals(
    windows: Iterable[WeeklyWindow | OneOffWindow],
    since: datetime,
    until: datetime,
    closures: Iterable[Closure] = (),
) -> list[Interval]:
    """Every interval that touches [since, until), whole, in order of start.

    Windows that touch or overlap are one interval: nothing closes in between. Those with `stop_when_empty`
    are joined with each other only, so outside the plain ones they keep their meaning.
    """
    windows, closures = tuple(windows), sorted(closures, key=lambda each: each.start)
    grace = max((each.close_grace for each in windows), default=timedelta(0))
    first, last = since - grace - DAY, until + DAY
    while True:
        opened = (each for window in windows for each in _opened(window, first, last))
        parts = [part for each in opened for part in _outside(closures, each)] if closures else opened
        found = [each for each in _joined(parts) if each.keep_until > since and each.start < until]
        begins = min((each.start for each in found), default=first)
        ends = max((each.end for each in found), default=last)
        if (begins >= first or since - begins > _LONGEST) and (ends <= last or ends - until > _LONGEST):
            return found
        # What they touch may not have been looked at yet.
        first, last = min(first, begins - 7 * DAY), max(last, ends + 7 * DAY)


def hosted_spans(
    windows: Iterable[WeeklyWindow | OneOffWindow],
    leads: Leads,
    since: datetime,
    until: datetime,
    closures: Iterable[Closure] = (),
) -> list[tuple[datetime, datetime]]:
    """When windows may have a deployment hosted without a break, lead and grace included.

    Windows with `stop_when_empty` count as if there were documents all the time.
    """
    spans: list[tuple[datetime, datetime]] = []
    for each in intervals(windows, since, until + leads.longest, closures):
        start, end = each.start - leads.before(each.start), each.keep_until
        if spans and start <= spans[-1][1]:
            start, end = spans[-1][0], max(spans.pop()[1], end)
        spans.append((start, end))
    return spans


def opens_on(window: WeeklyWindow, day: date) -> bool:
    """Whether a window starts on a local date; a date of one's own counts before weekday and holiday."""
    if not in_effect(window, day) or day in window.skip_dates:
        return False
    return day in window.also_on or (day.weekday() in window.days and holiday(window, day) is None)


def in_effect(window: WeeklyWindow, day: date) -> bool:
    """Whether a local date is among those for which a window holds."""
    return (window.starting is None or window.starting <= day) and (
        window.until is None or day <= window.until
    )


def holiday(window: WeeklyWindow, day: date) -> str | None:
    """The name of the holiday that a window skips on a local date."""
    if window.skip_holidays is None:
        return None
    return public_holidays(window.skip_holidays, day.year).get(day)


def on_day(window: WeeklyWindow, day: date) -> Interval:
    """The window that starts on a local date, whether or not it opens on it.

    It may be empty: an opening that the clocks skip can fall behind the closing.
    """
    zone = ZoneInfo(window.time_zone)
    start, end = local_times(window, day)
    return _interval(window, to_utc(start, zone, closing=False), to_utc(end, zone, closing=True))


def local_times(window: WeeklyWindow, day: date) -> tuple[datetime, datetime]:
    """When the window of a local date starts and ends by the words of the file, naive."""
    passes_midnight = window.end is None or window.end <= window.start
    last_day = day + DAY if passes_midnight else day
    return datetime.combine(day, window.start), datetime.combine(last_day, window.end or time(0))


def every_week(window: WeeklyWindow) -> WeeklyWindow:
    """The window as its days and times alone say, without dates and holidays."""
    nothing: frozenset[date] = frozenset()
    return replace(window, skip_holidays=None, skip_dates=nothing, also_on=nothing, starting=None, until=None)


def _opened(window: WeeklyWindow | OneOffWindow, first: datetime, last: datetime) -> Sequence[Interval]:
    """Every interval of one window that touches [first, last], and maybe a few around it."""
    match window:
        case OneOffWindow():
            return [_interval(window, window.start, window.end)] if window.start < window.end else []
        case WeeklyWindow():
            zone = ZoneInfo(window.time_zone)
            # A window ends on the day after its start at the latest.
            return _in_days(window, first.astimezone(zone).date() - DAY, last.astimezone(zone).date())


@functools.lru_cache(maxsize=4096)
def _in_days(window: WeeklyWindow, first: date, last: date) -> tuple[Interval, ...]:
    days = (first + number * DAY for number in range((last - first).days + 1))
    found = (on_day(window, day) for day in days if opens_on(window, day))
    return tuple(each for each in found if each.start < each.end)


def _interval(window: WeeklyWindow | OneOffWindow, start: datetime, end: datetime) -> Interval:
    return Interval(start, end, end + window.close_grace, window.stop_when_empty)


def _outside(closures: Sequence[Closure], whole: Interval) -> Iterator[Interval]:
    """What closures, in order of start, leave of an interval; each part is kept for its grace."""
    grace, start = whole.keep_until - whole.end, whole.start
    for closure in closures:
        if start < closure.start < whole.end:
            yield replace(whole, start=start, end=closure.start, keep_until=closure.start + grace)
        if closure.start < whole.end:
            start = max(start, closure.end)
    if start < whole.end:
        yield replace(whole, start=start)


def _joined(parts: Iterable[Interval]) -> list[Interval]:
    """Those of one kind that touch or overlap, made one; in order of start."""
    joined: list[Interval] = []
    latest: dict[bool, int] = {}  # where the last one of each kind stands
    for each in sorted(parts):
        place = latest.get(each.stop_when_empty)
        before = None if place is None else joined[place]
        if place is None or before is None or each.start > before.end:
            latest[each.stop_when_empty] = len(joined)
            joined.append(each)
        else:
            end, kept = max(before.end, each.end), max(before.keep_until, each.keep_until)
            joined[place] = replace(before, end=end, keep_until=kept)
    return joined
