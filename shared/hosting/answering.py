"""What drainers note on a deployment's record: that nobody is answered, and that somebody is again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime

from shared.errors import Changed
from shared.hosting.ledger import Ledger
from shared.model import HostedId, RecordState
from shared.planning.unanswered import not_answered


@dataclass(frozen=True)
class Trouble:
    """Why nobody is answered on a deployment. `since`: when the first request failed that way."""

    since: datetime
    reason: str
    silent: bool  # a probe is to succeed before any other request


async def note_slice(
    ledger: Ledger, of: HostedId, now: datetime, *, answered: bool, trouble: Trouble | None
) -> None:
    """Keep whether anybody was `answered` in a slice, and what `trouble` it ended in.

    Passes probe a deployment in trouble, and in the end delete it. A record that is not open, or that
    somebody changes meanwhile, stays as it is: its writer knows better.
    """
    before = await ledger.record(of)
    if before.state is not RecordState.OPEN:
        return
    generation, backoff = before.generation, before.backoff
    if answered:
        generation = replace(generation, unanswered_since=None, unanswered_at=None, trouble="")
        backoff = replace(backoff, unanswered_runs=0)
    if trouble is not None:
        generation = replace(
            not_answered(generation, since=trouble.since, now=now),
            trouble=trouble.reason[:500],
            silent_since=generation.silent_since or (trouble.since if trouble.silent else None),
        )
    noted = replace(before, generation=generation, backoff=backoff)
    if noted != before:
        with contextlib.suppress(Changed):
            await ledger.save(noted)
