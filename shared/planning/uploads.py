"""Waiting documents → when to create, and how long to stay.

Waiting saves money where lingering does not: whatever arrives until the deployment is ready shares it. So it
is created as late as the promise `start_within` allows, and deleted when nothing is left, unless Azure bills
by the hour, when a paid hour is used to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.model import Batch
from shared.planning.estimates import CreateTime

LATE_SHARE = 0.05
"""The share of documents that may wait longer than promised, as creating takes what it takes."""
TOLERANCE = timedelta(seconds=55)
"""Passes come every minute, and some seconds go by until it is seen to be ready: no promise is kept more
exactly."""
VERY_LATE_SHARE = 0.01
"""The share that may wait longer than promised by a third."""
MOST_BATCHES = 100
PAID_MARGIN = timedelta(seconds=80)
"""A paid hour is used up to here: passes come every minute and take some seconds, and clocks differ."""
_STEPS = 16


def batch_of(arrivals: Sequence[datetime], now: datetime) -> Batch:
    """The documents that wait now, oldest first: by when they arrived."""
    waited = now - arrivals[0]
    lately = sum(at > arrivals[0] and now - at <= waited / 2 for at in arrivals)
    return Batch(len(arrivals), round(max(0.0, waited.total_seconds())), lately)


def with_batch(batches: Sequence[Batch], batch: Batch) -> tuple[Batch, ...]:
    """The latest batches, with one more."""
    return (*batches, batch)[-MOST_BATCHES:]


def start_at(
    arrivals: Sequence[datetime],
    start_within: timedelta,
    create: CreateTime,
    batches: Sequence[Batch],
    unit: timedelta,
) -> datetime:
    """When to create for documents that wait, by when they arrived, oldest first.

    As late as keeps the promise for all but LATE_SHARE of the documents that a deployment answers, by how
    long creating takes and how many it usually answers. At once if that cannot be kept. `unit`: of billing.
    """
    oldest = arrivals[0]
    if start_within <= timedelta(0):
        return oldest
    usual = _documents(len(arrivals), max(create.mean(), unit), batches)

    def is_kept(at: datetime) -> bool:
        """Whether few enough would start later than promised, or later by a third."""
        late = very_late = 0.0
        for arrival in arrivals:
            left = arrival + start_within - at
            late += create.longer_than(left + TOLERANCE)
            very_late += create.longer_than(left + start_within / 3)
        return late <= LATE_SHARE * usual and very_late <= VERY_LATE_SHARE * usual

    low, high = timedelta(0), start_within
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_kept(oldest + middle) else (low, middle)
    return oldest + low


def _documents(waiting: int, stands: timedelta, batches: Sequence[Batch]) -> float:
    """How many documents a deployment usually answers: those that waited, and those that come while it is
    created and stands, as often as they came shortly before."""
    waited = sum(each.documents for each in batches)
    seconds = sum(each.seconds for each in batches) / 2
    rate = sum(each.lately for each in batches) / seconds if seconds else 0.0
    return (waiting + waited) / (1 + len(batches)) + rate * stands.total_seconds()


def paid_until(billed_from: datetime, now: datetime, unit: timedelta) -> datetime:
    """The end of the unit of hosting that has begun by now."""
    return billed_from + ((now - billed_from) // unit + 1) * unit
