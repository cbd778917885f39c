"""The world of one seed: the true time, the services, and the hosts of the app."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from shared.app import Lamplighter
from shared.documents.identity import INBOX
from shared.model import Settings
from shared.timing import TIMING
from shared.wiring import assemble
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.tables import MemoryTables
from tests.fakes.world import ACCOUNT, PRICES
from tests.simulation.azure import Azure
from tests.simulation.judge import Judge
from tests.simulation.loop import running_loop
from tests.simulation.messages import Messages
from tests.simulation.people import People
from tests.simulation.process import Process
from tests.simulation.receivers import Receivers, SimSender
from tests.simulation.scenario import OTHER_ACCOUNT, START, Scenario, Twin, Upload
from tests.simulation.sim_azure import LATEST_EFFECT, SimAzure
from tests.simulation.sim_storage import SimBlobs, SimTables
from tests.simulation.weather import Weather

TICK = 60.0
LONGEST_TAIL = 3 * 3600.0
"""After the last storm, a creation that failed often is tried again only after 72 minutes."""
QUIET = 5 * TICK


@dataclass
class Side:
    """One installation of the app: its storage, hosts and timers. `name`: the owner of what it creates."""

    world: World
    name: str
    storage: str
    tables: MemoryTables
    blobs: MemoryBlobs
    hosts: list[tuple[Process, Lamplighter]] = field(default_factory=list)
    timers: dict[str, tuple[Process, asyncio.Task[None]]] = field(default_factory=dict)
    gone: bool = False

    def __post_init__(self) -> None:
        self.messages = Messages(self)

    def some_host(self) -> tuple[Process, Lamplighter] | None:
        """Return one live host at random, or None."""
        return self.world.random.choice(self.hosts) if self.hosts else None


class World:
    """Everything in one run. It is also a `shared.ports.Clock` with the true time."""

    def __init__(self, scenario: Scenario, *, trace: bool) -> None:
        self._loop = running_loop()
        self._now = (0.0, START)
        self.scenario = scenario
        self.random = Random(scenario.seed + 1_000_003)
        self.weather = Weather(
            self.random,
            scenario.intensity,
            storage_hangs=scenario.storage_hangs,
            omissions=scenario.omissions,
        )
        self.tables, self.blobs = MemoryTables(self), MemoryBlobs(self)
        self.ours = Side(self, "ours", "store-a", self.tables, self.blobs)
        self.sides = [self.ours]
        self.azure, self.people, self.judge = Azure(self), People(self), Judge(self)
        self.receivers = Receivers(self)
        self.steps = self.crashes = 0
        self.disturbed_until = 0.0
        self.timeline: list[str] | None = [] if trace else None
        self._beside: set[asyncio.Task[Any]] = set()
        for number in range(scenario.hosts):
            self._start_host(self.ours, f"host{number}")

    # --- time -----------------------------------------------------------------------------------

    def now(self) -> datetime:
        """Return the true time."""
        seconds = self._loop.seconds
        if seconds != self._now[0]:  # it is read several times per instant
            self._now = (seconds, START + timedelta(seconds=seconds))
        return self._now[1]

    def monotonic(self) -> float:
        """Return virtual seconds since the start."""
        return self._loop.seconds

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        await asyncio.sleep(seconds)

    def seconds(self) -> float:
        """Return virtual seconds since the start."""
        return self._loop.seconds

    def since_start(self, at: datetime) -> float:
        """Convert a time to virtual seconds since the start."""
        return (at - START).total_seconds()

    def call_later(self, delay: float, act: Callable[..., None], *arguments: Any) -> None:
        """Call `act` after `delay` seconds."""
        self._loop.call_later(delay, act, *arguments)

    # --- the timeline ---------------------------------------------------------------------------

    def clock_time(self) -> str:
        return f"{self.now():%H:%M:%S.%f}"[:-3]

    def note(self, what: str, error: Exception | None = None) -> None:
        """Add a line to the timeline."""
        if self.timeline is not None:
            self.timeline.append(f"{self.clock_time()}  {what}")
            if error is not None:
                self.timeline += traceback.format_exception(error)

    def trouble(self, what: str) -> None:
        """Record a fault that the app did not cause."""
        self.note(what)
        self.disturbed(0.0)

    def disturbed(self, seconds: float) -> None:
        """Excuse lateness from now on and for `seconds`."""
        self.disturbed_until = max(self.disturbed_until, self.seconds() + seconds)

    # --- hosts of the app -----------------------------------------------------------------------

    def _start_host(self, side: Side, name: str) -> None:
        if side.gone:
            return
        process = Process(side, name, self.random)
        accounts = {
            each.resource_id: replace(each, fine_tuned_slots=self.scenario.slots)
            for each in (ACCOUNT, OTHER_ACCOUNT)
            if any(each.resource_id == config.account for config in self.scenario.configs)
        }
        prices = replace(PRICES, billing_unit=self.scenario.billing)
        settings = Settings("test", accounts, dict(self.people.configured), prices, 1_000_000)
        azure = SimAzure(process)
        tables, blobs = SimTables(process), SimBlobs(process)
        sender = SimSender(process)
        app = assemble(
            settings, process, tables, blobs, azure, azure, sender=sender, timing=TIMING, **_storage(side)
        )
        side.hosts.append((process, app))

    def crashed(self, process: Process) -> None:
        """Replace a dead host by a new one. Its leases stay until they expire."""
        self.crashes += 1
        self.disturbed(TIMING.blob_lease_seconds)
        side = process.side
        side.hosts = [each for each in side.hosts if each[0] is not process]
        name = f"{process.name.partition('.')[0]}.{self.crashes}"
        self.call_later(self.random.uniform(1, 40), self._start_host, side, name)

    def processes(self) -> list[Process]:
        """Return our live processes."""
        return [process for process, _ in self.ours.hosts]

    def some_host(self) -> tuple[Process, Lamplighter] | None:
        """Return one of our live hosts at random, or None."""
        return self.ours.some_host()

    def _twin_begins(self, twin: Twin) -> None:
        self.note("a twin begins")
        self.disturbed(0.0)
        side = Side(self, "twin", "store-b", MemoryTables(self), MemoryBlobs(self))
        self.sides.append(side)
        self._start_host(side, "twin")
        self._loop.call_at(twin.ends, self._twin_ends, side, twin)
        for upload in twin.uploads:
            self._loop.call_at(upload.at, self._twin_uploads, side, upload)

    def _twin_uploads(self, side: Side, upload: Upload) -> None:
        side.blobs.upload(INBOX, upload.blob, upload.text.encode())
        host = side.some_host()
        if host is not None:
            host[0].spawn(f"event {upload.blob}", side.messages.upload_event(*host, upload.blob))

    def _twin_ends(self, side: Side, twin: Twin) -> None:
        """Stop the twin's hosts, and delete its deployments some time later."""
        self.note("the twin ends")
        side.gone = True
        for process, _ in list(side.hosts):
            process.crash()
        for seconds in (twin.leaves, max(twin.leaves, LATEST_EFFECT)):  # its last PUTs may take effect late
            self.call_later(seconds, self.azure.remove_all_of, side.name)
        self.disturbed(twin.leaves)

    def run_beside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run work that is not part of the app."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    # --- the run --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run from the start until nothing is left to do, or the longest tail is over."""
        scenario = self.scenario
        for begins, ends in scenario.storms:
            self._loop.call_at(begins, self._turn, True)
            self._loop.call_at(ends, self._turn, False)
        for upload in scenario.uploads:
            self._loop.call_at(upload.at, self.people.upload, upload, upload.text)
        for happening in scenario.happenings:
            self._loop.call_at(happening.at, self.people.happen, happening)
        if scenario.twin is not None:
            self._loop.call_at(scenario.twin.begins, self._twin_begins, scenario.twin)
        for name in self.people.configured:
            for window in self.people.windows(name):
                if not window.stop_when_empty:
                    opens = self.since_start(window.start)
                    self._loop.call_at(opens, self.judge.window_opens, name, window.start)
        while self.seconds() < scenario.lasts or not self._is_over():
            self._tick()
            await asyncio.sleep(TICK - self.seconds() % TICK + 0.2)

    async def end(self) -> None:
        """Kill every process, and end its tasks without effect."""
        for side in self.sides:
            for process, _ in side.hosts:
                process.alive = False
        left = [task for task in self._loop.unfinished() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _turn(self, stormy: bool) -> None:
        self.note("a storm begins" if stormy else "calm")
        self.weather.turn(stormy)
        self.disturbed(0.0)

    def _tick(self) -> None:
        """Fire the timers. Each is a singleton: it does not fire while its last invocation runs."""
        now = self.seconds()
        self.judge.minute()
        if any(begins <= now < ends for begins, ends in self.scenario.outages):
            self.disturbed(TICK)
            return
        for side in self.sides:
            self._tick_of(side)

    def _tick_of(self, side: Side) -> None:
        for timer in ("reconcile", "drain", "events") if self.scenario.deaf else ("reconcile", "drain"):
            running = side.timers.get(timer)
            if running is not None and running[0].alive and not running[1].done():
                continue
            host = side.some_host()
            if host is None:
                if not side.gone:
                    self.disturbed(TICK)
                return
            process, app = host
            if timer == "reconcile":
                task = process.spawn(timer, app.reconcile())
            elif timer == "events":
                task = process.spawn(timer, app.deliver_events())
            else:
                task = process.spawn(timer, side.messages.tick(app))
            side.timers[timer] = (process, task)

    def _is_over(self) -> bool:
        """Return whether no work, deployment or window is left, or the run took too long."""
        people, now = self.people, self.seconds()
        if now > self.scenario.lasts + LONGEST_TAIL:
            return True
        if now < max(self.disturbed_until, people.uploaded_at) + QUIET:
            return False
        if self.scenario.deaf and now < self.receivers.busy_until:
            return False
        windows = any(
            self.now() < window.keep_until
            for name in people.configured
            for window in people.windows(name)
            if not window.stop_when_empty
        )
        if windows or any(people.may_be_answered(name) for name in people.waiting()):
            return False
        # Documents that are never answered may cause new deployments forever.
        return not self.azure.standing() or (people.only_hopeless() and now > self.scenario.lasts + 3600)


def _storage(side: Side) -> dict[str, Any]:
    """Return the storage argument, by which the app distinguishes itself from a twin."""
    return {"storage": side.storage} if "storage" in inspect.signature(assemble).parameters else {}
