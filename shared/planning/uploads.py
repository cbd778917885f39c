"""Compute when to create a deployment for waiting documents, and how long to keep it.

It saves money to create late, but not to delete late: all documents that arrive before the deployment is
ready share it. So it is created as late as the promise `start_within` allows, and deleted when no document
is left. If Azure bills by the hour, a paid hour is used to its end.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.model import Batch
from shared.planning.estimates import CreateTime

LATE_SHARE = 0.05
"""The share of documents that may wait longer than promised, because the time of a create varies."""
TOLERANCE = timedelta(seconds=55)
"""The accuracy of a promise: passes run every minute, and see some seconds late that it is ready."""
VERY_LATE_SHARE = 0.01
"""The share of documents that may wait longer than promised by a third."""
MOST_BATCHES = 100
PAID_MARGIN = timedelta(seconds=80)
"""The end of a paid hour that is not used: passes run every minute, take some seconds, and clocks differ."""
_STEPS = 16


def batch_of(arrivals: Sequence[datetime], now: datetime) -> Batch:
    """Return the batch of the documents that wait now. `arrivals`: their times, oldest first."""
    waited = now - arrivals[0]
    lately = sum(at > arrivals[0] and now - at <= waited / 2 for at in arrivals)
    return Batch(len(arrivals), round(max(0.0, waited.total_seconds())), lately)


def with_batch(batches: Sequence[Batch], batch: Batch) -> tuple[Batch, ...]:
    """Return the latest batches, with one more."""
    return (*batches, batch)[-MOST_BATCHES:]


@functools.lru_cache(maxsize=256)
def start_at(
    arrivals: tuple[datetime, ...],
    start_within: timedelta,
    create: CreateTime,
    batches: tuple[Batch, ...],
    unit: timedelta,
) -> datetime:
    """Return when to create for waiting documents. `arrivals`: their times, oldest first.

    This is the latest time that keeps the promise for all but LATE_SHARE of the documents that a deployment
    usually answers, given the time that a create takes. If no time keeps it, create at once. `unit`: of
    billing.
    """
    oldest = arrivals[0]
    if start_within <= timedelta(0):
        return oldest
    usual = _documents(len(arrivals), max(create.mean(), unit), batches)

    def is_kept(at: datetime) -> bool:
        """Return whether few enough documents start later than promised, and later by a third."""
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


def _documents(waiting: int, lifetime: timedelta, batches: Sequence[Batch]) -> float:
    """Return the number of documents that a deployment usually answers.

    These are the documents that waited, and those that arrive while it is created and hosted, at the rate of
    the time shortly before.
    """
    waited = sum(batch.documents for batch in batches)
    seconds = sum(batch.seconds for batch in batches) / 2
    rate = sum(batch.lately for batch in batches) / seconds if seconds else 0.0
    return (waiting + waited) / (1 + len(batches)) + rate * lifetime.total_seconds()


def paid_until(billed_from: datetime, now: datetime, unit: timedelta) -> datetime:
    """Return the end of the billing unit that has begun by now."""
    return billed_from + ((now - billed_from) // unit + 1) * unit
