"""Check the invariants against the true state: the judge sees every effect and trusts no record."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.emulator.state import Generation
from shared.documents.checkpoints import CHECKPOINTS, key_of
from shared.hosting.ledger import account_key
from shared.model import BillingUnit, ModelRequest, UploadStart
from shared.planning.uploads import PAID_MARGIN
from shared.ports import Insert, Remove, Replace
from shared.timing import TIMING
from tests.simulation.alarms import Alarms
from tests.simulation.need import excuse, needed_until, paid_from
from tests.simulation.record_files import kept_numbers, texts_of
from tests.simulation.unanswered import Unanswered

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

LEAK_LIMIT = 120.0
PASS_LIMIT = 40.5  # seconds of a pass in which a write to Azure may start, and half a second of latency
QUARANTINE = 120.0
WRITES_AN_HOUR = (
    17  # for one deployment that Azure always refuses: one per five minutes, the first ones sooner
)
_SOON = 60.0
_SKEW = TIMING.clock_skew.total_seconds()
_IN_DOUBT = 250.0  # seconds: four minutes, plus the difference of clocks
LOOK_LIMIT = 30.0
START_LIMIT = 240.0
"""Seconds: the app waits three minutes for a create in doubt, and a pass runs every minute."""
_BETWEEN_WRITES = 20.0
_PATIENCE = 300.0
_NOTED = 60.0  # seconds in which an answer is stored and recorded, without faults
_DOUBTED = 240.0  # seconds beyond START_LIMIT for which a deployment that LISTs lack may still exist


@dataclass
class _Flight:
    process: Process
    generation: Generation


@dataclass
class _Lease:
    process: Process
    until: float


@dataclass
class Deployment:
    """The judge's knowledge about one deployment name."""

    needed_at: float = -1.0  # when the last unfinished document was finished
    recorded: dict[str, float] = field(
        default_factory=dict
    )  # row of each unfinished document → when it was recorded
    leases: dict[str, _Lease] = field(default_factory=dict)
    worked_at: float = -1.0  # when the last work lease was released
    closing_at: float = -1.0
    quiet_for: float = 0.0  # seconds without an answer when it was closed
    open_until: float = -1.0  # when the record was open last
    stood_still: dict[Process, float] = field(default_factory=dict)  # process → its total pause by then
    state: str = "absent"
    absent_since: float = -1.0
    writes: list[float] = field(default_factory=list)
    doubts: defaultdict[str, list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )  # side → when it sent a PUT whose outcome is unknown
    intended: list[float] = field(default_factory=list)  # when a create was recorded whose end is unknown

    @property
    def unfinished(self) -> int:
        """Return the number of waiting documents."""
        return len(self.recorded)

    @property
    def oldest(self) -> float:
        """Return when the oldest waiting document was recorded."""
        return next(iter(self.recorded.values()))


class Judge:
    """A collector of faults. Times are virtual seconds since the start."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.faults: Counter[str] = Counter()
        self.violations: list[str] = []
        self.deployments: defaultdict[str, Deployment] = defaultdict(Deployment)
        self.results: Counter[str] = Counter()
        self.leaked_max = 0.0
        self.raw_leaked_max = 0.0
        self.late_cut = 0  # by a DELETE whose effect came after the quarantine: documented
        self._kept: set[str] = set()  # names of answers that are kept, and texts of lines that have one
        self.lone_deaths: Counter[str] = Counter()  # row → deaths of a process that worked on this row alone
        self.deaths: Counter[str] = Counter()  # row → deaths of a process that worked on it
        self.unanswered = Unanswered(world)
        self.alarms = Alarms(world)
        self.created_late: set[int] = set()  # generations whose PUT took effect after the quarantine
        self.deleted_by_us: set[int] = set()  # our generations that our deletes removed
        self._claims: dict[
            str, tuple[Process, str]
        ] = {}  # row → process that works on it, and its deployment
        self._twin_leases: defaultdict[str, dict[str, _Lease]] = defaultdict(dict)
        self._flights: list[_Flight] = []
        self._proved: set[int] = set()

    def fault(self, kind: str, what: str, error: Exception | None = None) -> None:
        """Record that an invariant does not hold."""
        self.faults[kind] += 1
        self.violations.append(f"{self._world.clock_time()}  {kind.upper()}: {what}")
        self._world.note(f"*** {kind.upper()}: {what}", error)

    # --- writes to storage ---------------------------------------------------------------------

    def rows_written(
        self, process: Process, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> None:
        now = self._world.seconds()
        ours = process.side is self._world.ours
        for change in changes:
            if table == "workleases":
                self._lease_row(process, partition, change, now)
            elif table == "documents" and ours:
                self._document_row(process, partition, change, now)
                self._world.receivers.document_written(partition, change)
            elif table == "deployments" and partition != "accounts" and isinstance(change, Insert | Replace):
                if change.key.startswith("~"):
                    continue  # an event
                if ours:
                    self._record_row(partition, change.key, change.values, now)
                    self._world.receivers.record_written(change.key, change.values)
                elif change.values["state"] == "creating" and not change.values["settled"]:
                    self.put_in_doubt(change.key, process.side.name)  # a create whose end is unknown

    def _document_row(
        self, process: Process, deployment: str, change: Insert | Replace | Remove, now: float
    ) -> None:
        known, key = self.deployments[deployment], change.key
        if not key.startswith("w "):
            return
        if isinstance(change, Insert):
            if not known.recorded:
                self.unanswered.begins(deployment, now)
            known.recorded[key] = now
        elif isinstance(change, Remove):
            self.unanswered.settled(deployment, now)
            known.recorded.pop(key, None)
            self._claims.pop(key, None)
            known.needed_at = now
            self._world.note(f"document of {deployment} finished, {known.unfinished} left")
        elif change.values["state"] == "claimed":
            self._claims[key] = process, deployment
        else:
            self._claims.pop(key, None)

    def works_on(self, process: Process, mark: str) -> bool:
        """Return whether the process works on a file with that mark."""
        by_row = self._world.people.by_row
        return any(by is process and mark in by_row[key].text for key, (by, _) in self._claims.items())

    def died(self, process: Process) -> None:
        """Record that a process died, or was paused for longer than its claims last."""
        mine = [key for key, (by, _) in self._claims.items() if by is process]
        for key in mine:
            self.deaths[key] += 1
            self.lone_deaths[key] += len(mine) == 1

    def _lease_row(self, process: Process, partition: str, change: Any, now: float) -> None:
        name = partition.rpartition("|")[2]
        if process.side is not self._world.ours:
            leases = self._twin_leases[name]
        else:
            leases = self.deployments[name].leases
            if isinstance(change, Remove):
                self.deployments[name].worked_at = now
        if isinstance(change, Remove):
            leases.pop(change.key, None)
        else:
            leases[change.key] = _Lease(process, now + float(change.values["seconds"]))

    def _record_row(self, partition: str, name: str, values: Mapping[str, Any], now: float) -> None:
        known, state = self.deployments[name], str(values["state"])
        if state == "creating" and state != known.state and not values["settled"]:
            known.intended.append(now)
        elif known.state == "creating" and state != "creating" and values.get("intent_at") is None:
            known.intended.clear()  # it was refused
        if state == known.state:
            return
        self._world.note(f"record {name}: {known.state} → {state} ({values.get('reason', '')})")
        if known.state == "open":
            known.open_until = now
            known.stood_still = {process: process.stood_still() for process in self._world.processes()}
        if state == "closing" or (state == "deleting" and known.state == "open"):
            known.closing_at = now
            found = self._world.azure.find(name)
            known.quiet_for = self.unanswered.quiet_for(found, now) if found is not None else 0.0
        elif state == "open" and values.get("owned", True):
            found = self._world.azure.find(name)
            if found is not None and id(found) not in self._proved:
                self.fault("unready", f"{name} is open, and no request has proved that it exists")
        if state == "absent":
            known.absent_since = now
        known.state = state

    def blob_created(self, container: str, name: str) -> None:
        if container == "results":
            self.results[name] += 1
            if self.results[name] > 1:
                self.fault("doubled", f"{name} was written twice")
        elif container == CHECKPOINTS:
            self._kept.add(name.rpartition("/")[2])

    def records_kept(self, log: str, data: bytes) -> None:
        """Record that some lines of a file have an outcome. `log`: the name of the file's answers."""
        version = self._world.people.by_row.get(f"w {log.partition('/')[2].partition('.')[0]}")
        if version is not None:
            texts = texts_of(version.text)
            self._kept.update(texts[number] for number in kept_numbers(data))

    # --- requests -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def in_flight(self, process: Process, generation: Generation) -> Iterator[None]:
        flight = _Flight(process, generation)
        self._flights.append(flight)
        try:
            yield
        finally:
            self._flights.remove(flight)

    def sends(self, process: Process, deployment: str, request: ModelRequest) -> None:
        """Check that no request is sent whose answer was kept. A document's next run asks everything anew."""
        if not self._kept or self._world.scenario.requeues:
            return
        if f"{key_of(request)}.json" in self._kept or request.text in self._kept:
            self.fault("repeated", f"{process.name} asks {deployment} again what it has an answer to")

    def asked(self, process: Process, deployment: str) -> None:
        """Check that a request starts only if the record was open: workers read it every few seconds."""
        known = self.deployments[deployment]
        if known.state in ("open", "creating") or process.side is not self._world.ours:
            return
        pauses = process.stood_still() - known.stood_still.get(process, 0.0)
        late = self._world.seconds() - known.open_until - pauses
        if late > LOOK_LIMIT:
            self.fault("trespass", f"{process.name} asks {deployment}, closed for {late:.0f} s")

    def proved(self, generation: Generation) -> None:
        """Record an answer that only an existing deployment gives; a 400 or a 429 is one too."""
        self._proved.add(id(generation))

    def answered(self, generation: Generation, *, is_probe: bool, ours: bool) -> None:
        self.proved(generation)
        if not is_probe:
            self.unanswered.answered(generation, self._world.seconds(), ours=ours)

    def minute(self) -> None:
        """Run the checks of each minute."""
        self.unanswered.look(self._world.seconds())

    # --- writes to Azure ------------------------------------------------------------------------

    def write_begins(self, process: Process, what: str, account: str, deployment: str) -> None:
        now = self._world.seconds()
        if process.side is self._world.ours:
            self.deployments[deployment].writes.append(now)
        began = process.passes.get(account_key(account))
        if began is None or now - began > PASS_LIMIT:
            since = "no pass" if began is None else f"{now - began:.0f} s after its pass began"
            self.fault("overdue", f"{process.name} {what} {deployment}, {since}")

    def created_from_outside(self, deployment: str) -> None:
        """Count writes from zero: a deployment that others created answers, so the refusal has ended."""
        self.deployments[deployment].writes.clear()

    def put_in_doubt(self, deployment: str, by: str) -> None:
        """Record a PUT whose outcome its sender does not know."""
        self.deployments[deployment].doubts[by].append(self._world.seconds())

    def put_refused(self, account: str, deployment: str, code: str, sent_at: float) -> None:
        azure = self._world.azure.accounts[account]
        if self._world.seconds() - self._world.azure.omitted_at < _IN_DOUBT:
            return
        for ago in (0.0, 90.0, self._world.scenario.list_lag + 50.0):
            at = self._world.now() - timedelta(seconds=ago)
            if (
                sum(each.run(at).specification.fine_tuned for each in azure.list(azure.account, at))
                < azure.rules.slots
            ):
                return
        if code == "InsufficientQuota" and self._world.seconds() - sent_at < _SOON:
            self.fault("overbooked", f"{deployment} was requested while all slots were taken")

    def _late_list(self) -> float:
        """Return the seconds after its creation for which another owner's deployment may not be listed."""
        return self._world.scenario.list_lag + 20.0

    def put_took_effect(self, put: Generation, sent_at: float, by: str) -> None:
        owner, created = self._world.azure.owner(put), self._world.since_start(put.created)
        if self._world.azure.effect_is_late:
            self.created_late.add(id(put))
        if owner not in (by, "both"):
            azure = self._world.azure
            if azure.was_omitted(put.name, sent_at - PASS_LIMIT) or sent_at <= created + self._late_list():
                # A LIST lacked it, so the app could not know: from now on it belongs to both.
                azure.created_by("both", put)
            else:
                self.fault("foreign", f"{put.name} of {owner} was overwritten by {by}")
        if owner == by == "ours":
            self._created(put, sent_at)

    def _created(self, put: Generation, sent_at: float) -> None:
        """Check that waiting documents did not wait longer than allowed."""
        world, name, known = self._world, put.name, self.deployments[put.name]
        config = world.people.configured.get(name)
        if config is None or config.uploads is UploadStart.SCHEDULED or not known.recorded:
            return
        if world.scenario.create_may_fail(name) or self._troublesome(known):
            return  # the next attempt may be an hour later
        if known.quiet_for > _PATIENCE:
            return  # it answered nobody before it was closed: the next attempt comes later
        quiet = world.azure.settled_at(put, world.seconds()) + _BETWEEN_WRITES
        doubted = world.azure.vanished_at(name)
        if doubted > 0.0 and known.absent_since > world.disturbed_until:
            doubted = max(doubted, world.disturbed_until)  # no LIST before could show that it is gone
        due = known.oldest + config.start_within.total_seconds()
        due = max(due, world.disturbed_until, quiet, doubted + _DOUBTED, *world.people.hold_ends(name), 0.0)
        if sent_at - due > START_LIMIT:
            self.fault("late", f"{name} is created {sent_at - due:.0f} s after its documents needed it")

    def _troublesome(self, known: Deployment) -> bool:
        """Return whether documents wait for which the app may give up hosting for a while."""
        return any(self._is_troublesome(key) for key in known.recorded)

    def _is_troublesome(self, key: str) -> bool:
        version = self._world.people.by_row.get(key)
        return version is not None and version.troublesome

    def delete_sent(self, deployment: str) -> None:
        """Check that it is not deleted while documents need it that its pass could know of."""
        known, world = self.deployments[deployment], self._world
        found = world.azure.find(deployment)
        if found is None or not found.serving(world.now()) or known.state not in ("deleting", "closing"):
            return
        if known.closing_at < 0 or not self._may_be_needed(found):
            return
        before = known.closing_at - 0.001
        if any(at < before and not self._is_troublesome(key) for key, at in known.recorded.items()):
            self.fault("hasty", f"{deployment} is deleted, though documents waited for it before it closed")

    def _may_be_needed(self, found: Generation) -> bool:
        """Return whether waiting documents are a reason to keep it, by the true state."""
        world, name = self._world, found.name
        config, hold = world.people.configured.get(name), world.people.hold(name)
        if config is None or hold is not None or config.uploads is UploadStart.SCHEDULED:
            return False
        if world.azure.troubled_since(name, world.since_start(found.created)):
            return False
        known = self.deployments[name]
        answered_at = known.closing_at - known.quiet_for
        # A worker may have died, or storage failed, before the answer was recorded.
        recorded_late = known.quiet_for > _NOTED and world.disturbed_until > answered_at
        if known.quiet_for > _PATIENCE or recorded_late:
            return False  # the app gives up hosting without answers in the end
        age = world.seconds() - world.since_start(found.created)
        return age < config.max_session.total_seconds() - 700

    def delete_took_effect(self, found: Generation, sent_at: float, by: str) -> None:
        world, now = self._world, self._world.seconds()
        owner, created = world.azure.owner(found), world.since_start(found.created)
        mistaken = False
        if owner not in (by, "both"):
            # Created without a tag, or shown without it, while a PUT of that name was in doubt: documented.
            known = self.deployments[found.name]
            untagged = owner == "foreign" or world.azure.lost_its_tags(found)
            writes = (*known.doubts[by], *(known.intended if by == "ours" else ()))
            mistaken = untagged and any(at - _SKEW <= created <= at + _IN_DOUBT for at in writes)
            if sent_at > created + self._late_list() and not mistaken:
                self.fault("foreign", f"{found.name} of {owner} was deleted by {by}")
        if owner in ("ours", "twin") and not mistaken:
            self._cuts(found, owner, now, sent_at)
        if owner == "ours":
            self.alarms.over("no effect", found.name)
            if by == "ours" and sent_at > created:
                self.deleted_by_us.add(id(found))
            self._in_the_way(found, now)
            self.leaks(found, now)
            self.unanswered.deleted(found, now)

    def _cuts(self, found: Generation, owner: str, now: float, sent_at: float) -> None:
        """Find requests of its owner, under a live work lease, that its DELETE cuts off."""
        ours = owner == "ours"
        leases = self.deployments[found.name].leases if ours else self._twin_leases[found.name]
        for flight in self._flights:
            leased = any(lease.process is flight.process and lease.until > now for lease in leases.values())
            if flight.generation is found and flight.process.alive and leased:
                if now - sent_at > QUARANTINE:
                    self.late_cut += 1
                else:
                    self.fault("cut", f"a request of {flight.process.name} on {found.name}")

    def _in_the_way(self, found: Generation, now: float) -> None:
        """Check that it did not block a slot that another deployment needed, while nothing needed it."""
        world = self._world
        unneeded = needed_until(world, found.name, now)
        azure = next(each for each in world.azure.accounts.values() if found in each.generations)
        if unneeded is None or len(azure.list(azure.account, world.now())) < world.scenario.slots:
            return
        for name, config in world.people.configured.items():
            known = self.deployments[name]
            starts = config.uploads is UploadStart.ON_DEMAND and not world.scenario.create_may_fail(name)
            waits = starts and known.recorded and known.state == "absent" and not self._troublesome(known)
            # While a twin's deployment has its name, it does not wait for a slot.
            if not waits or world.azure.account_of(name) is not azure or world.azure.find(name) is not None:
                continue
            due = known.oldest + config.start_within.total_seconds()
            due = max(due, unneeded, world.disturbed_until, *world.people.hold_ends(name), 0.0)
            due = max(due, world.azure.settled_at(found, now))
            if now - due > START_LIMIT:
                self.fault("late", f"{name} waited {now - due:.0f} s for the slot of {found.name}")

    # --- leaks ----------------------------------------------------------------------------------

    def leaks(self, found: Generation, now: float) -> None:
        """Measure how long it was up without need, at its DELETE or at the end."""
        world = self._world
        since = needed_until(world, found.name, now)
        if since is None:
            return
        known = self.deployments[found.name]
        leases = [lease.until for lease in known.leases.values()]
        since = max(since, min(now, max(leases, default=0.0)), known.worked_at)
        since = max(since, world.azure.settled_at(found, now))
        raw = now - paid_from(world, found, since)
        leaked = now - paid_from(world, found, max(since, world.disturbed_until))
        self.raw_leaked_max = max(self.raw_leaked_max, raw)
        self.leaked_max = max(self.leaked_max, leaked)
        by_the_hour = world.scenario.billing is BillingUnit.HOUR
        if leaked > (PAID_MARGIN.total_seconds() if by_the_hour else LEAK_LIMIT):
            self.fault("leaked", f"{found.name} was up for {leaked:.0f} s without need")

    # --- windows and the end --------------------------------------------------------------------

    def window_opens(self, name: str, start: datetime) -> None:
        """Check at the start of a window that it is ready, or late for a reason outside the app."""
        world, state = self._world, self.deployments[name].state
        if world.azure.serving(name) is not None and state == "open":
            return
        if (reason := excuse(world, name, start)) is None:
            self.fault("window", f"{name} is not ready at its window's start (record {state})")
        else:
            world.note(f"{name} is not ready at its window's start: {reason}")

    def at_the_end(self) -> None:
        """Check the rate of refused writes, and the deployments of ours that are still up."""
        world, now = self._world, self._world.seconds()
        for name in sorted(world.scenario.refused):
            writes = self.deployments[name].writes
            most = max((sum(at <= other < at + 3600 for other in writes) for at in writes), default=0)
            config = next(each for each in world.scenario.configs if each.name == name)
            # If a smaller capacity is allowed, each attempt requests both.
            if most > WRITES_AN_HOUR * (1 if config.spec.minimum_capacity is None else 2):
                self.fault("hot", f"{most} writes an hour for {name}, which Azure always refuses")
        for found in world.azure.standing():
            self.leaks(found, now)
            self.unanswered.deleted(found, now)
        self.alarms.at_the_end()
