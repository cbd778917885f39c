"""Virtual time: it passes only when somebody sleeps."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # a Monday


class VirtualClock:
    """A clock whose sleepers wake in order, each at once when everybody else sleeps too.

    `run_until_idle` is not needed: whoever sleeps first yields to the loop often enough for all other
    tasks to reach their own sleep, then the earliest sleeper moves the time on.
    """

    def __init__(self, start: datetime = START) -> None:
        self.start = start
        self._seconds = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._driver: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        """The present."""
        return self.start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Virtual seconds since the start."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Let time pass while nobody sleeps."""
        self._seconds += seconds

    async def sleep(self, seconds: float) -> None:
        """Wake when the virtual time has come."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + max(0.0, seconds), next(self._order), woken))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        await woken

    async def _drive(self) -> None:
        while self._sleepers:
            # Give every runnable task its turn before time moves: memory ports never really wait.
            for _ in range(50):
                await asyncio.sleep(0)
            at, _, woken = heapq.heappop(self._sleepers)
            if not woken.cancelled():
                self._seconds = max(self._seconds, at)
                woken.set_result(None)
