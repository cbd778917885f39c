"""An event loop in virtual time: it jumps to the next event, in a fixed order."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVarTuple

Ts = TypeVarTuple("Ts")


class Stuck(Exception):
    """Raised when no event is left and the simulation has not ended."""


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop that runs callbacks and timers as asyncio does, but never waits. It has no sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []  # a heap
        self._number = itertools.count()  # orders timers of the same instant
        self.set_exception_handler(lambda *_: None)  # ignore errors of tasks that a dead process leaves

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self._seconds

    # Simulations spend much of their time here: both leave out asyncio's checks of threads and closed loops.

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See asyncio."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See asyncio. Timers of the same instant run in the order of the calls."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._number), timer))
        return timer

    def _write_to_self(self) -> None:
        """Do nothing: asyncio would wake its wait for sockets, and this loop never waits."""

    def _run_once(self) -> None:
        """Run what is ready; if nothing is, advance the time to the next timer."""
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        while timers and (not ready or timers[0][0] <= self._seconds):
            when, _, timer = heapq.heappop(timers)
            if not timer.cancelled():
                self._seconds = max(self._seconds, when)
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
