"""Waiting documents → when to create, and how long to stay.

Waiting saves money where lingering does not: whatever arrives until the deployment is ready shares it. So it
is created as late as the promise `start_within` allows, and deleted when nothing is left, unless Azure bills
by the hour, when a paid hour is used to its end.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.planning.estimates import CreateTime

LATE_SHARE = 0.05
"""The share of documents that may wait longer than promised, as creating takes what it takes."""
VERY_LATE_SHARE = 0.01
"""The share that may wait longer than promised by a third."""
MOST_BATCHES = 20
PAID_MARGIN = timedelta(seconds=90)
"""A paid hour is used up to here: a pass comes every minute, and the delete must be accepted in time."""
_STEPS = 24


@dataclass(frozen=True)
class Batch:
    """How many documents had come, and in how many seconds since the first, when a create began."""

    documents: int
    seconds: float


def start_at(
    oldest: datetime,
    unfinished: int,
    now: datetime,
    start_within: timedelta,
    create: CreateTime,
    batches: Sequence[Batch],
) -> datetime:
    """When to create for documents of which the oldest arrived at `oldest`.

    As late as keeps the promise for all but LATE_SHARE of the documents, by how long creating takes and how
    many documents usually follow an arrival: those that follow wait less. At once if that cannot be kept.
    """
    if start_within <= timedelta(0):
        return oldest
    follow = (unfinished - 1 + sum(each.documents - 1 for each in batches)) / (
        max((now - oldest).total_seconds(), 0.0)
        + sum(each.seconds for each in batches)
        + start_within.total_seconds()
    )
    return oldest + max(timedelta(0), start_within - _time_for_create(start_within, create, follow))


def _time_for_create(start_within: timedelta, create: CreateTime, follow: float) -> timedelta:
    """The least that a create must be given. `follow`: documents a second after the oldest."""

    def late(given: timedelta, tolerated: timedelta) -> float:
        """The share of documents that start later than promised and tolerated."""
        span = given + tolerated
        late_ones = create.longer_than(span) + follow * create.excess(span).total_seconds()
        gathered = (start_within - given + create.mean()).total_seconds()
        return late_ones / (1.0 + follow * gathered)

    low, high = timedelta(0), start_within
    for _ in range(_STEPS):
        given = (low + high) / 2
        kept = late(given, timedelta(0)) <= LATE_SHARE and late(given, start_within / 3) <= VERY_LATE_SHARE
        low, high = (low, given) if kept else (given, high)
    return high


def paid_until(billed_from: datetime, now: datetime, unit: timedelta) -> datetime:
    """The end of the unit of hosting that has begun by now."""
    return billed_from + ((now - billed_from) // unit + 1) * unit


def to_text(batches: Sequence[Batch]) -> str:
    """The latest batches as a column of the deployment's record."""
    return " ".join(f"{each.documents}/{each.seconds:.0f}" for each in batches[-MOST_BATCHES:])


@functools.lru_cache(maxsize=1024)
def from_text(text: str) -> tuple[Batch, ...]:
    """What `to_text` wrote."""
    pairs = (each.split("/") for each in text.split())
    return tuple(Batch(int(documents), float(seconds)) for documents, seconds in pairs)
