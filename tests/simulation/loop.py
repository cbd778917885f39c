"""An event loop in virtual time: it jumps to the next event, in a fixed order."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import weakref
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVarTuple
from unittest import mock

Ts = TypeVarTuple("Ts")

# asyncio's set of all tasks, as Python 3.11 and 3.12 name it.
_ALL_TASKS: Any = getattr(asyncio.tasks, "_all_tasks", None)
if _ALL_TASKS is None:
    _ALL_TASKS = asyncio.tasks._scheduled_tasks  # type: ignore[attr-defined]


class Stuck(Exception):
    """Raised when no event is left and the simulation has not ended."""


class _Handle(asyncio.TimerHandle):
    """A handle without asyncio's support for debugging: of timers, and of callbacks that run at once."""

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self._callback: Any = callback
        self._args: Any = args
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._source_traceback = None

    def cancel(self) -> None:
        """See asyncio."""
        self._cancelled = True
        self._callback = self._args = None


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop that runs callbacks and timers as asyncio does, but never waits. It has no sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0  # virtual, since the start
        self._timers: list[tuple[float, int, _Handle]] = []  # a heap
        self._number = itertools.count()  # orders timers of the same instant
        self._context = Context()  # of timers that only wake a task
        self._tasks: list[weakref.ref[asyncio.Task[Any]]] = []

    # asyncio asks this for every task and future: `bool()` is False, without a call of a Python function.
    get_debug = staticmethod(bool)

    def note_task(self, task: asyncio.Task[Any]) -> None:
        """Replace asyncio's set of tasks, whose weak references call Python code when a task is freed."""
        self._tasks.append(weakref.ref(task))

    def unfinished(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that are not done, oldest first."""
        return [task for each in self._tasks if (task := each()) is not None and not task.done()]

    def _asyncgen_firstiter_hook(self, agen: object) -> None:
        """Do not note asynchronous generators, as asyncio does for its shutdown."""

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self.seconds

    # Simulations spend much of their time here: these leave out asyncio's checks of threads and closed loops.

    def create_task(self, coro: Any, *, name: Any = None, context: Context | None = None) -> Any:
        """See asyncio."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See asyncio."""
        handle = _Handle(callback, args, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See asyncio."""
        return self.call_at(self.seconds + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See asyncio. Timers of the same instant run in the order of the calls."""
        timer = _Handle(callback, args, context)
        heapq.heappush(self._timers, (when, next(self._number), timer))
        return timer

    def elapse(self, seconds: float) -> asyncio.Future[None]:
        """Return a future that is done after `seconds`. It costs half of `asyncio.sleep`."""
        future = self.create_future()
        timer = _Handle(_elapsed, (future,), self._context)
        heapq.heappush(self._timers, (self.seconds + seconds, next(self._number), timer))
        return future

    def _write_to_self(self) -> None:
        """Do nothing: asyncio would wake its wait for sockets, and this loop never waits."""

    def _run_once(self) -> None:
        """Run what is ready; if nothing is, advance the time to the next timer. Return once it is stopped."""
        ready, timers = self._ready, self._timers  # type: ignore[attr-defined]
        while not self._stopping:  # type: ignore[attr-defined]
            while timers and (not ready or timers[0][0] <= self.seconds):
                when, _, timer = heapq.heappop(timers)
                if not timer._cancelled:
                    self.seconds = max(self.seconds, when)
                    ready.append(timer)
            if not ready:
                raise Stuck
            for _ in range(len(ready)):
                handle = ready.popleft()
                if handle._cancelled:
                    continue
                try:
                    handle._context.run(handle._callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException:  # of a task that a dead process left
                    pass


def _elapsed(future: asyncio.Future[None]) -> None:
    if not future.done():  # its task may have been cancelled
        future.set_result(None)


def running_loop() -> VirtualLoop:
    """Return the loop that runs. There is no other kind in a simulation."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in virtual time, and drop the tasks that it leaves."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        with mock.patch.object(_ALL_TASKS, "add", loop.note_task):
            loop.run_until_complete(main)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
