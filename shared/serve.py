"""Serve one deployment's documents: lease → until open → drain → use the paid minute → pass.

An upload's flow and the backlog's flow both call `Serving.serve`. They differ on purpose only in the
fields of `Flow`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.alerts import Alert, alert, event
from shared.documents.drain import drain
from shared.documents.drain_report import DrainReport
from shared.documents.drain_tools import DrainTools
from shared.documents.waiting import first_done
from shared.errors import StorageError
from shared.hosting.answering import note_slice
from shared.hosting.leases import drain_lease
from shared.hosting.observe import HostingContext
from shared.hosting.passes import pass_over
from shared.hosting.reconcile import Outcome, PassReport
from shared.model import BillingUnit, DeploymentConfig, DeploymentRecord, Mode, RecordState, Settings
from shared.planning.desired import UNITS, billed_from
from shared.planning.estimates import learned
from shared.planning.uploads import paid_until

SLICE_SECONDS = 420.0
"""The longest slice. It and the longest request after its end fit into host.json's functionTimeout."""
SLOW_POLL_SECONDS = 20.0
"""Seconds between passes while a create is refused, or is too young to be ready. The record is read more
often."""
SOONEST = 0.02
"""The share of creates that finish before a flow makes passes more often than the timer."""
TO_DELETE = 4.0
"""Seconds from the decision to delete until Azure has accepted it, with some room."""
LONGEST_WAIT = timedelta(minutes=4)
"""If the next step is further away than this, a flow leaves it to the timers."""

_PAUSE = 60.0  # seconds until a deployment is tried again on which nothing could be done
_BEFORE_TICK = 2.0  # seconds between the end of a slice and the next tick of the timer


@dataclass(frozen=True)
class Flow:
    """The differences between the two flows."""

    check_first: bool
    """Make a pass before each slice, even if the record says open. An upload comes between two ticks, so its
    flow checks Azure's state itself; beside the backlog's flow, the other timer makes a pass a minute."""
    to_the_end: bool
    """Drain slice after slice, until no document is unfinished or a slice finishes none. The backlog's flow
    drains one slice; then its caller looks at all deployments again."""


UPLOAD = Flow(check_first=True, to_the_end=True)
BACKLOG = Flow(check_first=False, to_the_end=False)


@dataclass(frozen=True)
class Serving:
    """The flows and their tools. All times called `until` are monotonic seconds."""

    settings: Settings
    context: HostingContext
    tools: DrainTools

    async def drive(self, config: DeploymentConfig, until: float) -> None:
        """Run an upload's flow: check the status, deploy, poll until ready, answer, delete.

        Raises ProviderError, StorageError.
        """
        if config.name not in self.tools.drained_here:
            await self.serve(config, until, UPLOAD)

    async def drain_backlog(self, until: float) -> list[str]:
        """Run the backlog's flow on every deployment that is open or being created. Returns what failed."""
        return await _Backlog(self, until).run()

    async def serve(self, config: DeploymentConfig, until: float, flow: Flow) -> DrainReport:
        """Serve the deployment unless another worker does. Returns the report of the last slice.

        The worker that holds the drain lease looks for documents again *after* it releases the lease. So an
        upload is always seen, either by its own flow or by the worker whose lease kept that flow out.

        Raises ProviderError, StorageError.
        """
        context = self.context
        while True:
            async with drain_lease(context.blobs, context.clock, context.timing, config.hosted_id) as held:
                report = await self._drained_here(config, until, flow) if held else None
            if report is None:
                return DrainReport()
            if not await self.has_unfinished(config):
                await self._pass_soon(config, until)
                return report
            if not flow.to_the_end:
                return report

    async def _drained_here(self, config: DeploymentConfig, until: float, flow: Flow) -> DrainReport | None:
        """Work under the drain lease. Uploads meanwhile need not ask for it: see `serve`."""
        self.tools.drained_here.add(config.name)
        try:
            return await self._slices(config, until, flow)
        finally:
            self.tools.drained_here.discard(config.name)

    async def _slices(self, config: DeploymentConfig, until: float, flow: Flow) -> DrainReport | None:
        """Work under the drain lease. Returns the last report; None if the rest is left to the timers."""
        if not flow.to_the_end:
            return await self._slice(config, until, flow)
        report: DrainReport | None = DrainReport()
        while report is not None and self.context.clock.monotonic() < until:
            if not await self.has_unfinished(config):
                return report
            report = await self._slice(config, until, flow)
        return None

    async def _slice(self, config: DeploymentConfig, until: float, flow: Flow) -> DrainReport | None:
        """Wait until open, drain, use the paid minute. Returns None if the flow can do no more now."""
        if not await self._open(config, until, flow):
            return None
        report = await self._drain(config, until)
        if flow.to_the_end and not report.finished:
            return None  # the next slice would finish none either
        await self._use_paid_minute(config, until)
        return report

    # --- until open -----------------------------------------------------------------------------

    async def _open(self, config: DeploymentConfig, until: float, flow: Flow) -> bool:
        """Return whether it is open, now or after a wait."""
        if not flow.check_first and _is_open(await self._record(config)):
            return True
        return await self._until_open(config, until)

    async def _until_open(self, config: DeploymentConfig, until: float) -> bool:
        """Make passes until it is open. Returns False if it is not wanted, or will not be open soon."""
        clock, poll_seconds = self.context.clock, self.context.timing.poll_seconds
        next_pass = clock.monotonic()
        while clock.monotonic() < until:
            report = await self._pass(config) if clock.monotonic() >= next_pass else None
            record = await self._record(config)
            if _is_open(record):
                return True
            if report is not None:
                if not self._is_worth_waiting(config, report):
                    return False
                pause = poll_seconds if self.may_be_ready(record) else SLOW_POLL_SECONDS
                next_pass = clock.monotonic() + pause
            # Read the record between our passes too: a timer's pass may open it, and we hold the drain lease.
            await clock.sleep(poll_seconds)
        return False

    def _is_worth_waiting(self, config: DeploymentConfig, report: PassReport) -> bool:
        """Return whether the deployment may be open soon after this pass."""
        decision = report.decisions.get(config.name)
        if report.outcome is Outcome.IDLE or (decision is not None and not decision.wanted.up):
            return False
        again_at = decision.again_at if decision is not None else None
        soon = again_at is None or again_at - self.context.clock.now() <= LONGEST_WAIT
        return config.mode is not Mode.OBSERVE and soon

    def may_be_ready(self, record: DeploymentRecord) -> bool:
        """Return whether its create has taken as long as the quickest creates do."""
        soonest = learned(record.history.create_seconds).quantile(SOONEST)
        is_under_way = record.state in (RecordState.CREATING, RecordState.OPEN)
        begun = record.generation.intent_at if is_under_way else None
        return begun is not None and self.context.clock.now() - begun >= soonest

    # --- drain ----------------------------------------------------------------------------------

    async def _drain(self, config: DeploymentConfig, until: float) -> DrainReport:
        account = await self.context.ledger.account(config.account)
        if account.endpoint is None:
            return DrainReport(halted="the account was never looked at")
        report = await drain(self.tools, config, account.endpoint, until)
        if report.heard or report.trouble:
            await note_slice(
                self.context.ledger,
                config.hosted_id,
                self.context.clock.now(),
                answered=report.heard,
                trouble=report.trouble,
            )
        if report.finished or report.handed_back:
            event(
                "drained",
                deployment=config.name,
                answered=report.answered,
                settled=report.settled,
                handed_back=report.handed_back,
            )
        return report

    # --- use the paid minute, then pass -----------------------------------------------------------

    async def _use_paid_minute(self, config: DeploymentConfig, until: float) -> None:
        """Keep a deployment that is billed by the minute until its paid minute ends.

        Another document may arrive in that time. It ends the wait.
        """
        clock, prices = self.context.clock, self.settings.prices
        since = billed_from(await self._record(config), prices)
        if prices.billing_unit is not BillingUnit.MINUTE or since is None:
            return
        ends = paid_until(since, clock.now(), UNITS[BillingUnit.MINUTE])
        ends -= timedelta(seconds=TO_DELETE)
        while clock.now() < ends and clock.monotonic() < until:
            if await self.has_unfinished(config):
                return
            left = (ends - clock.now()).total_seconds()
            await clock.sleep(min(self.context.timing.poll_seconds, left))

    async def _pass_soon(self, config: DeploymentConfig, until: float) -> None:
        """Make a pass, after any that is under way. It deletes the deployment if nothing needs it."""
        clock, poll_seconds = self.context.clock, self.context.timing.poll_seconds
        while (await self._pass(config)).outcome is Outcome.HELD:
            if clock.monotonic() + poll_seconds > until:
                return
            await clock.sleep(poll_seconds)

    # --- reads and passes ------------------------------------------------------------------------

    async def has_unfinished(self, config: DeploymentConfig) -> bool:
        """Return whether a document of the deployment is unfinished. Raises StorageError."""
        return await self.tools.documents.has_unfinished(config.name)

    async def _record(self, config: DeploymentConfig) -> DeploymentRecord:
        return await self.context.ledger.record(config.hosted_id)

    async def _pass(self, config: DeploymentConfig) -> PassReport:
        return await pass_over(self.context, self.settings, self.settings.accounts[config.account])


class _Backlog:
    """A loop that serves all deployments concurrently until the time is up."""

    def __init__(self, serving: Serving, until: float) -> None:
        self._serving = serving
        self._clock = serving.context.clock
        self._poll_seconds = serving.context.timing.poll_seconds
        self._until = until
        self._running: dict[str, asyncio.Task[DrainReport]] = {}
        self._again_at: dict[str, float] = {}  # deployments on which nothing could be done
        self._problems: list[str] = []

    async def run(self) -> list[str]:
        """Serve until the time is up or nothing is left to do. Returns what failed."""
        try:
            while self._clock.monotonic() < self._until:
                await self._start()
                if not self._running:
                    break
                await first_done(self._clock, self._running.values(), self._poll_seconds)
                for name in [name for name, task in self._running.items() if task.done()]:
                    self._collect(name)
        finally:
            # The function must not end before its requests: the host may scale in then.
            await asyncio.gather(*self._running.values(), return_exceptions=True)
        for name in list(self._running):
            self._collect(name)
        return self._problems

    async def _start(self) -> None:
        records: dict[str, dict[str, DeploymentRecord]] = {}  # one read serves a whole account
        for config in self._serving.settings.deployments.values():
            name, account = config.name, config.account
            if name in self._running or self._clock.monotonic() < self._again_at.get(name, 0.0):
                continue
            try:
                if account not in records:
                    records[account] = await self._serving.context.ledger.records(account)
                if await self._is_due(config, records[account].get(name)):
                    work = self._serving.serve(config, self._until, BACKLOG)
                    self._running[name] = asyncio.create_task(work)
            except StorageError as error:
                self._problems.append(f"{name}: {error}")
                self._pause(name)

    async def _is_due(self, config: DeploymentConfig, record: DeploymentRecord | None) -> bool:
        """Return whether documents wait for a deployment that is paid for: open, or nearly created."""
        if record is None or record.state not in (RecordState.CREATING, RecordState.OPEN):
            return False
        if record.generation.silent_since is not None:
            return False
        if record.state is RecordState.CREATING and not self._serving.may_be_ready(record):
            return False  # the timer's pass a minute is enough: more passes would cost, and find nothing
        return await self._serving.has_unfinished(config)

    def _collect(self, name: str) -> None:
        task = self._running.pop(name)
        error = task.exception()
        report = DrainReport() if error is not None else task.result()
        # An upload's flow raises nothing for these: the host would call it again. This one fails visibly.
        error = next(iter(report.errors), error)
        if error is not None:
            self._problems.append(f"{name}: {type(error).__name__}: {error}")
            alert(Alert.DRAIN_FAILED, "the next slice tries again", deployment=name)
        if error is not None or not report.finished:
            self._pause(name)

    def _pause(self, name: str) -> None:
        self._again_at[name] = self._clock.monotonic() + _PAUSE


def slice_seconds(now: datetime, schedule: str) -> float:
    """Return how long a slice may last that begins now: until shortly before the last tick in SLICE_SECONDS.

    `schedule`: the timer's, as a cron expression of six fields.
    """
    from cronsim import CronSim

    last, latest = now, now + timedelta(seconds=SLICE_SECONDS)
    for tick in CronSim(schedule, now):
        if tick > latest:
            break
        last = tick
    return max(0.0, (last - now).total_seconds() - _BEFORE_TICK) or SLICE_SECONDS


def _is_open(record: DeploymentRecord) -> bool:
    return record.state is RecordState.OPEN and record.generation.silent_since is None
