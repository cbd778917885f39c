"""One deployment's flow: pass, wait, drain, pass. What triggers and commands call.

Nothing here depends on an edge: each method computes what should be from the present, so that a late,
repeated or missed call costs a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.alerts import Alert, alert, event
from shared.documents.backlog import DocumentLedger
from shared.documents.drain import drain
from shared.documents.drain_tools import DrainTools
from shared.documents.intake import SWEEP_SECONDS, Intake
from shared.documents.results import Results
from shared.documents.slice import DrainReport
from shared.documents.waiting import first_done
from shared.errors import ArmError, ArmRefused, LamplighterError, StorageError
from shared.hosting.answering import note_slice
from shared.hosting.dry_run import DryRun, dry_run
from shared.hosting.leases import drain_lease
from shared.hosting.observe import HostingContext
from shared.hosting.reconcile import Outcome, PassReport, reconcile
from shared.model import (
    Account,
    BillingUnit,
    Configs,
    DeploymentConfig,
    DeploymentRecord,
    DocumentState,
    Mode,
    RecordState,
    Settings,
)
from shared.planning.desired import UNITS, billed_from
from shared.planning.estimates import from_text, learned
from shared.planning.uploads import paid_until

SLICE_SECONDS = 420.0
"""The longest slice. With the longest request after its end it stays inside host.json's functionTimeout."""
POLL_SECONDS = 5.0
"""Between passes while a deployment is on its way."""
SLOW_POLL_SECONDS = 20.0
"""The same, as long as hardly any create is done, or Azure takes none; the record is read more often."""

SOONEST = 0.02
"""The share of creates that may be done before anybody looks more often than every minute."""
TO_DELETE = 4.0
"""Seconds from the decision to Azure's acceptance of a delete, with room."""
OUTCOMES = {
    Outcome.DONE: "a pass was made",
    Outcome.HELD: "another pass has the account now",
    Outcome.IDLE: "nothing is wanted, hosted or in doubt",
}
"""How a pass ended, for people."""

LONGEST_WAIT = timedelta(minutes=4)
"""A flow that would have to wait longer than this for its next step leaves it to the timers."""

_PAUSE = 60.0  # seconds until a deployment on which nothing could be done is looked at again
_BEFORE_TICK = 2.0  # a slice ends so long before the timer ticks again


class PartFailed(LamplighterError):
    """Part of the work failed, and is told at the end; the rest was done."""

    def __init__(self, problems: Sequence[str], reports: Sequence[PassReport] = ()) -> None:
        self.problems = tuple(problems)
        self.reports = tuple(reports)  # of the passes that were made
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class Lamplighter:
    """The app, wired."""

    settings: Settings
    context: HostingContext
    documents: DocumentLedger
    results: Results
    intake: Intake
    drain_tools: DrainTools

    async def reconcile(self) -> list[PassReport]:
        """Sweep the inbox, then one pass over every account, each independent of the others.

        Raises PartFailed after all were tried.
        """
        problems: list[str] = []
        try:
            # A listing that hangs must not keep windows from opening and closing.
            async with asyncio.timeout(2 * SWEEP_SECONDS):
                report = await self.intake.sweep()
            problems += [f"sweep: {_told(error)}" for error in report.errors]
        except (LamplighterError, TimeoutError) as error:
            problems.append(f"sweep: {_told(error)}")
        accounts = await self.accounts()
        outcomes = await asyncio.gather(
            *(self.pass_over(account) for account in accounts), return_exceptions=True
        )
        reports = []
        for account, outcome in zip(accounts, outcomes, strict=True):
            if isinstance(outcome, PassReport):
                reports.append(outcome)
                continue
            problems.append(f"{account.name}: {outcome}")
            code = outcome.code if isinstance(outcome, ArmError) else None
            fields = {"account": account.name, "error": type(outcome).__name__, "code": code}
            alert(Alert.PASS_FAILED, str(outcome), **fields)
            if not isinstance(outcome, LamplighterError):
                raise outcome
        if problems:
            raise PartFailed(problems, reports)
        return reports

    async def pass_over(self, account: Account) -> PassReport:
        """One pass over one account."""
        return await reconcile(self.context, account, self._hosted_on(account))

    async def step(self, config: DeploymentConfig) -> str:
        """One pass over the deployment's account, and what it decided about the deployment, for people.

        Raises ArmRefused; what may mend itself is told as the reason.
        """
        try:
            report = await self.pass_over(self.settings.accounts[config.account])
        except ArmRefused:
            raise
        except (ArmError, StorageError) as error:
            return str(error)
        decision = report.decisions.get(config.name)
        if decision is None:
            return OUTCOMES[report.outcome]
        again = f" (again at {decision.again_at:%Y-%m-%d %H:%M:%S})" if decision.again_at else ""
        return f"{decision.action}: {decision.reason}{again}"

    async def dry_run(self, account: Account) -> DryRun:
        """What a pass over the account would decide now. Raises ArmError, StorageError."""
        return await dry_run(self.context, account, self._hosted_on(account))

    def _hosted_on(self, account: Account) -> Configs:
        return {
            name: config
            for name, config in self.settings.deployments.items()
            if config.account.lower() == account.resource_id.lower()
        }

    async def accounts(self) -> list[Account]:
        """Configured ∪ recorded: what was hosted on an account that is no longer configured is deleted."""
        accounts = {key.lower(): account for key, account in self.settings.accounts.items()}
        for known in await self.context.ledger.accounts():
            if known.account.lower() in accounts:
                continue
            records = await self.context.ledger.records(known.account)
            # With nothing left on it, it may itself be gone: it is not asked any more.
            if any(record.state is not RecordState.ABSENT for record in records.values()):
                name = known.account.rsplit("/", 1)[-1]
                accounts[known.account.lower()] = Account(name, known.account, 0)
        return list(accounts.values())

    # --- documents ----------------------------------------------------------------------------

    async def document_uploaded(self, name: str) -> None:
        """Record an upload, then drive its deployment's flow for a slice.

        Raises StorageError when it could not be recorded, and for nothing else: errors of ARM or the model
        are on the document and in alerts, and the timers go on where this stopped.
        """
        document = await self.intake.arrived(name)
        if document is None or document.state is not DocumentState.WAITING:
            return
        config = self.settings.deployments.get(document.deployment)
        if config is None:
            return
        try:
            await self.drive(config, SLICE_SECONDS)
        except LamplighterError as error:
            alert(Alert.DRAIN_FAILED, f"the timers go on with it: {error}", deployment=config.name)

    async def drive(self, config: DeploymentConfig, seconds: float) -> None:
        """The ad hoc flow: check the status, deploy, poll until ready, answer, delete; for so long at most.

        If somebody else drives it, its documents are theirs: they look again *after* letting the lease go,
        so a document recorded before we found the lease held is always seen by one of us.
        """
        until = self.context.clock.monotonic() + seconds
        finished = True
        while finished and (await self.documents.demand(config.name)).unfinished:
            async with drain_lease(
                self.context.blobs, self.context.clock, config.account, config.name
            ) as held:
                if not held:
                    return
                finished = await self._drive_held(config, until)
        if finished:
            await self._pass_soon(self.settings.accounts[config.account], until)

    async def _drive_held(self, config: DeploymentConfig, until: float) -> bool:
        """Whether everything was finished; otherwise the timers go on."""
        while self.context.clock.monotonic() < until:
            if not (await self.documents.demand(config.name)).unfinished:
                return True
            if not await self._until_open(config, until):
                return False
            drained = await self._drain_held(config, until)
            if not drained.answered and not drained.settled:
                return False
            await self._use_paid_minute(config, until)
        return False

    async def _use_paid_minute(self, config: DeploymentConfig, until: float) -> None:
        """Let what is billed by the minute stand until a started one ends: somebody may come."""
        clock, prices = self.context.clock, self.settings.prices
        record = await self.context.ledger.record(config.account, config.name)
        since = billed_from(record, prices)
        if prices.billing_unit is not BillingUnit.MINUTE or since is None:
            return
        ends = paid_until(since, clock.now(), UNITS[BillingUnit.MINUTE])
        ends -= timedelta(seconds=TO_DELETE)
        while clock.now() < ends and clock.monotonic() < until:
            if (await self.documents.demand(config.name)).unfinished:
                return
            await clock.sleep(min(POLL_SECONDS, (ends - clock.now()).total_seconds()))

    async def _until_open(self, config: DeploymentConfig, until: float) -> bool:
        """Make passes until it is open; False where that is not wanted, or not to be had soon."""
        clock, account = self.context.clock, self.settings.accounts[config.account]
        next_pass = clock.monotonic()
        while clock.monotonic() < until:
            report = await self.pass_over(account) if clock.monotonic() >= next_pass else None
            record = await self.context.ledger.record(config.account, config.name)
            if _is_open(record):
                return True
            if report is not None:
                if not self._goes_on(config, report):
                    return False
                pause = POLL_SECONDS if self._may_be_ready(record) else SLOW_POLL_SECONDS
                next_pass = clock.monotonic() + pause
            # A timer's pass may open it meanwhile, and the drainer is who holds on.
            await clock.sleep(POLL_SECONDS)
        return False

    def _goes_on(self, config: DeploymentConfig, report: PassReport) -> bool:
        """Whether a pass left anything to wait for."""
        decision = report.decisions.get(config.name)
        if report.outcome is Outcome.IDLE or (decision is not None and not decision.wanted.up):
            return False
        again_at = decision.again_at if decision is not None else None
        soon = again_at is None or again_at - self.context.clock.now() <= LONGEST_WAIT
        return config.mode is not Mode.OBSERVE and soon

    def _may_be_ready(self, record: DeploymentRecord) -> bool:
        """Whether a create has taken as long as the quickest ones do."""
        soonest = learned(from_text(record.create_seconds)).quantile(SOONEST)
        begun = record.intent_at if record.state in (RecordState.CREATING, RecordState.OPEN) else None
        return begun is not None and self.context.clock.now() - begun >= soonest

    async def _pass_soon(self, account: Account, until: float) -> None:
        """A pass now, or as soon as another that is under way ends: it deletes what nobody needs."""
        while (await self.pass_over(account)).outcome is Outcome.HELD:
            if self.context.clock.monotonic() + POLL_SECONDS > until:
                return
            await self.context.clock.sleep(POLL_SECONDS)

    async def _drain_held(self, config: DeploymentConfig, until: float) -> DrainReport:
        account = await self.context.ledger.account(config.account)
        if account.endpoint is None:
            return DrainReport(halted="the account was never looked at")
        report = await drain(self.drain_tools, config, account.endpoint, until)
        if report.heard or report.trouble:
            await note_slice(
                self.context.ledger,
                config.account,
                config.name,
                self.context.clock.now(),
                answered=report.heard,
                trouble=report.trouble,
            )
        if report.answered or report.settled or report.handed_back:
            event(
                "drained",
                deployment=config.name,
                answered=report.answered,
                settled=report.settled,
                handed_back=report.handed_back,
            )
        return report

    async def drain_backlog(self, seconds: float) -> None:
        """Answer what waits on every ready deployment, each on its own, for so long at most.

        Raises PartFailed after all were tried.
        """
        clock = self.context.clock
        until = clock.monotonic() + seconds
        running: dict[str, asyncio.Task[bool]] = {}
        again_at: dict[str, float] = {}  # held by somebody else, or nothing could be done: a pause
        problems: list[str] = []
        try:
            while clock.monotonic() < until:
                records: dict[str, dict[str, DeploymentRecord]] = {}  # one read serves a whole account
                for config in self.settings.deployments.values():
                    if config.name in running or clock.monotonic() < again_at.get(config.name, 0.0):
                        continue
                    try:
                        if config.account not in records:
                            records[config.account] = await self.context.ledger.records(config.account)
                        if await self._can_drain(config, records[config.account].get(config.name)):
                            running[config.name] = asyncio.create_task(self._drain_one(config, until))
                    except StorageError as error:
                        problems.append(f"{config.name}: {error}")
                        again_at[config.name] = clock.monotonic() + _PAUSE
                if not running:
                    break
                await first_done(clock, running.values(), POLL_SECONDS)
                for name in [name for name, task in running.items() if task.done()]:
                    self._collect(name, running.pop(name), again_at, problems)
        finally:
            # Whatever happens, the function ends after its requests: the host may scale in then.
            await asyncio.gather(*running.values(), return_exceptions=True)
        for name, task in running.items():
            self._collect(name, task, again_at, problems)
        if problems:
            raise PartFailed(problems)

    def _collect(
        self, name: str, task: asyncio.Task[bool], again_at: dict[str, float], problems: list[str]
    ) -> None:
        error = task.exception()
        if error is not None:
            problems.append(f"{name}: {type(error).__name__}: {error}")
            alert(Alert.DRAIN_FAILED, "the next slice tries again", deployment=name)
        if error is not None or not task.result():
            again_at[name] = self.context.clock.monotonic() + _PAUSE

    async def _can_drain(self, config: DeploymentConfig, record: DeploymentRecord | None) -> bool:
        """Whether documents wait, and it is open or on its way: it is paid for, and not to stand idle."""
        if record is None or record.state not in (RecordState.CREATING, RecordState.OPEN):
            return False
        if record.silent_since is not None:
            return False
        if record.state is RecordState.CREATING and not self._may_be_ready(record):
            return False  # a pass a minute is enough: looking more often costs compute, and finds nothing
        return bool((await self.documents.demand(config.name)).unfinished)

    async def _drain_one(self, config: DeploymentConfig, until: float) -> bool:
        """Whether anything could be done. When all is answered, a pass deletes what is not needed."""
        async with drain_lease(self.context.blobs, self.context.clock, config.account, config.name) as held:
            if not held:
                return False
            record = await self.context.ledger.record(config.account, config.name)
            if not _is_open(record) and not await self._until_open(config, until):
                return False
            report = await self._drain_held(config, until)
            await self._use_paid_minute(config, until)
        if not (await self.documents.demand(config.name)).unfinished:
            await self._pass_soon(self.settings.accounts[config.account], until)
        for error in report.errors:
            raise error
        return bool(report.answered or report.settled)


def _is_open(record: DeploymentRecord) -> bool:
    return record.state is RecordState.OPEN and record.silent_since is None


def _told(error: Exception) -> str:
    """Our own messages are made to be shown; of others only the kind, as they may quote what is private."""
    return str(error) if isinstance(error, LamplighterError) else type(error).__name__


def slice_seconds(now: datetime, schedule: str) -> float:
    """How long a slice may last that begins now: to just before the last tick within the longest slice."""
    from cronsim import CronSim

    last, latest = now, now + timedelta(seconds=SLICE_SECONDS)
    for tick in CronSim(schedule, now):
        if tick > latest:
            break
        last = tick
    return max(0.0, (last - now).total_seconds() - _BEFORE_TICK) or SLICE_SECONDS
