"""One run of `bench fleet`: act as the timer until the workers have answered everything."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

from bench._burst_work import stored_results
from bench._fleet_stack import Fleet, Ready, open_all, run_workers, upload
from bench._measured import admissions
from bench._process_usage import Usage, children, usage
from local.azurite import ACCOUNT_KEY, account_name
from local.host.host_json import read_queue_settings
from local.host.storage import send
from local.stack import ROOT, Part, Services, app_settings, run_services
from shared.app import TICK, Lamplighter
from shared.documents.identity import is_final
from shared.model import Document
from shared.settings.bindings import DRAIN_QUEUE
from shared.timing import TIMING
from shared.wiring import App
from tests.integration.calls import call

_POLL = 0.5  # seconds
_LOAD_SECONDS = 60.0  # in which every worker must have handled a first message
_SETTLE_SECONDS = 15.0  # for the last messages, after the last answer
_PATIENCE = 3  # times the time that the limits need, after which a run is given up
_HANDLED = "function=drain_deployment"  # of a log line about a message that was handled
_NOBODY = "no-such-deployment"
_PAGE = 1000

AFTER_A_DEATH = TICK.total_seconds() + TIMING.work_lease_seconds
"""Seconds after a worker's death in which a message for each of its deployments comes again."""


@dataclass
class Seen:
    """What a run has shown. Usages are by process: those of the workers in the order of their numbers."""

    began: datetime
    loaded: list[Usage]
    ended: list[Usage] = field(default_factory=list)
    services: dict[str, float] = field(default_factory=dict)  # seconds of CPU time by service
    killed: int | None = None  # which worker
    killed_at: datetime | None = None
    put: int = 0  # messages
    left: int = 0
    poisoned: int = 0
    results: int = 0
    documents: dict[str, list[Document]] = field(default_factory=dict)  # by deployment
    admissions: dict[str, list[datetime]] = field(default_factory=dict)  # by deployment
    rejected: int = 0
    logs: list[str] = field(default_factory=list)  # of the workers


def at_once(workers: int) -> int:
    """Return how many messages so many workers handle at once, by host.json."""
    settings = read_queue_settings(ROOT)
    return workers * (settings.batch_size + settings.new_batch_threshold)


def run(fleet: Fleet, workers: int, folder: Path, *, kill: bool) -> Seen:
    """Run a fleet on a stack of its own."""
    accounts = list(fleet.accounts.values())
    with run_services(folder, Ready(), accounts=accounts) as services:
        settings = app_settings(services, fleet.write_file(folder))
        return asyncio.run(_run(fleet, services, settings, workers, folder, kill=kill))


async def _run(
    fleet: Fleet, services: Services, settings: dict[str, str], workers: int, folder: Path, *, kill: bool
) -> Seen:
    app = App(settings)
    azurite_uri = services.azurite.queue_uri
    key = AzureNamedKeyCredential(account_name(azurite_uri), ACCOUNT_KEY)
    async with (
        QueueClient(azurite_uri, DRAIN_QUEUE, credential=key) as queue,
        QueueClient(azurite_uri, f"{DRAIN_QUEUE}-poison", credential=key) as poison,
    ):
        try:
            current = await app.current()
            await open_all(current)
            await upload(app, current, fleet)
            pids = {"emulator": services.emulator.process.pid}
            [pids["azurite"]] = children() - set(pids.values())
            with run_workers(settings, workers, folder) as parts:
                bench = _Bench(fleet, services, current, queue, parts)
                await bench.load()
                before = {name: usage(pid).cpu_s for name, pid in pids.items()}
                seen = await bench.drain(kill=kill)
                await bench.settle()
                seen.services = {name: usage(pid).cpu_s - before[name] for name, pid in pids.items()}
                seen.logs = [part.output() for part in parts]
            seen.left, seen.poisoned = await _count(queue), await _count(poison)
            seen.results = len(await stored_results(app))
            seen.documents = {name: await _documents(current, name) for name in fleet.names}
            return seen
        finally:
            await app.close()


class _Bench:
    """Acts as the timer, and watches."""

    def __init__(
        self,
        fleet: Fleet,
        services: Services,
        current: Lamplighter,
        queue: QueueClient,
        workers: Sequence[Part],
    ) -> None:
        self._fleet = fleet
        self._services = services
        self._current = current
        self._queue = queue
        self._workers = workers
        self._seen = Seen(datetime.now(UTC), [])

    async def load(self) -> None:
        """Let every worker load the app, by messages for no deployment. Raises SystemExit."""
        until = time.monotonic() + _LOAD_SECONDS
        while not all(_HANDLED in worker.output() for worker in self._workers):
            if time.monotonic() > until:
                raise SystemExit(f"not every worker took a message within {_LOAD_SECONDS:.0f} s")
            for _ in self._workers:
                await self._put(_NOBODY)
            await asyncio.sleep(_POLL)
        await self.settle()
        self._seen.loaded = self._usages()

    async def drain(self, *, kill: bool) -> Seen:
        """Put the messages at each tick until every document is answered, or patience has ended."""
        seen, before = self._seen, self._totals()
        seen.began, seen.put = datetime.now(UTC), 0
        next_tick, until = time.monotonic(), time.monotonic() + self._patience(kill)
        while time.monotonic() < until:
            if time.monotonic() >= next_tick:
                next_tick += TICK.total_seconds()
                await self._tick()
            self._check()
            answered = self._totals()["requests_answered"] - before["requests_answered"]
            if kill and seen.killed is None and answered >= self._fleet.total / 2:
                self._kill_the_busiest()
            if answered >= self._fleet.total and not await self._unfinished():
                break
            await asyncio.sleep(_POLL)
        seen.rejected = self._totals()["rejected"] - before["rejected"]
        seen.admissions = {name: self._admissions(name) for name in self._fleet.names}
        return seen

    async def settle(self) -> None:
        """Wait until no message is left, which never comes soon for those of a killed worker."""
        until = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < until:
            if not await _count(self._queue):
                break
            await asyncio.sleep(_POLL)
        self._seen.ended = self._usages()

    def _patience(self, kill: bool) -> float:
        rounds = -(-self._fleet.deployments // at_once(len(self._workers)))
        seconds = rounds * max(self._fleet.documents / self._fleet.requests * 60, 60.0)
        return _PATIENCE * seconds + (2 * AFTER_A_DEATH if kill else 0.0)

    async def _tick(self) -> None:
        for name in await self._current.due():
            await self._put(name)

    async def _put(self, name: str) -> None:
        await send(self._queue, b64encode(name.encode()).decode())
        self._seen.put += 1

    async def _unfinished(self) -> bool:
        for name in self._fleet.names:
            if await self._current.documents.has_unfinished(name):
                return True
        return False

    def _kill_the_busiest(self) -> None:
        """Kill the worker with the most CPU time: it has documents in progress."""
        used, seen = self._usages(), self._seen
        seen.killed = max(range(len(used)), key=lambda n: used[n].cpu_s - seen.loaded[n].cpu_s)
        seen.ended, seen.killed_at = used, datetime.now(UTC)
        self._workers[seen.killed].process.kill()
        self._workers[seen.killed].process.wait()

    def _usages(self) -> list[Usage]:
        return [
            self._seen.ended[number] if number == self._seen.killed else usage(worker.process.pid)
            for number, worker in enumerate(self._workers)
        ]

    def _check(self) -> None:
        """Raise StackError if a part has ended by itself."""
        self._services.emulator.check()
        for number, worker in enumerate(self._workers):
            if number != self._seen.killed:
                worker.check()

    def _totals(self) -> dict[str, int]:
        totals: dict[str, int] = call(f"{self._services.emulator_url}/emulator/bill").json["totals"]
        return totals

    def _admissions(self, name: str) -> list[datetime]:
        """Return when the emulator admitted requests of this run to a deployment."""
        admitted = admissions(self._services, name)
        times = [datetime.fromisoformat(each["at"]) for each in admitted]
        return [at for at in times if at >= self._seen.began]


async def _count(queue: QueueClient) -> int:
    """Return how many messages a queue has, also those that a worker handles now."""
    try:
        return (await queue.get_queue_properties()).approximate_message_count or 0
    except ResourceNotFoundError:
        return 0


async def _documents(current: Lamplighter, name: str) -> list[Document]:
    found, start = list[Document](), ""
    while True:
        page = await current.documents.listed(name, None, start, _PAGE)
        found += page.documents
        if not page.more:
            return found
        start = f"{page.read_to} "


def unfinished(seen: Seen) -> int:
    """Return how many documents are in no final state."""
    return sum(not is_final(each) for documents in seen.documents.values() for each in documents)
