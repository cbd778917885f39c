"""An event loop whose time is virtual: it jumps to the next thing that happens, in a fixed order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Stuck(Exception):
    """Nothing would ever happen again, and the simulation has not ended."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks and timers as asyncio does, but never waits, and knows neither sockets nor threads."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._selector = self
        self.set_exception_handler(lambda *_: None)  # what a dead process leaves behind is nobody's

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._seconds

    def select(self, timeout: float | None) -> list[Any]:
        """Called where asyncio would wait for sockets: let that time pass."""
        if timeout is None:
            raise Stuck
        self._seconds += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in virtual time, and drop whatever it leaves behind."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop._ready.clear()  # type: ignore[attr-defined]
        asyncio.set_event_loop(None)
        loop.close()
