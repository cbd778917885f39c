"""When windows are open, by a clock on the wall that is read minute by minute: slow, and sure.

It shares nothing with the app but the data that describe a window, and knows nothing of folds and offsets:
of a zone it sees what its clock shows at each minute. Where the clock jumps, what it skipped is taken for the
time that is shown instead, and what it shows twice is shown twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.model import Closure, OneOffWindow, WeeklyWindow

MINUTE = timedelta(minutes=1)
A_DAY = 24 * 60  # minutes


class WallClock:
    """A zone's clock over so many minutes from an instant on."""

    def __init__(self, zone: str, since: datetime, minutes: int) -> None:
        self.zone, self.since, self.minutes = zone, since, minutes
        self._first: dict[int, int] = {}  # what is shown → the first minute at which it is
        self._last: dict[int, int] = {}
        self._skipped: list[tuple[int, int]] = []
        clock, before = ZoneInfo(zone), None
        for minute in range(minutes):
            shown = _number((since + minute * MINUTE).astimezone(clock))
            if before is not None and shown > before + 1:
                self._skipped.append((before + 1, shown))
            self._first.setdefault(shown, minute)
            self._last[shown] = minute
            before = shown

    def open_minutes(
        self,
        windows: Iterable[WeeklyWindow | OneOffWindow],
        closures: Iterable[Closure] = (),
        holidays: Mapping[str, Collection[date]] | None = None,
    ) -> bytearray:
        """A byte for each minute: whether any of the windows is open, and no closure holds.

        Dates in the first two and the last three days are not looked at: compare what lies well inside.
        """
        is_open = bytearray(self.minutes)
        for window in windows:
            if isinstance(window, OneOffWindow):
                _fill(is_open, self._minute(window.start), self._minute(window.end), 1)
                continue
            skipped = (holidays or {})[window.skip_holidays] if window.skip_holidays else ()
            for day in self._days():
                if not starts_on(window, day, skipped):
                    continue
                midnight = day.toordinal() * A_DAY
                opens = midnight + window.start.hour * 60 + window.start.minute
                closes = midnight + (window.end.hour * 60 + window.end.minute if window.end else A_DAY)
                closes += A_DAY if closes <= opens else 0
                _fill(is_open, self._at(opens, self._first), self._at(closes, self._last), 1)
        for closure in closures:
            _fill(is_open, self._minute(closure.start), self._minute(closure.end), 0)
        return is_open

    def jumps(self) -> list[int]:
        """The times of day (minutes) at which what the clock skips or repeats begins and ends."""
        repeated = {each for each, minute in self._first.items() if self._last[each] != minute}
        ends = {each for each in repeated if each - 1 not in repeated or each + 1 not in repeated}
        return sorted({each % A_DAY for each in (*ends, *(each for span in self._skipped for each in span))})

    def _days(self) -> Iterator[date]:
        for number in range(2, self.minutes // A_DAY - 3):
            yield (self.since + number * A_DAY * MINUTE).date()

    def _at(self, local: int, shown: Mapping[int, int]) -> int:
        for start, end in self._skipped:
            if start <= local < end:
                local += end - start
        return shown[local]

    def _minute(self, at: datetime) -> int:
        return min(max((at - self.since) // MINUTE, 0), self.minutes)


def _fill(is_open: bytearray, first: int, last: int, value: int) -> None:
    is_open[first : max(first, last)] = bytes([value]) * max(0, last - first)


def starts_on(window: WeeklyWindow, day: date, holidays: Collection[date]) -> bool:
    """Whether the window of a local date is one, by the words of docs/configuration.md."""
    if window.starting is not None and day < window.starting:
        return False
    if window.until is not None and window.until < day:
        return False
    if day in window.skip_dates:
        return False
    if day in window.also_on:
        return True
    return day.weekday() in window.days and day not in holidays


def spans(is_open: bytearray, since: datetime, first: int, last: int) -> list[tuple[datetime, datetime]]:
    """The runs of open minutes within [first, last), as times."""
    found, minute = [], first
    while (start := is_open.find(1, minute, last)) >= 0:
        minute = is_open.find(0, start, last)
        minute = last if minute < 0 else minute
        found.append((since + start * MINUTE, since + minute * MINUTE))
    return found


def _number(local: datetime) -> int:
    return local.toordinal() * A_DAY + local.hour * 60 + local.minute


def changes(zone: str, year: int) -> list[datetime]:
    """The hours (UTC) of a year after which the clock of a zone is another time off."""
    clock, start = ZoneInfo(zone), datetime(year, 1, 1, tzinfo=UTC)
    hours = [start + timedelta(hours=number) for number in range(366 * 24)]
    offsets = [each.astimezone(clock).replace(tzinfo=UTC) - each for each in hours]
    return [hours[number] for number in range(1, len(hours)) if offsets[number] != offsets[number - 1]]
