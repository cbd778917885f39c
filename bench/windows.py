"""Check that windows open at the local wall-clock time, in every zone and year.

`python3 dev.py bench windows [--zones N] [--from-year 2024] [--to-year 2035] [--json]`. The app and a
reference both compute random schedules in each zone and year; the reference reads the zone's clock minute by
minute (`tests/reference`). Of zones whose clocks agree at every quarter of an hour of these years, only one
is checked. Exit code 1 if they differ; each difference is printed on standard error with its zone and year.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from time import monotonic
from zoneinfo import ZoneInfo, available_timezones

from bench._arguments import whole
from bench._report import machine, show
from tests.reference.schedules import MARGIN, differences, holidays_of, schedule
from tests.reference.wall_clock import A_DAY, MINUTE, WallClock

QUARTER = 15 * MINUTE


@dataclass(frozen=True)
class Found:
    """The result for one zone in one year."""

    zone: str
    year: int
    minutes: int
    schedules: int
    windows: int
    jumps: int
    differences: tuple[str, ...]


def check(case: tuple[str, int, int]) -> Found:
    """Compare random schedules in one zone and year, minute by minute. `case`: zone, year, schedules."""
    zone, year, schedules = case
    start = datetime(year, 1, 1, tzinfo=UTC) - MARGIN * MINUTE
    minutes = (datetime(year + 1, 1, 1, tzinfo=UTC) - start) // MINUTE + MARGIN
    clock, random = WallClock(zone, start, minutes), Random(f"{zone} {year}")
    jumps, differing, windows = clock.jumps(), list[str](), 0
    for _ in range(schedules):
        # Its dates and closures lie within the year.
        given = schedule(random, zone, jumps, date(year, 1, 1), (minutes - 2 * MARGIN) // A_DAY)
        windows += len(given.windows)
        differing += differences(clock, given, holidays_of(year))
    return Found(zone, year, minutes - 2 * MARGIN, schedules, windows, len(jumps) // 2, tuple(differing))


def run(zones: list[str], years: range, schedules: int) -> dict[str, object]:
    """Check all zones and years on every core, and return the totals."""
    began = monotonic()
    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        clocks = pool.map(offsets, ((zone, years) for zone in zones), chunksize=4)
        # Keep the last zone of each group with equal clocks, so that no clock is checked twice.
        alike = {clock: zone for clock, zone in zip(clocks, zones, strict=True)}
        cases = itertools.product(alike.values(), years, [schedules])
        found = list(_print_differences(pool.map(check, cases, chunksize=4)))
    seconds = monotonic() - began
    return {
        "zones": len(zones),
        "zones_that_differ": len(alike),
        "years": len(years),
        "clock_minutes": sum(result.minutes for result in found),
        "clock_jumps": sum(result.jumps for result in found),
        "schedules": sum(result.schedules for result in found),
        "windows": sum(result.windows for result in found),
        "minutes_compared": sum(result.minutes * result.schedules for result in found),
        "differences": sum(len(result.differences) for result in found),
        "seconds": round(seconds, 1),
        **machine(),
    }


def offsets(case: tuple[str, range]) -> tuple[tuple[int, timedelta], ...]:
    """Return a zone's UTC offsets over the years, each with the quarter hour from which it holds."""
    zone, years = case
    clock, start = ZoneInfo(zone), datetime(years[0], 1, 1, tzinfo=UTC) - MARGIN * MINUTE
    quarters = (datetime(years[-1] + 1, 1, 1, tzinfo=UTC) + MARGIN * MINUTE - start) // QUARTER
    found: list[tuple[int, timedelta]] = []
    for number in range(quarters):
        offset = (start + number * QUARTER).astimezone(clock).utcoffset() or timedelta(0)
        if not found or found[-1][1] != offset:
            found.append((number, offset))
    return tuple(found)


def _print_differences(found: Iterator[Found]) -> Iterator[Found]:
    """Yield each result as it arrives, and print its differences on standard error."""
    for result in found:
        for line in result.differences:
            print(f"{result.zone} {result.year}: {line}", file=sys.stderr, flush=True)
        yield result


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="dev.py bench windows", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--zones", type=whole(0), default=0, metavar="N", help="only N zones, chosen at random (all)"
    )
    parser.add_argument("--from-year", type=whole(1900, 2200), default=2024, metavar="YEAR")
    parser.add_argument("--to-year", type=whole(1900, 2200), default=2035, metavar="YEAR", help="included")
    parser.add_argument("--schedules", type=whole(), default=8, metavar="N", help="in each zone and year (8)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    if options.to_year < options.from_year:
        parser.error(f"--to-year {options.to_year} comes before --from-year {options.from_year}")
    zones = sorted(available_timezones())
    if options.zones:
        zones = sorted(Random(0).sample(zones, min(options.zones, len(zones))))
    found = run(zones, range(options.from_year, options.to_year + 1), options.schedules)
    show(found, as_json=options.json)
    return 1 if found["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
