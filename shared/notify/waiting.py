"""Count the events that wait, by the keys of their rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.notify.outbox import made_at, range_after, receiver_key
from shared.ports import Tables

_PAGE = 1000


@dataclass(frozen=True)
class Waiting:
    """The events that wait for one receiver. `more`: there are more than were counted."""

    events: int
    since: datetime  # of the oldest
    more: bool = False


async def waiting(tables: Tables, places: Iterable[tuple[str, str, str]]) -> Mapping[str, Waiting]:
    """Return what waits, by the keys of receivers. Some may not be configured any more.

    `places`: table, partition and kind of keys. Counts a thousand of a receiver in each; raises StorageError.
    """
    found: dict[str, Waiting] = {}
    for table, partition, kind in dict.fromkeys(places):
        start: str | None = f"{kind} "
        while start is not None:
            page = await tables.keys(table, partition, start, f"{kind} ~", _PAGE)
            for key in page.keys:
                at, receiver = made_at(key), receiver_key(key)
                known = found.get(receiver, Waiting(0, at))
                found[receiver] = Waiting(known.events + 1, min(known.since, at), known.more)
            start = range_after(page.keys[-1]) if page.more else None
            if page.more:  # the rest of the last one is not counted
                last = receiver_key(page.keys[-1])
                found[last] = Waiting(found[last].events, found[last].since, more=True)
    return found
