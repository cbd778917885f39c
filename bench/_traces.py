"""Document arrivals: read from CSV files, or synthetic for one week."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

from tests.reference.optimum import Arrival, Trace

WEEK = 7 * 86_400.0
_OPENS, _CLOSES = 9 * 3600.0, 17 * 3600.0


def read(folder: Path) -> dict[str, Trace]:
    """Read every CSV file of a folder, by file name without extension. Columns: t_s, service_s and others.

    Raises ValueError if a file lacks these columns or has a value in them that is not a number.
    """
    found = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            try:
                rows = [Arrival(float(row["t_s"]), float(row["service_s"])) for row in csv.DictReader(file)]
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name}: t_s and service_s must be columns of numbers") from error
        if rows:
            found[path.stem] = tuple(sorted(rows, key=lambda arrival: arrival.at))
    return found


def synthetic() -> dict[str, Trace]:
    """Return three traces of about a hundred documents a day, the same on every call."""
    return {
        "poisson": tuple(_poisson(random.Random(1), 100)),
        "bursty": tuple(_bursty(random.Random(2), bursts=6, documents=20)),
        "office_hours": tuple(_office_hours(random.Random(3), 100)),
    }


def _service(source: random.Random) -> float:
    return source.uniform(1.0, 12.0)


def _poisson(source: random.Random, a_day: float) -> Iterator[Arrival]:
    at = source.expovariate(a_day / 86_400)
    while at < WEEK:
        yield Arrival(at, _service(source))
        at += source.expovariate(a_day / 86_400)


def _bursty(source: random.Random, bursts: float, documents: int) -> Iterator[Arrival]:
    """Yield bursts at random times; the documents of one burst arrive within about ten minutes."""
    arrivals = [
        Arrival(burst.at + source.expovariate(1 / 200.0), _service(source))
        for burst in _poisson(source, bursts)
        for _ in range(source.randint(1, 2 * documents - 1))
    ]
    return iter(sorted(arrivals, key=lambda arrival: arrival.at))


def _office_hours(source: random.Random, a_day: float) -> Iterator[Arrival]:
    """Yield arrivals from 09:00 to 17:00 on five days of the week."""
    for arrival in _poisson(source, a_day * 86_400 / (_CLOSES - _OPENS)):
        day, second = divmod(arrival.at, 86_400)
        if day < 5 and _OPENS <= second < _CLOSES:
            yield arrival
