"""Note on a deployment's record whether it answers requests. Drainers do this after each slice."""

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
    """The reason why a deployment answers no request. `since`: when the first request failed."""

    since: datetime
    reason: str
    silent: bool  # a probe must succeed before any other request


async def note_slice(
    ledger: Ledger, of: HostedId, now: datetime, *, answered: bool, trouble: Trouble | None
) -> None:
    """Record whether a slice `answered` a request, and the `trouble` in which it ended.

    Passes probe a deployment in trouble, and delete it if the trouble lasts. An answer without trouble also
    counts if it has begun to close: documents that wait may open it again. A record in another state, or that
    another writer changes meanwhile, is not changed: the other writer has newer information.
    """
    before = await ledger.record(of)
    closes = before.state is RecordState.CLOSING and answered and trouble is None
    if before.state is not RecordState.OPEN and not closes:
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
