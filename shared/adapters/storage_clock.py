"""Give all hosts one clock: the storage account's, read from the Date of its answers.

The hosts' clocks may differ by minutes, and claims, leases and paid hours are compared across hosts. Storage
and Azure Resource Manager keep Azure's time. The correction is the smallest that agrees with the last answer
(Cristian's method): an answer's Date lies between sending and receiving, and is in whole seconds.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.ports import Clock, Insert, Keys, Page, Remove, Replace, Row, Tables

_RESOLUTION = timedelta(seconds=1)  # of the Date header


class StorageClock:
    """The implementation of `shared.ports.Clock`: the host's clock with a correction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._correction = timedelta(0)

    def now(self) -> datetime:
        """See the port."""
        return self._clock.now() + self._correction

    def monotonic(self) -> float:
        """See the port."""
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See the port."""
        await self._clock.sleep(seconds)

    def host_time(self) -> datetime:
        """Return the host's own time, not corrected."""
        return self._clock.now()

    def correct(self, sent_at: datetime, server_time: datetime) -> None:
        """Correct the clock by an answer's time. `sent_at`: the host's own time before the call."""
        least = server_time - self._clock.now()
        most = server_time + _RESOLUTION - sent_at
        self._correction = min(max(self._correction, least), most)


class TimedTables:
    """An implementation of `shared.ports.Tables` that sets the clock by every page's server time."""

    def __init__(self, tables: Tables, clock: StorageClock) -> None:
        self._tables = tables
        self._clock = clock

    # Where nothing is added, the coroutine of the tables itself is returned: another would cost CPU time.

    def get(self, table: str, partition: str, key: str) -> Coroutine[Any, Any, Row | None]:
        """See the port."""
        return self._tables.get(table, partition, key)

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        """See the port."""
        sent_at = self._clock.host_time()
        page = await self._tables.page(table, partition, start, stop, limit)
        self._clock.correct(sent_at, page.server_time)
        return page

    def keys(
        self, table: str, partition: str, start: str, stop: str, limit: int
    ) -> Coroutine[Any, Any, Keys]:
        """See the port."""
        return self._tables.keys(table, partition, start, stop, limit)

    def write(
        self, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> Coroutine[Any, Any, tuple[str, ...]]:
        """See the port."""
        return self._tables.write(table, partition, changes)
