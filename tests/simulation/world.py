"""The world of one seed: shared services, hosts of the app that come and go, people, and the truth."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from local.emulator.options import Account as AzureAccount
from local.emulator.state import NEVER_READY, SUCCEEDED, Deployments, Generation, ProvisioningTime, Rules
from shared.documents.backlog import INBOX, DocumentLedger, identify, is_final
from shared.domain import (
    AzureDeployment,
    Document,
    DocumentState,
    Hold,
    Hosting,
    ModelRequest,
    Settings,
    UploadStart,
)
from shared.errors import ArmError, ArmRefused, StorageError
from shared.flow import Lamplighter, slice_seconds
from shared.hosting.leases import BLOB_LEASE
from shared.hosting.ledger import Ledger
from shared.planning.windows import Interval, intervals
from shared.wiring import assemble
from tests.fakes.azure import body_of
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.tables import MemoryTables
from tests.fakes.world import ACCOUNT, PRICES
from tests.simulation.judge import QUARANTINE, Judge
from tests.simulation.ports import SimAzure, SimBlobs, SimTables
from tests.simulation.process import Process
from tests.simulation.scenario import OTHER_ACCOUNT, START, Happening, Scenario, Upload
from tests.simulation.weather import Weather

TICK = 60.0
LONGEST_PAUSE = 12 * 60.0
"""Between two deletes that Azure refuses, and a tick."""
LONGEST_TAIL = 3 * 3600.0
"""After the last storm a creation that led nowhere often is tried again only after 72 minutes."""


class AccountState(Deployments):
    """The truth about one account."""

    def __init__(self, account: AzureAccount, rules: Rules, random: Random) -> None:
        super().__init__(rules, random)
        self.account = account


@dataclass(frozen=True)
class Held:
    """A hold as the judge sees it."""

    up: bool
    since: float
    until: float


@dataclass
class Version:
    """One version of a file in the inbox."""

    upload: Upload
    document: Document
    text: str
    fate: str = ""


class World:
    """Everything of one run. Also the true clock."""

    def __init__(self, scenario: Scenario, *, trace: bool) -> None:
        self.scenario = scenario
        self.random = Random(scenario.seed + 1_000_003)
        self.weather = Weather(self.random, scenario.intensity)
        self.judge = Judge(self)
        self.steps = self.crashes = self.lists = 0
        self.disturbed_until = 0.0
        self.reconfigured_at = 0.0
        self.versions: list[Version] = []
        self.timeline: list[str] | None = [] if trace else None
        self._loop = asyncio.get_running_loop()
        self.tables, self.blobs = MemoryTables(self), MemoryBlobs(self)
        self.azure = {
            each.resource_id: AccountState(AzureAccount("s", "g", each.name), self._rules(), self.random)
            for each in (ACCOUNT, OTHER_ACCOUNT)
        }
        self._owners: dict[str, str] = {}
        self._tagless: dict[str, bool] = {}
        self._keeps_tags = False
        self._uploaded_at = 0.0
        self._spells: list[tuple[str, str, float]] = []  # what, whose, until when
        self._held: list[tuple[str, Held]] = []
        self._hosted = {each.name: each for each in scenario.hostings}
        self._hosts: list[tuple[Process, Lamplighter]] = []
        self._timers: dict[str, tuple[Process, asyncio.Task[None]]] = {}
        self._helpers: set[asyncio.Task[Any]] = set()
        for number in range(scenario.hosts):
            self._start_host(f"host{number}")

    def _rules(self) -> Rules:
        takes = ProvisioningTime(self.scenario.provision_median, 3 * self.scenario.provision_median)
        return Rules(takes, 5.0, 10.0, "terminal", 10_000, self.scenario.slots)

    # --- time, fulfils `shared.ports.Clock` -----------------------------------------------------

    def now(self) -> datetime:
        """The true time."""
        return START + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """The true time for leases of blobs."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def seconds(self) -> float:
        """Since the start."""
        return self._loop.time()

    def since_start(self, at: datetime) -> float:
        return (at - START).total_seconds()

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

    def settings(self) -> Settings:
        accounts = {
            each.resource_id: replace(each, fine_tuned_slots=self.scenario.slots)
            for each in (ACCOUNT, OTHER_ACCOUNT)
        }
        return Settings("test", accounts, dict(self._hosted), PRICES, 1_000_000)

    def _start_host(self, name: str) -> None:
        process = Process(self, name, self.random)
        azure = SimAzure(process)
        app = assemble(self.settings(), process, SimTables(process), SimBlobs(process), azure, azure)
        self._hosts.append((process, app))

    def crashed(self, process: Process) -> None:
        """A host is gone; another takes its place. What it held is held until it runs out."""
        self.crashes += 1
        self.disturbed(BLOB_LEASE)
        self._hosts = [each for each in self._hosts if each[0] is not process]
        delay = self.random.uniform(1, 40)
        self._loop.call_later(delay, self._start_host, process.name.partition("'")[0] + f"'{self.crashes}")

    def processes(self) -> list[Process]:
        """Those that live."""
        return [process for process, _ in self._hosts]

    def _some_host(self) -> tuple[Process, Lamplighter] | None:
        return self.random.choice(self._hosts) if self._hosts else None

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)

    async def run(self) -> None:
        """From the start until nothing is left to do, or the longest tail is over."""
        scenario = self.scenario
        for begins, ends in scenario.storms:
            self._at(begins, self._turn, True)
            self._at(ends, self._turn, False)
        for upload in scenario.uploads:
            self._at(upload.at, self._upload, upload, upload.text)
        for happening in scenario.happenings:
            self._at(happening.at, self._happen, happening)
        for name in self._hosted:
            for window in self.windows(name):
                if not window.stop_when_empty:
                    self._at(self.since_start(window.start), self.judge.window_opens, name, window.start)
        while True:
            await self._tick()
            await asyncio.sleep(TICK - self.seconds() % TICK + 0.2)
            if self.seconds() > scenario.lasts and (
                self._is_quiet() or self.seconds() > scenario.lasts + LONGEST_TAIL
            ):
                break
        for version in self.versions:
            await self._judge_version(version)
        self.judge.at_the_end(sorted(scenario.refused))
        self.final_seconds = self.seconds()
        await self._end()

    async def _end(self) -> None:
        """Let every process die, and whatever they left undone end without effect."""
        for process, _ in self._hosts:
            process.alive = False
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _at(self, at: float, act: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_at(at, act, *arguments)

    def _turn(self, stormy: bool) -> None:
        self.note("a storm begins" if stormy else "calm")
        self.weather.turn(stormy)
        self.disturbed(0.0)

    async def _tick(self) -> None:
        now = self.seconds()
        for begins, ends in self.scenario.outages:
            if begins <= now < ends:
                self.disturbed(TICK)
                return
        for timer in ("reconcile", "drain"):
            running = self._timers.get(timer)
            if running is not None and running[0].alive and not running[1].done():
                continue
            host = self._some_host()
            if host is None:
                self.disturbed(TICK)
                return
            process, app = host
            if timer == "reconcile":
                task = process.spawn(timer, app.reconcile())
            else:
                seconds = slice_seconds(process.now(), "0 * * * * *")
                task = process.spawn(timer, app.drain_backlog(seconds))
            self._timers[timer] = (process, task)

    # --- people ---------------------------------------------------------------------------------

    def _upload(self, upload: Upload, text: str) -> None:
        for version in self.versions:
            if version.upload is upload:
                version.fate = version.fate or "overwritten"
        self._uploaded_at = self.seconds()
        self.blobs.upload(INBOX, upload.blob, text.encode())
        item = self.blobs.item(INBOX, upload.blob)
        self.versions.append(Version(upload, identify(item, upload.deployment), text))
        self.note(f"upload {upload.blob}: {text}")
        if upload.then and text == upload.text:
            self._loop.call_later(upload.after, self._change, upload)
        if self.random.random() >= self.scenario.lost_events:
            for _ in range(1 if self.random.random() < 0.9 else 2):
                late = self.random.random() < 0.05
                delay = self.random.uniform(10, 600) if late else self.random.expovariate(1 / 3)
                self._loop.call_later(delay, self._deliver, upload.blob)

    def _deliver(self, name: str) -> None:
        host = self._some_host()
        if host is not None:
            host[0].spawn(f"event {name}", self._five_tries(*host, name))

    async def _five_tries(self, process: Process, app: Lamplighter, name: str) -> None:
        for _ in range(5):
            try:
                return await app.document_uploaded(name)
            except StorageError:
                await process.sleep(2.0)
        return None

    def _change(self, upload: Upload) -> None:
        if upload.then == "overwritten":
            self._upload(upload, f"{upload.text} again")
        elif upload.blob in self.blobs.names(INBOX):
            self.note(f"{upload.blob} is deleted by its owner")
            self.blobs.remove(INBOX, upload.blob)
            for version in self.versions:
                if version.upload is upload:
                    version.fate = version.fate or "deleted"

    def _happen(self, happening: Happening) -> None:
        name, now, hosting = happening.deployment, self.now(), self._hosted.get(happening.deployment)
        if hosting is None:
            return
        self.note(f"{happening.what} {name}")
        azure = self.azure[hosting.account]
        match happening.what:
            case "vanish":
                if (found := self.find(name)) is not None:
                    found.gone = now
                    self.disturbed(0.0)
            case "silent":
                if (found := self.serving(name)) is not None:
                    found.runs[-1] = replace(found.runs[-1], serves=None)
                    self.disturbed(0.0)
            case "locked" | "full" | "strange":
                self._spells.append((happening.what, name, self.seconds() + happening.seconds))
                self.disturbed(happening.seconds + LONGEST_PAUSE)
            case "foreign" | "second":
                self._somebody_creates(azure, hosting, happening)
            case "up" | "down":
                up = happening.what == "up"
                until = now + timedelta(seconds=happening.seconds)
                hold = Hold(name, up, until, "somebody", "a test", now)
                self._spawn(Ledger(self.tables).save_hold(hosting.account, hold))
                held = Held(up, self.seconds(), self.seconds() + happening.seconds)
                self._held.append((name, held))
            case "remove":
                del self._hosted[name]
                self.reconfigured_at = self.seconds()
                self.disturbed(0.0)
                for process, _ in list(self._hosts):
                    process.crash()

    def _somebody_creates(self, azure: AccountState, hosting: Hosting, happening: Happening) -> None:
        name = happening.deployment if happening.what == "foreign" else f"theirs-{happening.deployment}"
        tags = {} if happening.what == "foreign" else {"lamplighter": "another"}
        spec = replace(hosting.spec, name=name, tags=tags)
        if azure.find(azure.account, name, self.now()) is not None:
            return
        try:
            put, _ = azure.put(azure.account, name, body_of(spec), happening.what, self.now())
        except Exception:  # the account is busy or full: they give up
            return
        self.disturbed(0.0)
        self._owners[_key(put)] = happening.what
        self._loop.call_later(happening.seconds, self._somebody_deletes, put)

    def _somebody_deletes(self, found: Generation) -> None:
        if found.gone is None:
            found.gone = self.now()
            self.disturbed(0.0)

    # --- the truth ------------------------------------------------------------------------------

    def _account_of(self, name: str) -> AccountState:
        hosting = next(each for each in self.scenario.hostings if each.name == name)
        return self.azure[hosting.account]

    def find(self, name: str) -> Generation | None:
        azure = self._account_of(name)
        return azure.find(azure.account, name, self.now())

    def serving(self, name: str) -> Generation | None:
        found = self.find(name)
        return found if found is not None and found.serving(self.now()) else None

    def owner(self, found: Generation) -> str:
        return self._owners.get(_key(found), "ours")

    def standing(self) -> list[Generation]:
        """What of ours exists and is not being deleted."""
        return [
            found
            for azure in self.azure.values()
            for found in azure.list(azure.account, self.now())
            if self.owner(found) == "ours" and found.deleted is None
        ]

    def as_listed(self, found: Generation, as_shown: AzureDeployment) -> AzureDeployment:
        """Some deployments do not keep their tags, and some are in states that nobody knows."""
        key = _key(found)
        if key not in self._tagless:
            loses = self.random.random() < self.scenario.tagless and not self._keeps_tags
            self._tagless[key] = loses and self.owner(found) == "ours"
        if self._is_under("strange", found.name):
            as_shown = replace(as_shown, provisioning_state="Strange")
        return replace(as_shown, tags={}) if self._tagless[key] else as_shown

    def outcome(self, name: str) -> str:
        """How a creation that begins now will end."""
        if self.seconds() < self.scenario.lasts and self.random.random() < self.scenario.bad_outcomes:
            self.disturbed(0.0)
            return self.random.choice(("Failed", "Canceled", NEVER_READY))
        return SUCCEEDED

    def refuses(self, what: str, name: str) -> ArmError | None:
        """Azure's refusal for good."""
        if what == "PUT" and (name in self.scenario.refused or self._is_under("full", name)):
            return ArmRefused("no", code="InsufficientQuota")
        if what == "DELETE" and self._is_under("locked", name):
            return ArmRefused("locked", code="ScopeLocked")
        return None

    def _is_under(self, what: str, name: str) -> bool:
        return any(of == name and kind == what and self.seconds() < until for kind, of, until in self._spells)

    def later(self, delay: float, what: str, name: str, act: Callable[[], object]) -> None:
        """A write whose effect comes after its sender gave up."""

        def take_effect() -> None:
            self.note(f"a {what} of {name} from {delay:.0f} s ago takes effect")
            self.disturbed(0.0)
            # Later than the quarantine and without its tag nobody could know it for ours: documented.
            self._keeps_tags = delay > QUARANTINE
            try:
                act()
            except ArmError as error:
                self.note(f"or not: {error}")
            self._keeps_tags = False

        self._loop.call_later(delay, take_effect)

    def answer_seconds(self, request: ModelRequest) -> float:
        return self.random.choice((1.0, 3.0, 3.0, 8.0, 20.0, 100.0))

    def settled_at(self, found: Generation, now: float) -> float:
        """Since when it is in a terminal state and nothing else is under way on its account."""
        azure = self.azure[ACCOUNT.resource_id]
        for each in self.azure.values():
            if found in each.generations:
                azure = each
        ends = [self.since_start(run.settled) for each in azure.generations for run in each.runs]
        ends += [
            self.since_start(each.gone)
            for each in azure.generations
            if each.gone is not None and each is not found
        ]
        return max((end for end in ends if end <= now), default=0.0)

    # --- what is wanted -------------------------------------------------------------------------

    def hosting(self, name: str) -> Hosting | None:
        return self._hosted.get(name)

    def hold(self, name: str) -> Held | None:
        now = self.seconds()
        return next(
            (held for of, held in reversed(self._held) if of == name and held.since <= now < held.until), None
        )

    def hold_ends(self, name: str) -> list[float]:
        return [held.until for of, held in self._held if of == name]

    def windows(self, name: str) -> list[Interval]:
        hosting = self._hosted[name]
        return intervals(hosting.windows, START, START + timedelta(hours=8))

    def may_be_needed(self, name: str) -> bool:
        """Whether waiting documents are reason enough to keep it, as far as the truth goes."""
        hosting, hold = self._hosted.get(name), self.hold(name)
        if hosting is None or hold is not None or hosting.uploads is UploadStart.SCHEDULED:
            return False
        found = self.find(name)
        assert found is not None
        age = self.seconds() - self.since_start(found.created)
        return age < hosting.max_session.total_seconds() - 700

    def excuse(self, name: str, start: datetime) -> str | None:
        """Why a window need not be ready at its start."""
        hosting = self._hosted.get(name)
        if hosting is None:
            return "it is no longer configured"
        opens = self.since_start(start - hosting.lead)
        if self.disturbed_until > opens - 2 * TICK:
            return "there was trouble"
        if opens < 0 or name in self.scenario.refused or any(of == name for of, _ in self._held):
            return "it was not to be had"
        azure = self._account_of(name)
        busy, others = 3 * TICK, 0
        for found in azure.generations:
            for run in found.runs:
                busy += max(0.0, self.since_start(run.settled) - max(opens, self.since_start(run.accepted)))
            if found.name == name and found.runs[0].serves is None and not found.exists(start - hosting.lead):
                continue
            if found.name == name and found.runs[0].serves is None:
                return "a creation led nowhere"
            stood = found.gone is None or self.since_start(found.gone) > opens
            others += stood and found.name != name
            busy += TICK if stood else 0.0
        if others >= self.scenario.slots:
            return "all slots were taken"
        return "Azure took long" if busy > hosting.lead.total_seconds() else None

    # --- the end --------------------------------------------------------------------------------

    def _is_quiet(self) -> bool:
        """Nothing unfinished that can be finished, nothing hosted, no window to come."""
        if self.seconds() < max(self.disturbed_until, self._uploaded_at) + 5 * TICK:
            return False
        if (
            self.standing()
            or self.blobs.names(INBOX)
            and any(self._answerable(each) for each in self._in_inbox())
        ):
            return False
        upcoming = (window for name in self._hosted for window in self.windows(name))
        return all(window.keep_until <= self.now() for window in upcoming) and not any(
            known.unfinished and self._name_answerable(name) for name, known in self.judge.deployments.items()
        )

    def _in_inbox(self) -> list[str]:
        return self.blobs.names(INBOX)

    def _answerable(self, blob: str) -> bool:
        return self._name_answerable(blob.partition("/")[0])

    def _name_answerable(self, name: str) -> bool:
        hosting = self._hosted.get(name)
        if hosting is None or name in self.scenario.refused:
            return False
        return hosting.uploads is UploadStart.ON_DEMAND or any(
            self.now() < window.end for window in self.windows(name)
        )

    async def _judge_version(self, version: Version) -> None:
        """One version of a file: its document's end, its one result, and where its source is."""
        name = version.upload.deployment
        if name not in self._hosted:
            return
        found = await DocumentLedger(self.tables).get(version.document.id)
        what = f"{version.upload.blob} ({version.text})"
        if found is None:
            # Overwritten or deleted before anybody saw it: there was nothing to lose.
            if not version.fate:
                self.judge.fault("lost", f"{what} is not in the ledger")
            return
        if not is_final(found):
            if self._answerable(version.upload.blob) and not self._may_wait(name):
                self.judge.fault("lost", f"{what} is still {found.state}: {found.reason}")
            return
        stored = [key for key in self.judge.results if found.id.partition("~")[2] in key]
        match found.state:
            case DocumentState.DONE:
                ends_well = len(stored) == 1 and found.result == stored[0] and "[[" not in version.text
                if ends_well:
                    body = (await self.blobs.read("results", stored[0])).decode()
                    ends_well = f'"answer to {version.text}"' in body
            case DocumentState.FAILED:
                capped = found.attempts >= 4 or found.crashes > 5
                ends_well = "[[" in version.text or capped
            case DocumentState.SUPERSEDED:
                ends_well = version.fate == "overwritten"
            case _:
                ends_well = version.fate in ("deleted", "overwritten")
        if not ends_well:
            self.judge.fault("lost", f"{what} ended {found.state}: {found.reason}; results {stored}")

    def _may_wait(self, name: str) -> bool:
        return self._hosted[name].uploads is UploadStart.SCHEDULED


def _key(found: Generation) -> str:
    return f"{found.account.name}/{found.number}"


def states(world: World) -> Mapping[str, int]:
    """How many documents there were, by the judge's count."""
    return {"documents": len(world.versions)}
