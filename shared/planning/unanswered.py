"""How long a deployment has answered nobody, counting only the time in which somebody asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from shared.model import DeploymentRecord

LONGEST_PAUSE = timedelta(minutes=3)
"""What one failed try counts for at most. The app may have been down after it, and nobody asked."""


def not_answered(record: DeploymentRecord, since: datetime, now: datetime) -> DeploymentRecord:
    """The record with one more probe or slice, in which no request succeeded from `since` to `now`."""
    # The start moves by the time that does not count.
    return replace(record, unanswered_since=since - unanswered_for(record, since), unanswered_at=now)


def unanswered_for(record: DeploymentRecord, now: datetime) -> timedelta:
    """The time without an answer by `now`: zero if somebody was answered since the last failure."""
    if record.unanswered_since is None:
        return timedelta()
    last = record.unanswered_at or record.unanswered_since
    return min(now, last + LONGEST_PAUSE) - record.unanswered_since
