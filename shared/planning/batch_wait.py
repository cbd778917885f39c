"""Compute how long batches may wait for their deployment, so that they are done within their windows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

_MINUTE, _MOST_MINUTES = timedelta(minutes=1), 99_999
_LEAST_MARGIN, _MARGIN = timedelta(minutes=10), 0.1  # of the time that it runs: tokens are estimated


@dataclass(frozen=True)
class Patience:
    """How long after its creation a batch may begin, and how long it then runs at most. Whole minutes."""

    wait: timedelta
    run: timedelta


def patience_of(
    window: timedelta, tokens: float, requests: float, tokens_per_minute: int, requests_per_minute: int
) -> Patience:
    """Return the patience of a batch; it waits for nothing if it takes longer than its window.

    `tokens`: of all prompts and of the longest answers, as the deployment's rate limit counts them. The time
    that a create takes is not in it.
    """
    exact = timedelta(minutes=max(tokens / tokens_per_minute, requests / requests_per_minute))
    minutes = math.ceil((exact + max(_MARGIN * exact, _LEAST_MARGIN)) / _MINUTE)
    run = min(minutes, _MOST_MINUTES) * _MINUTE
    return Patience(max(timedelta(0), window - run) // _MINUTE * _MINUTE, run)


def latest_start(batches: Iterable[tuple[datetime, Patience]]) -> datetime | None:
    """Return when the first of these must be begun, so that all are done in time; None if there is none.

    Each comes with its arrival, in the order in which they are answered: each waits for those before it.
    """
    first, before = None, timedelta(0)
    for arrived_at, patience in batches:
        latest = arrived_at + patience.wait - before
        first = latest if first is None else min(first, latest)
        before += patience.run
    return first
