"""Convert schedules into half-open UTC intervals.

A local time that the clocks skip shifts by the gap (02:10 becomes 03:10). Of one that occurs twice, the first
counts for opening and the second for closing, so that every window opens exactly once.

A window belongs to the local date on which it starts, in its own zone, also if it ends after midnight:
weekday, holiday and named dates are looked up for that date. Closures are instants that cut windows.
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
"""How far joined windows are followed beyond the requested time: `max_session` is 30 days at most."""


@dataclass(frozen=True, order=True)
class Interval:
    """A time in which windows are open: [start, end). Outside callers may use it until `keep_until`."""

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
    """Return every interval that touches [since, until), whole, in order of start.

    Windows that touch or overlap form one interval: nothing closes in between. Those with `stop_when_empty`
    are joined only with each other, so that outside of plain windows they keep their meaning.
    """
    windows, closures = tuple(windows), sorted(closures, key=lambda closure: closure.start)
    grace = max((window.close_grace for window in windows), default=timedelta(0))
    first, last = since - grace - DAY, until + DAY
    while True:
        opened = (interval for window in windows for interval in _opened(window, first, last))
        parts = [part for interval in opened for part in _outside(closures, interval)] if closures else opened
        found = [
            interval for interval in _joined(parts) if interval.keep_until > since and interval.start < until
        ]
        begins = min((interval.start for interval in found), default=first)
        ends = max((interval.end for interval in found), default=last)
        if (begins >= first or since - begins > _LONGEST) and (ends <= last or ends - until > _LONGEST):
            return found
        # Windows before or after may touch them: look further.
        first, last = min(first, begins - 7 * DAY), max(last, ends + 7 * DAY)


def hosted_spans(
    windows: Iterable[WeeklyWindow | OneOffWindow],
    leads: Leads,
    since: datetime,
    until: datetime,
    closures: Iterable[Closure] = (),
) -> list[tuple[datetime, datetime]]:
    """Return the spans in which windows may host a deployment without a break, with lead and grace.

    Windows with `stop_when_empty` count as if documents waited all the time.
    """
    spans: list[tuple[datetime, datetime]] = []
    for interval in intervals(windows, since, until + leads.longest, closures):
        start, end = interval.start - leads.before(interval.start), interval.keep_until
        if spans and start <= spans[-1][1]:
            start, end = spans[-1][0], max(spans.pop()[1], end)
        spans.append((start, end))
    return spans


def opens_on(window: WeeklyWindow, day: date) -> bool:
    """Return whether a window opens on a local date; named dates override weekday and holiday."""
    if not in_effect(window, day) or day in window.skip_dates:
        return False
    return day in window.also_on or (day.weekday() in window.days and holiday(window, day) is None)


def in_effect(window: WeeklyWindow, day: date) -> bool:
    """Return whether a local date is between a window's `starting` and `until`."""
    return (window.starting is None or window.starting <= day) and (
        window.until is None or day <= window.until
    )


def holiday(window: WeeklyWindow, day: date) -> str | None:
    """Return the name of the holiday that a window skips on a local date, or None."""
    if window.skip_holidays is None:
        return None
    return public_holidays(window.skip_holidays, day.year).get(day)


def on_day(window: WeeklyWindow, day: date) -> Interval:
    """Return the interval of a window on a local date, whether or not it opens on it.

    The interval may be empty: an opening that the clocks skip can fall after the closing.
    """
    zone = ZoneInfo(window.time_zone)
    start, end = local_times(window, day)
    return _interval(window, to_utc(start, zone, closing=False), to_utc(end, zone, closing=True))


def local_times(window: WeeklyWindow, day: date) -> tuple[datetime, datetime]:
    """Return the naive local start and end of a window on a local date, as the file gives them."""
    passes_midnight = window.end is None or window.end <= window.start
    last_day = day + DAY if passes_midnight else day
    return datetime.combine(day, window.start), datetime.combine(last_day, window.end or time(0))


def every_week(window: WeeklyWindow) -> WeeklyWindow:
    """Return the window with its days and times only, without dates and holidays."""
    nothing: frozenset[date] = frozenset()
    return replace(window, skip_holidays=None, skip_dates=nothing, also_on=nothing, starting=None, until=None)


def _opened(window: WeeklyWindow | OneOffWindow, first: datetime, last: datetime) -> Sequence[Interval]:
    """Return every interval of one window that touches [first, last], and maybe some nearby."""
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
    return tuple(interval for interval in found if interval.start < interval.end)


def _interval(window: WeeklyWindow | OneOffWindow, start: datetime, end: datetime) -> Interval:
    return Interval(start, end, end + window.close_grace, window.stop_when_empty)


def _outside(closures: Sequence[Closure], whole: Interval) -> Iterator[Interval]:
    """Yield the parts of an interval outside closures (in order of start); every part keeps its grace."""
    grace, start = whole.keep_until - whole.end, whole.start
    for closure in closures:
        if start < closure.start < whole.end:
            yield replace(whole, start=start, end=closure.start, keep_until=closure.start + grace)
        if closure.start < whole.end:
            start = max(start, closure.end)
    if start < whole.end:
        yield replace(whole, start=start)


def _joined(parts: Iterable[Interval]) -> list[Interval]:
    """Join intervals of one kind that touch or overlap; in order of start."""
    joined: list[Interval] = []
    latest: dict[bool, int] = {}  # the index of the last one of each kind
    for part in sorted(parts):
        place = latest.get(part.stop_when_empty)
        before = None if place is None else joined[place]
        if place is None or before is None or part.start > before.end:
            latest[part.stop_when_empty] = len(joined)
            joined.append(part)
        else:
            end, kept = max(before.end, part.end), max(before.keep_until, part.keep_until)
            joined[place] = replace(before, end=end, keep_until=kept)
    return joined
