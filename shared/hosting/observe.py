"""What one pass knows of its account: the records, what Azure lists, demand and workers.

The view follows every write of the pass, so that the plan can be made again without another LIST.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain import (
    Account,
    AccountRecord,
    AzureDeployment,
    Demand,
    DeploymentRecord,
    Hold,
    Hosting,
    HostingSession,
    Observed,
    Prices,
    RecordState,
)
from shared.errors import StorageError
from shared.hosting.leases import live_work
from shared.hosting.ledger import Ledger
from shared.planning.desired import outlooks
from shared.planning.plan import DEVELOPER_TIER, DEVELOPER_TIER_LIFE, Observation, is_ours, observe
from shared.ports import Arm, Backlog, Blobs, Clock, Model, Tables


@dataclass(frozen=True)
class Control:
    """What the control loop works with: the ports, and what holds for every account."""

    clock: Clock
    tables: Tables
    blobs: Blobs
    arm: Arm
    model: Model
    backlog: Backlog
    ledger: Ledger
    installation: str
    prices: Prices

    async def demand(self, names: Iterable[str]) -> dict[str, Demand]:
        """The unfinished documents of each deployment."""
        names = tuple(names)
        pages = await asyncio.gather(*(self.backlog.demand(name) for name in names))
        return dict(zip(names, pages, strict=True))


class View:
    """One account as one pass sees it."""

    def __init__(self, control: Control, account: Account, hosted: Mapping[str, Hosting]) -> None:
        self.control = control
        self.account = account
        self.hosted = hosted
        self.now: datetime
        self.endpoint: str
        self.problems: list[StorageError] = []  # what went wrong and stopped nothing
        self.azure: dict[str, AzureDeployment] = {}
        self._records: dict[str, DeploymentRecord] = {}
        self._demand: dict[str, Demand] = {}
        self._working: dict[str, int] = {}
        self._holds: dict[str, Hold] = {}
        self._known: AccountRecord

    async def read(self, timeout: float) -> None:
        """The records, then one LIST, then demand and workers. `timeout`: seconds a call to ARM.

        Nothing is written. Raises ArmError, StorageError.
        """
        control, resource_id = self.control, self.account.resource_id
        self._known = await control.ledger.account(resource_id)
        # Records before the LIST: what it shows is then never older than what they say.
        self._records = await control.ledger.records(resource_id)
        self.now = control.clock.now()
        listed = await control.arm.deployments(resource_id, timeout=timeout)
        ours = {name.lower(): name for name in (*self._records, *self.hosted)}
        self.azure = {ours.get(name.lower(), name): each for name, each in listed.items()}
        self._demand = await control.demand(self.hosted)
        self._holds = await control.ledger.holds(resource_id, self.now)
        await asyncio.gather(*(self.count_workers(name) for name in self._records))

    async def look(self, timeout: float) -> None:
        """Read, and keep what was seen. Raises ArmError, StorageError."""
        await self.read(timeout)
        for name in list(self._records):
            await self.note(name, self._known.listed_at)
        self.endpoint = self._known.endpoint or await self.control.arm.endpoint(
            self.account.resource_id, timeout=timeout
        )
        await self._save_account(replace(self._known, endpoint=self.endpoint, listed_at=self.now, busy=""))

    async def note_busy(self, reason: str) -> None:
        """Keep why Azure takes no more writes on the account now, for people; the next look forgets it."""
        await self._save_account(replace(self._known, busy=reason[:500]))

    async def _save_account(self, known: AccountRecord) -> None:
        self._known = await self.control.ledger.save_account(known)

    def observation(self) -> Observation:
        """What the plan is made from."""
        return Observation(
            self.now,
            self.azure,
            self._records,
            self._demand,
            self._working,
            self._holds,
            outlooks(self.hosted, self._records, self.control.prices, self.now),
        )

    def record(self, name: str) -> DeploymentRecord:
        """A deployment's record as it stands."""
        return self._records.get(name) or DeploymentRecord(self.account.resource_id, name)

    def demand(self, name: str) -> Demand:
        """A deployment's unfinished documents, as they were counted."""
        return self._demand.get(name, Demand())

    async def save(self, record: DeploymentRecord) -> None:
        """Compare-and-swap a record. Raises Changed if another pass has overtaken this one."""
        self._records[record.deployment] = await self.control.ledger.save(record)

    async def count_workers(self, name: str) -> None:
        """Read the work leases of a deployment (again)."""
        if self.record(name).state in (RecordState.OPEN, RecordState.CLOSING):
            account = self.account.resource_id
            self._working[name] = await live_work(self.control.tables, account, name)

    async def count_demand(self, name: str) -> None:
        """Read the unfinished documents of a deployment again."""
        if name in self.hosted:
            self._demand[name] = await self.control.backlog.demand(name)

    async def note(self, name: str, listed_before: datetime | None = None) -> None:
        """Keep what Azure says of a deployment of ours: createdAt, limits, when it first said Succeeded,
        and, when it is gone, that the LIST before (`listed_before`) was the last to show it."""
        record, azure = self.record(name), self.azure.get(name)
        if record.state is RecordState.ABSENT:
            return
        if azure is None:
            if record.observed is not Observed.ABSENT and record.seen_at and listed_before:
                await self.save(replace(record, seen_at=max(record.seen_at, listed_before)))
            return
        if not is_ours(azure, record, self.control.installation):
            return
        noted = replace(
            record,
            created_at=record.created_at or azure.created_at,
            sku=azure.sku,
            capacity=azure.capacity,
            tokens_per_minute=azure.tokens_per_minute,
            requests_per_minute=azure.requests_per_minute,
        )
        if azure.sku == DEVELOPER_TIER and azure.created_at is not None:
            last = azure.created_at + DEVELOPER_TIER_LIFE
            noted = replace(noted, delete_after=min(record.delete_after or last, last))
        if observe(azure, record, self.control.installation) is Observed.SUCCEEDED:
            noted = replace(noted, succeeded_at=record.succeeded_at or self.now)
        if noted != record or record.seen_at is None:
            await self.save(replace(noted, seen_at=self.now))
            await self.save_session(name)

    async def save_session(self, name: str, *, gone: bool = False) -> None:
        """Write what is known by now of the generation's session; nothing for somebody else's deployment."""
        record = self.record(name)
        started_at = record.started_at
        if not record.owned or started_at is None or record.seen_at is None:
            return
        deleted = record.deleted_at if record.deleted_at and record.deleted_at > started_at else None
        session = HostingSession(
            account=record.account,
            deployment=name,
            generation=record.generation,
            started_at=started_at,
            ready_at=record.opened_at,
            ended_after=deleted or (record.seen_at if gone else None),
            ended_by=deleted or (self.now if gone else None),
            sku=record.sku,
            capacity=record.capacity,
            price_per_hour=self.control.prices.hosting_per_hour.get(record.sku, 0.0),
        )
        await self.control.ledger.save_session(session)
