"""Measure how long a deployment has answered no request. Count only the time with requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from shared.model import Generation

LONGEST_PAUSE = timedelta(minutes=3)
"""The longest time for which one failed attempt counts: the app may have been down after it."""


def not_answered(generation: Generation, since: datetime, now: datetime) -> Generation:
    """Return the generation after one more probe or slice without an answer from `since` to `now`."""
    # Move the start by the time that does not count.
    started = since - unanswered_for(generation, since)
    return replace(generation, unanswered_since=started, unanswered_at=now)


def unanswered_for(generation: Generation, now: datetime) -> timedelta:
    """Return the time without an answer up to `now`; zero if a request was answered since the failure."""
    if generation.unanswered_since is None:
        return timedelta()
    last = generation.unanswered_at or generation.unanswered_since
    return min(now, last + LONGEST_PAUSE) - generation.unanswered_since
