"""How long a deployment has answered nobody, counting only the time in which somebody asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from shared.model import Generation

LONGEST_PAUSE = timedelta(minutes=3)
"""What one failed try counts for at most. The app may have been down after it, and nobody asked."""


def not_answered(generation: Generation, since: datetime, now: datetime) -> Generation:
    """With one more probe or slice, in which no request succeeded from `since` to `now`."""
    # The start moves by the time that does not count.
    started = since - unanswered_for(generation, since)
    return replace(generation, unanswered_since=started, unanswered_at=now)


def unanswered_for(generation: Generation, now: datetime) -> timedelta:
    """The time without an answer by `now`: zero if a request was answered since the last failure."""
    if generation.unanswered_since is None:
        return timedelta()
    last = generation.unanswered_at or generation.unanswered_since
    return min(now, last + LONGEST_PAUSE) - generation.unanswered_since
