"""Convert local times to UTC, and find when a zone's clocks change.

A local time that the clocks skip shifts by the gap (02:10 becomes 03:10). Of one that occurs twice, the first
counts for opening and the second for closing.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_STEP = timedelta(days=1)


def to_utc(local: datetime, zone: ZoneInfo, *, closing: bool) -> datetime:
    """Return the instant of a naive local time, for opening or closing."""
    # Fold 0 is the first of two times; in a gap it is the offset before the gap, which shifts by the gap.
    first, second = _offsets(local, zone)
    return (local - (min(first, second) if closing else first)).replace(tzinfo=UTC)


def times_shown(local: datetime, zone: ZoneInfo) -> int:
    """Return how often the clocks show a naive local time: 0 if skipped, 2 if repeated, else 1."""
    first, second = _offsets(local, zone)
    return 1 if first == second else 0 if first < second else 2


def _offsets(local: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    first, second = zone.utcoffset(local), zone.utcoffset(local.replace(fold=1))
    assert first is not None and second is not None
    return first, second


@dataclass(frozen=True)
class ClockChange:
    """A change of a zone's clocks: from `at` on they show that much more, or less, than before."""

    at: datetime
    by: timedelta


@functools.lru_cache(maxsize=256)
def clock_changes(time_zone: str, since: datetime, until: datetime) -> tuple[ClockChange, ...]:
    """Return the changes in [since, until], in order. Two within a day that cancel out are not found."""
    zone, found, before = ZoneInfo(time_zone), [], since
    while before < until:
        after = min(before + _STEP, until)
        by = _offset(after, zone) - _offset(before, zone)
        if by:
            first, last = before, after
            while last - first > timedelta(seconds=1):
                middle = first + (last - first) // 2
                first, last = (
                    (middle, last) if _offset(middle, zone) == _offset(before, zone) else (first, middle)
                )
            found.append(ClockChange(last.replace(microsecond=0), by))
        before = after
    return tuple(found)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset
