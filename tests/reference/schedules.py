"""Random schedules, with a liking for what goes wrong: edges near a change of the clocks, chains, dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from holidays import country_holidays

from shared.model import Closure, OneOffWindow, WeeklyWindow
from shared.schedule.windows import intervals
from tests.reference.wall_clock import A_DAY, MINUTE, WallClock, spans

REGIONS = ("DE-BE", "US-NY", "GB-ENG", "JP")
MARGIN = 6 * A_DAY  # minutes at each end of a clock that are not compared


@dataclass(frozen=True)
class Schedule:
    """Windows and closures of one deployment."""

    windows: tuple[WeeklyWindow | OneOffWindow, ...]
    closures: tuple[Closure, ...]


def schedule(random: Random, zone: str, jumps: Sequence[int], first: date, days: int) -> Schedule:
    """One to four windows in a zone whose clock jumps at these times of day, on these dates."""
    windows: list[WeeklyWindow | OneOffWindow] = []
    edge = _edge(random, jumps)
    for _ in range(random.choice((1, 1, 2, 3, 4))):
        # It often begins where the one before ends, or a little before.
        start = edge if windows and random.random() < 0.6 else _edge(random, jumps)
        start = (start - random.choice((0, 0, 0, 20))) % A_DAY
        edge = _edge(random, jumps) if random.random() < 0.7 else start + random.randrange(1, 1000)
        edge %= A_DAY
        edge += edge == start
        if random.random() < 0.1:
            begins = datetime.combine(first, time(0), UTC) + random.randrange(days * A_DAY) * MINUTE
            length = random.randrange(1, 3000) * MINUTE
            windows.append(OneOffWindow(begins, begins + length, random.random() < 0.3))
            continue
        end = None if random.random() < 0.1 else _time(edge % A_DAY)
        some = [first + timedelta(days=random.randrange(days)) for _ in range(random.choice((0, 0, 2, 4)))]
        middle = first + timedelta(days=days // 2)
        windows.append(
            WeeklyWindow(
                days=frozenset(random.sample(range(7), random.choice((1, 3, 5, 7, 7)))),
                start=_time(start),
                end=end,
                time_zone=zone,
                stop_when_empty=random.random() < 0.3,
                skip_holidays=random.choice((None, None, *REGIONS)),
                skip_dates=frozenset(some[::2]),
                also_on=frozenset(some[1::2]) - frozenset(some[::2]),
                starting=random.choice((None, None, None, middle)),
                until=random.choice((None, None, None, middle)),
            )
        )
    closures = []
    for _ in range(random.choice((0, 0, 1, 2))):
        begins = datetime.combine(first, time(0), UTC) + random.randrange(days * A_DAY) * MINUTE
        closures.append(Closure(begins, begins + random.randrange(1, 3000) * MINUTE, zone))
    return Schedule(tuple(windows), tuple(closures))


def holidays_of(year: int) -> dict[str, frozenset[date]]:
    """The dates of the regions that random schedules skip, as the package has them."""
    years = range(year - 1, year + 2)
    return {
        each: frozenset(country_holidays(country, subdiv=subdivision or None, years=years))
        for each in REGIONS
        for country, _, subdivision in [each.partition("-")]
    }


def differences(clock: WallClock, given: Schedule, holidays: dict[str, frozenset[date]]) -> list[str]:
    """Where the app's intervals are not what the clock on the wall says; each kind of window by itself."""
    first, last = MARGIN, clock.minutes - MARGIN
    since, until = clock.since + first * MINUTE, clock.since + last * MINUTE
    found = intervals(given.windows, since, until, given.closures)
    shown = []
    for kind in (False, True):
        of_kind = [each for each in given.windows if each.stop_when_empty is kind]
        expected = spans(clock.open_minutes(of_kind, given.closures, holidays), clock.since, first, last)
        computed = [
            (max(each.start, since), min(each.end, until)) for each in found if each.stop_when_empty is kind
        ]
        if computed != expected:
            shown += [
                f"{each} is {'computed' if each in computed else 'right'}, in {given}"
                for each in sorted({*computed} ^ {*expected})
            ]
    return shown


def _edge(random: Random, jumps: Sequence[int]) -> int:
    """A time of day in minutes; mostly close to where the clock jumps."""
    if jumps and random.random() < 0.8:
        return (random.choice(jumps) + random.randrange(-90, 91)) % A_DAY
    return random.randrange(A_DAY)


def _time(minutes: int) -> time:
    return time(minutes // 60, minutes % 60)
