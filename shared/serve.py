"""Serve one deployment's documents: lease → until open → drain → use the paid minute → pass.

An upload and a message of the queue `drain` both call `Serving.serve`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.alerts import event
from shared.documents.drain import drain
from shared.documents.drain_report import DrainReport
from shared.documents.drain_tools import DrainTools
from shared.errors import StorageError
from shared.hosting.answering import note_slice
from shared.hosting.leases import drain_lease, is_worked_on
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
_POLL_SHARE, _LONGEST_POLL_SECONDS = 0.04, 10.0
"""Once a create may be ready, the pause between passes is this share of its age, and this at most."""
SOONEST = 0.02
"""The share of creates that finish before a flow makes passes more often than the timer."""
TO_DELETE = 4.0
"""Seconds from the decision to delete until Azure has accepted it, with some room."""
LONGEST_WAIT = timedelta(minutes=4)
"""If the next step is further away than this, a flow leaves it to the timers."""


class End(StrEnum):
    """Why a flow ended."""

    EMPTY = "no document was left"
    STUCK = "nothing more could be done: the deployment is not open, or a slice finished no document"
    MORE = "it finished documents, and had no time for others"
    HELD = "another worker serves the deployment"


@dataclass(frozen=True)
class Served:
    """The outcome of a flow. `errors`: of its last slice; the documents wait again."""

    end: End
    errors: tuple[Exception, ...] = ()


@dataclass(frozen=True)
class Serving:
    """The flows and their tools. All times called `until` are monotonic seconds."""

    settings: Settings
    context: HostingContext
    tools: DrainTools

    async def drive(self, config: DeploymentConfig, until: float) -> bool:
        """Run an upload's flow: check the status, deploy, poll until ready, answer, delete.

        An upload comes between two ticks, so its flow makes a pass first, even if the record says open.
        Returns whether only the time was too short for some of them. Raises ProviderError, StorageError.
        """
        if config.name in self.tools.drained_here:
            return False
        return (await self.serve(config, until, check_first=True)).end is End.MORE

    async def serve(self, config: DeploymentConfig, until: float, *, check_first: bool) -> Served:
        """Serve the deployment unless another worker does.

        The worker that holds the drain lease looks for documents again *after* it releases the lease. So an
        upload is always seen, either by its own flow or by the worker whose lease kept that flow out.

        Raises ProviderError, StorageError.
        """
        context = self.context
        while True:
            async with drain_lease(context.blobs, context.clock, context.timing, config.hosted_id) as held:
                if not held:
                    return Served(End.HELD)
                served = await self._drained_here(config, until, check_first=check_first)
            if served.end is not End.EMPTY:
                return served
            if not await self.has_unfinished(config):
                await self._pass_soon(config, until)
                return served

    async def _drained_here(self, config: DeploymentConfig, until: float, *, check_first: bool) -> Served:
        """Work under the drain lease. Uploads meanwhile need not ask for it: see `serve`."""
        self.tools.drained_here.add(config.name)
        try:
            return await self._slices(config, until, check_first=check_first)
        finally:
            self.tools.drained_here.discard(config.name)
            self.tools.hosted_here.discard(config.name)

    async def _slices(self, config: DeploymentConfig, until: float, *, check_first: bool) -> Served:
        """Wait until open, drain, use the paid minute; repeat until no document is left."""
        left, errors = End.STUCK, tuple[Exception, ...]()
        while await self.has_unfinished(config):
            if self.context.clock.monotonic() >= until:
                return Served(left, errors)
            if not await self._open(config, until, check_first=check_first):
                return Served(End.STUCK, errors)
            report = await self._drain(config, until)
            errors = report.errors
            if not report.finished:
                # Near its end a slice has no time for what the rate limit admits later.
                failed = report.halted or report.trouble is not None or errors
                return Served(End.STUCK if failed else left, errors)
            left = End.MORE
            await self._use_paid_minute(config, until)
        return Served(End.EMPTY, errors)

    # --- which deployments have work -------------------------------------------------------------

    async def due(self, ahead: timedelta) -> tuple[list[str], dict[str, StorageError]]:
        """Return the deployments that have work and no worker, and those about which that cannot be read.

        They are paid for and have unfinished documents: open, or being created and perhaps ready `ahead`.
        """
        records: dict[str, dict[str, DeploymentRecord]] = {}  # one read serves a whole account
        due, unread = [], {}
        for config in self.settings.deployments.values():
            try:
                if config.account not in records:
                    records[config.account] = await self.context.ledger.records(config.account)
                if await self._is_due(config, records[config.account].get(config.name), ahead):
                    due.append(config.name)
            except StorageError as error:
                unread[config.name] = error
        return due, unread

    async def _is_due(
        self, config: DeploymentConfig, record: DeploymentRecord | None, ahead: timedelta
    ) -> bool:
        if record is None or record.state not in (RecordState.CREATING, RecordState.OPEN):
            return False
        if record.generation.silent_since is not None:
            return False
        if record.state is RecordState.CREATING and not self.may_be_ready(record, ahead):
            return False  # the timer's pass a minute is enough: more passes would cost, and find nothing
        if not await self.has_unfinished(config):
            return False
        return not await is_worked_on(self.context.tables, self.context.timing, config.hosted_id)

    # --- until open -----------------------------------------------------------------------------

    async def _open(self, config: DeploymentConfig, until: float, *, check_first: bool) -> bool:
        """Return whether it is open, now or after a wait."""
        if not check_first and _is_open(await self._record(config)):
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
                next_pass = clock.monotonic() + self._until_next_pass(record)
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

    def _until_next_pass(self, record: DeploymentRecord) -> float:
        """Return seconds: more for a create that takes longer, and more still if it cannot be ready yet."""
        begun = record.generation.intent_at
        if begun is None or not self.may_be_ready(record):
            return SLOW_POLL_SECONDS
        age = (self.context.clock.now() - begun).total_seconds()
        return max(self.context.timing.poll_seconds, min(_POLL_SHARE * age, _LONGEST_POLL_SECONDS))

    def may_be_ready(self, record: DeploymentRecord, ahead: timedelta = timedelta(0)) -> bool:
        """Return whether its create will have taken as long as the quickest creates do, `ahead` from now."""
        soonest = learned(record.history.create_seconds).quantile(SOONEST)
        is_under_way = record.state in (RecordState.CREATING, RecordState.OPEN)
        begun = record.generation.intent_at if is_under_way else None
        return begun is not None and self.context.clock.now() + ahead - begun >= soonest

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
        """Read the record, and note for the intake whether the deployment is hosted."""
        record = await self.context.ledger.record(config.hosted_id)
        if record.state in (RecordState.CREATING, RecordState.OPEN):
            self.tools.hosted_here.add(config.name)
        else:
            self.tools.hosted_here.discard(config.name)
        return record

    async def _pass(self, config: DeploymentConfig) -> PassReport:
        return await pass_over(self.context, self.settings, self.settings.accounts[config.account])


def _is_open(record: DeploymentRecord) -> bool:
    return record.state is RecordState.OPEN and record.generation.silent_since is None
