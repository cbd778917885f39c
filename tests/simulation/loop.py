"""An event loop whose time is virtual: it jumps to the next thing that happens, in a fixed order."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine
from typing import Any


class Stuck(Exception):
    """Nothing would ever happen again, and the simulation has not ended."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks and timers as asyncio does, but never waits, and knows neither sockets nor threads."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self.set_exception_handler(lambda *_: None)  # what a dead process leaves behind is nobody's

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._seconds

    def _write_to_self(self) -> None:
        """Wakes asyncio from its wait for sockets: here nobody waits."""

    def _run_once(self) -> None:
        """What is ready; if nothing is, the time of the next timer has come."""
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
    """Run a coroutine in virtual time, and drop whatever it leaves behind."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
