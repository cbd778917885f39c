"""The world of one seed: the true time, the services, and the hosts of the app that come and go."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from shared.documents.backlog import INBOX
from shared.domain import Settings
from shared.flow import Lamplighter, slice_seconds
from shared.hosting.leases import BLOB_LEASE
from shared.wiring import assemble
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.tables import MemoryTables
from tests.fakes.world import ACCOUNT, PRICES
from tests.simulation.azure import Azure
from tests.simulation.judge import Judge
from tests.simulation.people import People
from tests.simulation.ports import SimAzure, SimBlobs, SimTables
from tests.simulation.process import Process
from tests.simulation.scenario import OTHER_ACCOUNT, START, Scenario
from tests.simulation.weather import Weather

TICK = 60.0
LONGEST_TAIL = 3 * 3600.0
"""After the last storm a creation that led nowhere often is tried again only after 72 minutes."""
QUIET = 5 * TICK
_EACH_MINUTE = "0 * * * * *"


class World:
    """Everything of one run. Fulfils `shared.ports.Clock` with the true time."""

    def __init__(self, scenario: Scenario, *, trace: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self.scenario = scenario
        self.random = Random(scenario.seed + 1_000_003)
        self.weather = Weather(self.random, scenario.intensity)
        self.tables, self.blobs = MemoryTables(self), MemoryBlobs(self)
        self.azure, self.people, self.judge = Azure(self), People(self), Judge(self)
        self.steps = self.crashes = 0
        self.disturbed_until = 0.0
        self.timeline: list[str] | None = [] if trace else None
        self._hosts: list[tuple[Process, Lamplighter]] = []
        self._timers: dict[str, tuple[Process, asyncio.Task[None]]] = {}
        self._beside: set[asyncio.Task[Any]] = set()
        for number in range(scenario.hosts):
            self._start_host(f"host{number}")

    # --- time -----------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The true time."""
        return START + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """Virtual seconds since the start."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        await asyncio.sleep(seconds)

    def seconds(self) -> float:
        """Virtual seconds since the start."""
        return self._loop.time()

    def since_start(self, at: datetime) -> float:
        """A time in virtual seconds since the start."""
        return (at - START).total_seconds()

    def call_later(self, delay: float, act: Callable[..., None], *arguments: Any) -> None:
        """Have something happen later."""
        self._loop.call_later(delay, act, *arguments)

    # --- what is told ---------------------------------------------------------------------------

    def clock_time(self) -> str:
        return f"{self.now():%H:%M:%S.%f}"[:-3]

    def note(self, what: str, error: Exception | None = None) -> None:
        """A line of the timeline."""
        if self.timeline is not None:
            self.timeline.append(f"{self.clock_time()}  {what}")
            if error is not None:
                self.timeline += traceback.format_exception(error)

    def trouble(self, what: str) -> None:
        """Something that the app has no part in went wrong."""
        self.note(what)
        self.disturbed(0.0)

    def disturbed(self, seconds: float) -> None:
        """From now on and for so long nobody can be expected to be in time."""
        self.disturbed_until = max(self.disturbed_until, self.seconds() + seconds)

    # --- hosts of the app -----------------------------------------------------------------------

    def _start_host(self, name: str) -> None:
        process = Process(self, name, self.random)
        accounts = {
            each.resource_id: replace(each, fine_tuned_slots=self.scenario.slots)
            for each in (ACCOUNT, OTHER_ACCOUNT)
            if any(each.resource_id == hosting.account for hosting in self.scenario.hostings)
        }
        prices = replace(PRICES, billing_unit=self.scenario.billing)
        settings = Settings("test", accounts, dict(self.people.hosted), prices, 1_000_000)
        azure = SimAzure(process)
        app = assemble(settings, process, SimTables(process), SimBlobs(process), azure, azure)
        self._hosts.append((process, app))

    def crashed(self, process: Process) -> None:
        """A host is gone; another takes its place. What it held is held until it runs out."""
        self.crashes += 1
        self.disturbed(BLOB_LEASE)
        self._hosts = [each for each in self._hosts if each[0] is not process]
        name = f"{process.name.partition('.')[0]}.{self.crashes}"
        self.call_later(self.random.uniform(1, 40), self._start_host, name)

    def processes(self) -> list[Process]:
        """Those that live."""
        return [process for process, _ in self._hosts]

    def some_host(self) -> tuple[Process, Lamplighter] | None:
        """One of those that live."""
        return self.random.choice(self._hosts) if self._hosts else None

    def run_beside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Something that is no part of the app."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    # --- the run --------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the start until nothing is left to do, or the longest tail is over."""
        scenario = self.scenario
        for begins, ends in scenario.storms:
            self._loop.call_at(begins, self._turn, True)
            self._loop.call_at(ends, self._turn, False)
        for upload in scenario.uploads:
            self._loop.call_at(upload.at, self.people.upload, upload, upload.text)
        for happening in scenario.happenings:
            self._loop.call_at(happening.at, self.people.happen, happening)
        for name in self.people.hosted:
            for window in self.people.windows(name):
                if not window.stop_when_empty:
                    opens = self.since_start(window.start)
                    self._loop.call_at(opens, self.judge.window_opens, name, window.start)
        while self.seconds() < scenario.lasts or not self._is_over():
            self._tick()
            await asyncio.sleep(TICK - self.seconds() % TICK + 0.2)

    async def end(self) -> None:
        """Let every process die, and whatever they left undone end without effect."""
        for process in self.processes():
            process.alive = False
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _turn(self, stormy: bool) -> None:
        self.note("a storm begins" if stormy else "calm")
        self.weather.turn(stormy)
        self.disturbed(0.0)

    def _tick(self) -> None:
        """The two timers: each a singleton, which does not fire while its last invocation still runs."""
        now = self.seconds()
        if any(begins <= now < ends for begins, ends in self.scenario.outages):
            self.disturbed(TICK)
            return
        for timer in ("reconcile", "drain"):
            running = self._timers.get(timer)
            if running is not None and running[0].alive and not running[1].done():
                continue
            host = self.some_host()
            if host is None:
                self.disturbed(TICK)
                return
            process, app = host
            if timer == "reconcile":
                task = process.spawn(timer, app.reconcile())
            else:
                task = process.spawn(timer, app.drain_backlog(slice_seconds(process.now(), _EACH_MINUTE)))
            self._timers[timer] = (process, task)

    def _is_over(self) -> bool:
        """Nothing unfinished that can be finished, nothing hosted, no window to come; or it took too long."""
        if self.seconds() > self.scenario.lasts + LONGEST_TAIL:
            return True
        if self.seconds() < max(self.disturbed_until, self.people.uploaded_at) + QUIET:
            return False
        may_be_answered = self.people.may_be_answered
        return not (
            self.azure.standing()
            or any(may_be_answered(name.partition("/")[0]) for name in self.blobs.names(INBOX))
            or any(each.unfinished and may_be_answered(name) for name, each in self.judge.deployments.items())
            or any(
                self.now() < window.keep_until
                for name in self.people.hosted
                for window in self.people.windows(name)
                if not window.stop_when_empty
            )
        )
