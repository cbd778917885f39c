"""A process of the app: it may pause, its clock is slightly wrong, and it stops completely when it dies."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, NoReturn

from shared.errors import LamplighterError
from tests.simulation.loop import running_loop

if TYPE_CHECKING:
    from tests.simulation.world import Side

RUNNING: ContextVar[Process | None] = ContextVar("RUNNING", default=None)
"""The process whose code runs now."""


class Crashed(BaseException):
    """Raised in a dead process at every access to the world, so that its `finally` has no effect."""


class Process:
    """One process. Every access to the world goes through `arrive` and `depart`."""

    def __init__(self, side: Side, name: str, random: Random) -> None:
        self.side = side
        self.world = world = side.world
        self.name = name
        self.alive = True
        self.skew = timedelta(seconds=random.uniform(-1, 1) * world.scenario.skew)
        self.passes: dict[str, float] = {}  # account → when its lease was asked for
        self._pauses = 0.0  # seconds
        self._paused_until = 0.0
        self._monotonic = random.uniform(0, 1e5)
        self._random = random
        self._loop = running_loop()
        self._tasks: dict[asyncio.Task[None], None] = {}  # in order

    # --- its clock: implements `shared.ports.Clock` -----------------------------------------------

    def now(self) -> datetime:
        """Return the time of this process's own clock."""
        return self.world.now() + self.skew

    def monotonic(self) -> float:
        """Return seconds of this process's own monotonic clock."""
        return self._loop.seconds + self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, and longer if the process is paused."""
        await (self._loop.elapse(seconds) if seconds > 0 else asyncio.sleep(0))
        if not self._runs():
            await self._gate()

    # --- its life -------------------------------------------------------------------------------

    def spawn(self, what: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        """Start an invocation."""
        task = asyncio.create_task(self._run(what, work))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        task.add_done_callback(lambda _: work.close())  # it may have been cancelled before it began
        return task

    async def _run(self, what: str, work: Coroutine[Any, Any, Any]) -> None:
        RUNNING.set(self)
        try:
            await work
        except LamplighterError as error:
            self.world.note(f"{self.name} {what}: {error}")
        except Exception as error:
            self.world.judge.fault("bugs", f"{self.name} {what}: {type(error).__name__}: {error}", error)
        except (Crashed, asyncio.CancelledError):
            if self.alive:
                raise

    def crash(self) -> None:
        """Die at once."""
        if self.alive:
            self.alive = False
            self.world.judge.died(self)
            self.world.crashed(self)
            for task in list(self._tasks):
                task.cancel()

    def killed(self, what: str) -> None:
        """Die because of its own action `what`. Raises Crashed."""
        self.world.note(f"{self.name} dies: it {what}")
        self.crash()
        raise Crashed

    def pause(self, seconds: float) -> None:
        """Pause, as on a machine that is migrated or overloaded."""
        self.world.note(f"{self.name} stands still for {seconds:.0f} s")
        if seconds >= 100:
            self.world.judge.died(self)  # as far as its claims are concerned
        self._paused_until = max(self._paused_until, self._loop.time() + seconds)
        self._pauses += seconds
        self.world.disturbed(seconds)

    def stood_still(self) -> float:
        """Return the seconds for which it has been paused so far."""
        return self._pauses - max(0.0, self._paused_until - self._loop.time())

    # Most calls need not wait, so these are no coroutines: `arrive` and `depart` for callers in no hurry.

    def arrives(self) -> Coroutine[Any, Any, None] | None:
        """Apply a crash or a pause before a call takes effect. Return its latency to await, or None."""
        self.world.steps += 1
        return self._before() if self._runs() else self._before_late()

    def departs(self) -> Coroutine[Any, Any, None] | None:
        """Apply a crash after a call took effect. Return the latency of its answer to await, or None."""
        chance = self._random.random()
        if chance < self.world.weather.crash:
            self._dies("after")
        if chance > 0.9:
            return self.sleep(0.2 * self._random.random())
        return None if self._runs() else self._gate()

    async def arrive(self) -> None:
        """Apply latency, a crash or a pause before a call takes effect."""
        if (wait := self.arrives()) is not None:
            await wait

    async def depart(self) -> None:
        """Apply latency or a crash after a call took effect."""
        if (wait := self.departs()) is not None:
            await wait

    def _before(self) -> Coroutine[Any, Any, None] | None:
        chance = self._random.random()
        weather = self.world.weather
        if chance < weather.crash:
            self._dies("before")
        if chance < weather.pause:
            self.pause(self._random.choice((20.0, 50.0, 100.0, 300.0)))
            return self._gate()
        if chance > 0.97:
            return self.sleep(self._random.uniform(0.5, 4))
        if chance > 0.88:
            return self.sleep(0.1 * self._random.random())
        return self.sleep(0) if chance > 0.8 else None

    async def _before_late(self) -> None:
        await self._gate()
        if (wait := self._before()) is not None:
            await wait

    def _dies(self, when: str) -> NoReturn:
        self.world.note(f"{self.name} dies {when} its call")
        self.crash()
        raise Crashed

    def _runs(self) -> bool:
        return self.alive and self._paused_until <= self._loop.seconds

    async def _gate(self) -> None:
        while self.alive and self._paused_until > self._loop.time():
            await asyncio.sleep(self._paused_until - self._loop.time())
        if not self.alive:
            raise Crashed
