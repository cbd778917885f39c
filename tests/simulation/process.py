"""A process of the app: it may pause, its clock is a little off, and when it dies nothing of it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from shared.errors import LamplighterError

if TYPE_CHECKING:
    from tests.simulation.world import Side

RUNNING: ContextVar[Process | None] = ContextVar("RUNNING", default=None)
"""The process whose code runs."""


class Crashed(BaseException):
    """What a dead process meets wherever it would touch the world: its `finally` has no effect."""


class Process:
    """One process. Everything that it does to the world passes `arrive` and `depart`."""

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
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- its clock, fulfils `shared.ports.Clock` ------------------------------------------------

    def now(self) -> datetime:
        """The time as this process believes it to be."""
        return self.world.now() + self.skew

    def monotonic(self) -> float:
        """Seconds on a clock of its own."""
        return self._loop.time() + self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Sleep, and for as long as the process is paused."""
        await asyncio.sleep(max(0.0, seconds))
        await self._gate()

    # --- its life -------------------------------------------------------------------------------

    def spawn(self, what: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        """Start an invocation."""
        task = asyncio.create_task(self._run(what, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
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
            for task in self._tasks:
                task.cancel()

    def killed(self, what: str) -> None:
        """Die by what it does. Raises Crashed."""
        self.world.note(f"{self.name} dies: it {what}")
        self.crash()
        raise Crashed

    def pause(self, seconds: float) -> None:
        """Stand still, as a machine that is moved or starved does."""
        self.world.note(f"{self.name} stands still for {seconds:.0f} s")
        if seconds >= 100:
            self.world.judge.died(self)  # as far as its claims are concerned
        self._paused_until = max(self._paused_until, self._loop.time() + seconds)
        self._pauses += seconds
        self.world.disturbed(seconds)

    def stood_still(self) -> float:
        """For how many seconds it has stood still by now."""
        return self._pauses - max(0.0, self._paused_until - self._loop.time())

    async def arrive(self) -> None:
        """On the way to the world: latency, or a crash, or a pause."""
        self.world.steps += 1
        if self._paused_until > self._loop.time() or not self.alive:
            await self._gate()
        chance = self._random.random()
        weather = self.world.weather
        if chance < weather.crash:
            self.world.note(f"{self.name} dies before its call")
            self.crash()
            raise Crashed
        if chance < weather.pause:
            self.pause(self._random.choice((20.0, 50.0, 100.0, 300.0)))
        elif chance > 0.97:
            await asyncio.sleep(self._random.uniform(0.5, 4))
        elif chance > 0.88:
            await asyncio.sleep(0.1 * self._random.random())
        elif chance > 0.7:
            await asyncio.sleep(0)
        if self._paused_until > self._loop.time() or not self.alive:
            await self._gate()

    async def depart(self) -> None:
        """On the way back: the effect has happened."""
        chance = self._random.random()
        if chance < self.world.weather.crash:
            self.world.note(f"{self.name} dies after its call")
            self.crash()
            raise Crashed
        if chance > 0.9:
            await asyncio.sleep(0.2 * self._random.random())
        if self._paused_until > self._loop.time() or not self.alive:
            await self._gate()

    async def _gate(self) -> None:
        while self.alive and self._paused_until > self._loop.time():
            await asyncio.sleep(self._paused_until - self._loop.time())
        if not self.alive:
            raise Crashed
