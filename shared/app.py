"""Define the façade that triggers and commands call. `wiring` builds it; the loops are in `serve`, `hosting`.

Each method computes the desired state from the present, not from events. So a late, repeated or missed call
costs a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.alerts import Alert, alert
from shared.batches.room import Batches
from shared.documents.backlog import DOCUMENTS, DocumentLedger
from shared.documents.drain_tools import DrainTools
from shared.documents.intake import SWEEP_SECONDS, Intake
from shared.documents.results import Results
from shared.errors import LamplighterError, ProviderError, ProviderRefused, StorageError, shown
from shared.hosting.dry_run import DryRun, dry_run
from shared.hosting.ledger import DEPLOYMENTS, account_key
from shared.hosting.observe import HostingContext
from shared.hosting.passes import known_accounts, pass_over, pass_over_all
from shared.hosting.reconcile import Outcome, PassReport
from shared.model import Account, Configs, DeploymentConfig, DocumentState, Settings
from shared.notify.deliver import Box, Delivery
from shared.notify.outbox import OF_DEPLOYMENTS, OF_DOCUMENTS
from shared.planning.picture import Picture, configured_on
from shared.serve import SLICE_SECONDS, End, Served, Serving
from shared.sources.sync import SourceSync

TICK = timedelta(minutes=1)
"""The time between two ticks of the timers, with the default RECONCILE_SCHEDULE."""
PASSES_WAIT_SECONDS = 10.0
"""For this long passes wait for the sweep, so that they know of what it records, and windows open in time."""
OUTCOMES = {
    Outcome.DONE: "a pass was made",
    Outcome.HELD: "another pass has the account now",
    Outcome.IDLE: (
        "nothing is wanted, hosted or in doubt, by the records; Azure is asked again within 15 minutes"
    ),
}
"""How a pass ended, for people."""


class PartFailed(LamplighterError):
    """Part of the work failed; the rest was done first."""

    def __init__(self, problems: Sequence[str], reports: Sequence[PassReport] = ()) -> None:
        self.problems = tuple(problems)
        self.reports = tuple(reports)  # of the passes that were made
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class Lamplighter:
    """The app with its parts. Arguments called `seconds`: for how long the call may start new work."""

    settings: Settings
    context: HostingContext
    documents: DocumentLedger
    results: Results
    intake: Intake
    drain_tools: DrainTools
    delivery: Delivery
    sources: SourceSync
    batches: Batches

    # --- passes -------------------------------------------------------------------------------

    async def reconcile(self) -> list[PassReport]:
        """Sweep the inbox, then make one pass over every account, each independent of the others.

        The passes do not wait longer than `PASSES_WAIT_SECONDS` for the sweep of a large inbox. Raises
        PartFailed after all were tried.
        """
        sweeping = asyncio.create_task(self._sweep())
        try:
            await asyncio.wait([sweeping], timeout=PASSES_WAIT_SECONDS)
            reports, failed = await pass_over_all(self.context, self.settings)
            problems = await sweeping + failed
        finally:
            sweeping.cancel()
        if problems:
            raise PartFailed(problems, reports)
        return reports

    async def _sweep(self) -> list[str]:
        try:
            # A listing that hangs must not keep the timer from its next tick.
            async with asyncio.timeout(2 * SWEEP_SECONDS):
                report = await self.intake.sweep()
        except (LamplighterError, TimeoutError) as error:
            return [f"sweep: {shown(error)}"]
        return [f"sweep: {shown(error)}" for error in report.errors]

    async def pass_over(self, account: Account) -> PassReport:
        """Make one pass over one account. Raises ProviderError, StorageError."""
        return await pass_over(self.context, self.settings, account)

    async def step(self, config: DeploymentConfig) -> str:
        """Make one pass over the deployment's account. Returns its decision for the deployment, for people.

        Raises ProviderRefused. Returns the text of an error that may pass.
        """
        try:
            report = await self.pass_over(self.settings.accounts[config.account])
        except ProviderRefused:
            raise
        except (ProviderError, StorageError) as error:
            return str(error)
        decision = report.decisions.get(config.name)
        if decision is None:
            return OUTCOMES[report.outcome]
        again = f" (again at {decision.again_at:%Y-%m-%d %H:%M:%S})" if decision.again_at else ""
        return f"{decision.action}: {decision.reason}{again}"

    async def dry_run(self, account: Account) -> DryRun:
        """Return what a pass over the account would decide now. Raises ProviderError, StorageError."""
        return await dry_run(self.context, account, self._configured_on(account.resource_id))

    async def picture(self, account: str, *, demand_of: Iterable[str] | None = None) -> Picture:
        """Return what storage alone knows of an account (its resource id) now. Raises StorageError.

        `demand_of`: whose documents are counted; None: those of all its deployments.
        """
        configured, now = self._configured_on(account), self.context.clock.now()
        return await self.context.picture(account, configured, now, demand_of=demand_of)

    def _configured_on(self, account: str) -> Configs:
        return configured_on(account, self.settings.deployments)

    async def accounts(self) -> list[Account]:
        """Return every account that passes cover: see `known_accounts`. Raises StorageError."""
        return await known_accounts(self.context.ledger, self.settings)

    # --- documents ----------------------------------------------------------------------------

    async def document_uploaded(self, name: str) -> str | None:
        """Record an upload, then drive its deployment's flow for a slice.

        Returns the deployment if only the time was too short for some of its documents. Raises StorageError
        only if the upload could not be recorded. Errors of ARM or the model are in the document's record and
        in alerts, and the timers continue the work.
        """
        now, began = self.context.clock.now(), self.context.clock.monotonic()
        document = await self.intake.arrived(name)
        if document is None:
            return None
        # What is done since then is a ZIP archive, whose files wait now.
        done_at = document.finished_at if document.state is DocumentState.DONE else None
        unpacked = done_at is not None and done_at >= now
        if document.state is not DocumentState.WAITING and not unpacked:
            return None
        config = self.settings.deployments.get(document.deployment)
        if config is None:
            return None
        try:
            took = self.context.clock.monotonic() - began if unpacked else 0.0
            more = await self.drive(config, SLICE_SECONDS - took)
        except LamplighterError as error:
            alert(Alert.DRAIN_FAILED, f"the timers continue with it: {error}", deployment=config.name)
            return None
        return config.name if more else None

    async def drive(self, config: DeploymentConfig, seconds: float) -> bool:
        """Serve a deployment's documents to the end, unless another worker does.

        Returns whether only the time was too short for some of them. Raises ProviderError, StorageError.
        """
        return await self._serving.drive(config, self.context.clock.monotonic() + seconds)

    async def due(self) -> list[str]:
        """Return the deployments that have documents to answer before the next tick, and no worker yet.

        One that cannot be read has an alert, and waits for the next tick.
        """
        due, unread = await self._serving.due(TICK)
        for name, error in unread.items():
            alert(Alert.DRAIN_FAILED, f"the next tick tries again: {error}", deployment=name)
        return due

    async def drain(self, name: str, seconds: float) -> bool:
        """Answer a deployment's documents for one slice, unless another worker does.

        Returns whether only the time was too short for some of them. `name` is from a message, so it may
        be any text. Errors are in alerts: a failed message would be repeated before the next tick.
        """
        config = self.settings.deployments.get(name)
        return config is not None and (await self._drained(config, seconds)).end is End.MORE

    async def drain_backlog(self, seconds: float) -> None:
        """Answer the documents of each deployment that has work, here and independently.

        Raises PartFailed after all were tried.
        """
        due, unread = await self._serving.due(timedelta(0))
        deployments = self.settings.deployments
        served = await asyncio.gather(*(self._drained(deployments[name], seconds) for name in due))
        problems = [f"{name}: {error}" for name, error in unread.items()]
        for name, each in zip(due, served, strict=True):
            problems += [f"{name}: {shown(error)}" for error in each.errors]
        if problems:
            raise PartFailed(problems)

    # --- sources ------------------------------------------------------------------------------

    async def sync_sources(self) -> None:
        """Take what is new in the sources, for 40 s at most, and bring answers to their targets.

        What fails there is in alerts. Raises PartFailed, after all were tried, for the app's own storage.
        """
        if problems := await self.sources.run([*self.settings.deployments.values()]):
            raise PartFailed([f"sources: {problem}" for problem in problems])

    # --- events -------------------------------------------------------------------------------

    async def deliver_events(self) -> None:
        """Send the events that wait, for 45 s at most. Raises PartFailed after all were tried."""
        boxes = [
            Box(*place, receiver)
            for config in self.settings.deployments.values()
            for receiver in config.notify
            for place in self.event_places(config)
        ]
        if problems := await self.delivery.run(boxes):
            raise PartFailed([f"events: {problem}" for problem in problems])

    @staticmethod
    def event_places(config: DeploymentConfig) -> Sequence[tuple[str, str, str]]:
        """Return where a deployment's events wait: table, partition, and kind of keys."""
        return (
            (DOCUMENTS, config.name, OF_DOCUMENTS),
            (DEPLOYMENTS, account_key(config.account), OF_DEPLOYMENTS),
        )

    async def _drained(self, config: DeploymentConfig, seconds: float) -> Served:
        until = self.context.clock.monotonic() + seconds
        try:
            served = await self._serving.serve(config, until, check_first=False)
        except LamplighterError as error:
            served = Served(End.STUCK, (error,))
        for each in served.errors:
            alert(Alert.DRAIN_FAILED, f"the next slice tries again: {shown(each)}", deployment=config.name)
        return served

    @property
    def _serving(self) -> Serving:
        return Serving(self.settings, self.context, self.drain_tools)
