"""Windows in a few words, and what opens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from shared.model import Closure, OneOffWindow, WeeklyWindow
from shared.schedule.windows import Interval, intervals

DAILY = frozenset(range(7))
WORKDAYS = frozenset(range(5))
DAY = timedelta(days=1)


def weekly(
    start: str,
    end: str,
    zone: str = "UTC",
    *,
    days: Iterable[int] = DAILY,
    grace: timedelta = timedelta(0),
    stop_when_empty: bool = False,
    **dates: Any,
) -> WeeklyWindow:
    """A window of every day in UTC, unless said otherwise."""
    return WeeklyWindow(
        days=frozenset(days),
        start=time.fromisoformat(start),
        end=None if end == "24:00" else time.fromisoformat(end),
        time_zone=zone,
        stop_when_empty=stop_when_empty,
        close_grace=grace,
        **dates,
    )


def at(text: str) -> datetime:
    """UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def opened(
    window: WeeklyWindow | OneOffWindow, since: str, until: str, closures: Iterable[Closure] = ()
) -> list[str]:
    """The intervals that touch [since, until), in UTC."""
    return shown(intervals([window], at(since), at(until), closures))


def shown(found: Iterable[Interval]) -> list[str]:
    """In UTC, for people."""
    return [f"{each.start:%m-%d %H:%M} to {each.end:%m-%d %H:%M}" for each in found]
