"""Virtual time: it passes only while a task sleeps."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # a Monday


class VirtualClock:
    """A clock whose sleepers wake in order, without delay once all tasks sleep.

    Before time moves, the clock yields to the event loop until every other task waits, mostly in its own
    sleep. Then it advances to the earliest sleeper.
    """

    def __init__(self, start: datetime = START) -> None:
        self.start = start
        self._seconds = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._driver: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        """Return the virtual time."""
        return self.start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Return virtual seconds since the start."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Advance the time while no task sleeps."""
        self._seconds += seconds

    async def sleep(self, seconds: float) -> None:
        """Sleep until `seconds` of virtual time have passed."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + max(0.0, seconds), next(self._order), woken))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        await woken

    async def _drive(self) -> None:
        loop: Any = asyncio.get_running_loop()
        while self._sleepers:
            # Let every runnable task run before time moves: memory ports never really wait. Threads need
            # some real time.
            for _ in range(50):
                await asyncio.sleep(0)
                if not loop._ready and loop._default_executor is None:
                    break
            at, _, woken = heapq.heappop(self._sleepers)
            if not woken.cancelled():
                self._seconds = max(self._seconds, at)
                woken.set_result(None)
