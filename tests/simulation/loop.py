"""An event loop in virtual time: it jumps to the next event, in a fixed order."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine
from typing import Any


class Stuck(Exception):
    """Raised when no event is left and the simulation has not ended."""


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop that runs callbacks and timers as asyncio does, but never waits. It has no sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self.set_exception_handler(lambda *_: None)  # ignore errors of tasks that a dead process leaves

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self._seconds

    def _write_to_self(self) -> None:
        """Do nothing: asyncio would wake its wait for sockets, and this loop never waits."""

    def _run_once(self) -> None:
        """Run what is ready; if nothing is, advance the time to the next timer."""
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        while scheduled and (not ready or scheduled[0]._when <= self._seconds):
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            if not timer._cancelled:
                self._seconds = max(self._seconds, timer._when)
                ready.append(timer)
        if not ready:
            raise Stuck
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in virtual time, and drop the tasks that it leaves."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
