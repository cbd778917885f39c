"""Observe one account: its records, what Azure lists, demand and workers.

Every write of the pass updates the view, so that the plan can be made again without another LIST.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.alerts import event
from shared.errors import ProviderError, StorageError
from shared.hosting.leases import live_work
from shared.hosting.ledger import Ledger
from shared.model import (
    Account,
    AccountRecord,
    Configs,
    Demand,
    DeploymentRecord,
    Hosted,
    HostingSession,
    Observed,
    Owner,
    Prices,
    RecordState,
)
from shared.notify.outbox import Outbox
from shared.planning.decision import Observation
from shared.planning.generations import next_generation
from shared.planning.observed import (
    is_expected_gone,
    is_of_a_doubted_create,
    is_ours,
    is_past,
    observe,
)
from shared.planning.picture import Picture
from shared.planning.scarcity import why_kept
from shared.ports import Backlog, Blobs, Clock, Provider, Tables
from shared.timing import Timing

CAPACITY_SECONDS = 5.0
"""Time limit of the list of capacities: the pass needs the rest of its time for writes."""


@dataclass(frozen=True)
class HostingContext:
    """The ports of the control loop, and the settings that hold for every account."""

    clock: Clock
    timing: Timing
    tables: Tables
    blobs: Blobs
    provider: Provider
    backlog: Backlog
    ledger: Ledger
    owner: Owner
    prices: Prices
    outbox: Outbox

    async def picture(
        self,
        resource_id: str,
        configured: Configs,
        now: datetime,
        *,
        records: Mapping[str, DeploymentRecord] | None = None,
        demand_of: Iterable[str] | None = None,
    ) -> Picture:
        """Return what is known of one account, from storage alone. Raises StorageError.

        `records`: the records, if they are read already. `demand_of`: the deployments whose documents are
        counted; None: all configured ones.
        """
        if records is None:
            records = await self.ledger.records(resource_id)
        names = tuple(configured if demand_of is None else demand_of)
        pages = await asyncio.gather(*(self.backlog.demand(name) for name in names))
        demand = dict(zip(names, pages, strict=True))
        holds = await self.ledger.holds(resource_id, now)
        return Picture(resource_id, now, configured, self.prices, records, demand, holds)


class View:
    """The state of one account, as one pass sees it."""

    def __init__(self, context: HostingContext, account: Account, configured: Configs) -> None:
        self.context = context
        self.account = account
        self.configured = configured
        self.picture: Picture
        self.now: datetime
        self.endpoint: str
        self.problems: list[StorageError] = []  # errors that did not stop the pass
        self.azure: dict[str, Hosted] = {}
        self._working: dict[str, int] = {}
        self._left: dict[str, float | str] = {}  # capacity left in the region, or why it is unknown
        self._known: AccountRecord

    async def read(self, timeout: float) -> None:
        """Read the records, then one LIST, then demand and workers. Write nothing.

        `timeout`: seconds for each call to ARM. Raises ProviderError, StorageError.
        """
        context, resource_id = self.context, self.account.resource_id
        self._known = await context.ledger.account(resource_id)
        # Read the records before the LIST, so that the LIST is never older than the records.
        records = await context.ledger.records(resource_id)
        self.now = context.clock.now()
        listed = await context.provider.deployments(resource_id, timeout=timeout)
        self.picture = await context.picture(resource_id, self.configured, self.now, records=records)
        ours = {name.lower(): name for name in (*records, *self.configured)}
        self.azure = {}
        for listed_name, hosted in listed.items():
            name = ours.get(listed_name.lower(), listed_name)
            if not is_past(hosted, self.record(name), self.now, context.timing):
                self.azure[name] = hosted
        await asyncio.gather(*(self.count_workers(name) for name in records))
        if any(config.keep_if_scarce for config in self.configured.values()):
            await self._read_capacities()

    async def look(self, timeout: float) -> None:
        """Read the account, and save what was observed. Raises ProviderError, StorageError."""
        await self.read(timeout)
        for name in list(self.picture.records):
            await self.note(name, self._known.listed_at)
        self.endpoint = self._known.endpoint or await self.context.provider.endpoint(
            self.account.resource_id, timeout=timeout
        )
        looked = replace(
            self._known, endpoint=self.endpoint, listed_at=self.now, busy="", problem="", problem_at=None
        )
        await self._save_account(looked)

    async def note_busy(self, reason: str) -> None:
        """Save for people why Azure takes no more writes on the account now. The next look clears it."""
        await self._save_account(replace(self._known, busy=reason[:500]))

    async def note_problem(self, error: ProviderError) -> None:
        """Save for people why the account cannot be read. Until it is read, its deployments are unknown."""
        noted_at = self.context.clock.now()
        await self._save_account(replace(self._known, problem=str(error)[:500], problem_at=noted_at))

    async def refresh_endpoint(self, timeout: float) -> None:
        """Read the account's endpoint again: an account that was deleted and recreated may have another one.

        An error here does not stop the pass; the next failed probe tries again.
        """
        try:
            endpoint = await self.context.provider.endpoint(self.account.resource_id, timeout=timeout)
            if endpoint != self._known.endpoint:
                await self._save_account(replace(self._known, endpoint=endpoint))
        except (ProviderError, StorageError) as error:
            event("endpoint_unknown", account=self.account.name, error=type(error).__name__)

    async def _save_account(self, known: AccountRecord) -> None:
        self._known = await self.context.ledger.save_account(known)

    async def _read_capacities(self) -> None:
        """Read the capacity left only for deployments that the plan would delete if enough is left."""
        picture = self.observation().picture
        names = [name for name in self.configured if picture.wanted(name).scarce]
        await asyncio.gather(*(self._read_capacity(name) for name in names))

    async def _read_capacity(self, name: str) -> None:
        """Read what the region has left for a deployment's model and SKU. An error does not stop the pass."""
        account, spec = self.account.resource_id, self.azure[name].spec
        try:
            left = await self.context.provider.capacity_left(account, spec, timeout=CAPACITY_SECONDS)
        except ProviderError as error:
            self._left[name] = str(error)
        else:
            self._left[name] = left

    def _why_kept(self, name: str) -> str:
        left = self._left.get(name, "it was not asked for yet")
        config, azure = self.configured[name], self.azure.get(name)
        return why_kept(config, self.record(name), azure, left, self.context.prices)

    def observation(self) -> Observation:
        """Return the input of the plan."""
        configs = self.configured.items()
        kept = {name: self._why_kept(name) for name, config in configs if config.keep_if_scarce}
        picture = replace(self.picture, kept=kept) if kept else self.picture
        return Observation(self.now, self.azure, picture, self._working, self.context.timing)

    def record(self, name: str) -> DeploymentRecord:
        """Return a deployment's current record."""
        return self.picture.record(name)

    def demand(self, name: str) -> Demand:
        """Return a deployment's unfinished documents, as they were last counted."""
        return self.picture.demand_of(name)

    async def save(self, record: DeploymentRecord) -> None:
        """Save a record by compare-and-swap. Raises Changed if another pass has overtaken this one."""
        context = self.context
        events = context.outbox.of_record(self.record(record.deployment), record, context.clock.now())
        saved = await context.ledger.save(record, events)
        records = {**self.picture.records, record.deployment: saved}
        self.picture = replace(self.picture, records=records)

    async def count_workers(self, name: str) -> int:
        """Read the work leases of a deployment again, unless its record is absent. Return their number."""
        record = self.record(name)
        if record.state is not RecordState.ABSENT:
            self._working[name] = await live_work(self.context.tables, record.hosted_id)
        return self._working.get(name, 0)

    async def count_demand(self, name: str) -> None:
        """Read the unfinished documents of a deployment again."""
        if name in self.configured:
            counted = await self.context.backlog.demand(name)
            self.picture = replace(self.picture, demand={**self.picture.demand, name: counted})

    async def note(self, name: str, listed_before: datetime | None = None) -> None:
        """Save what Azure shows of a deployment of ours: createdAt, limits, context, when it first succeeded.

        If the LIST lacks it, save since when, and that the LIST at `listed_before` was the last with it.
        """
        record, azure = self.record(name), self.azure.get(name)
        generation = record.generation
        if record.state is RecordState.ABSENT:
            return
        if azure is None or not is_ours(azure, record, self.context.owner, self.context.timing):
            is_used = azure is not None and not generation.owned and azure.created_at == generation.created_at
            if not is_used:
                await self._note_missing(record, listed_before if azure is None else None)
            return
        if is_of_a_doubted_create(azure, record):
            record = next_generation(record, intent_at=azure.created_at, created_at=azure.created_at)
            generation = record.generation
        seen: dict[str, Any] = {
            "missed_since": None,
            "created_at": generation.created_at or azure.created_at,
            "sku": azure.spec.sku,
            "capacity": azure.spec.capacity,
            "tokens_per_minute": azure.tokens_per_minute,
            "requests_per_minute": azure.requests_per_minute,
            "token_renewal": azure.token_renewal,
            "request_renewal": azure.request_renewal,
        }
        if azure.spec.longest_life is not None and azure.created_at is not None:
            last = azure.created_at + azure.spec.longest_life
            seen["delete_after"] = min(generation.delete_after or last, last)
        if observe(azure, record, self.context.owner, self.context.timing) is Observed.SUCCEEDED:
            seen["succeeded_at"] = generation.succeeded_at or self.now
        # A create whose answer was lost has taken effect.
        settled = record.settled or record.state is RecordState.CREATING
        history = record.history.seeing(azure)
        is_known = seen.items() <= vars(generation).items() and generation.seen_at is not None
        if settled != record.settled or history != record.history or not is_known:
            noted = replace(generation, **seen, seen_at=self.now)
            await self.save(replace(record, settled=settled, generation=noted, history=history))
            await self.save_session(name)

    async def _note_missing(self, record: DeploymentRecord, listed_before: datetime | None) -> None:
        generation = record.generation
        if generation.missed_since is not None:
            return
        noted = generation
        if record.decision.observed is not Observed.ABSENT and generation.seen_at and listed_before:
            noted = replace(noted, seen_at=max(generation.seen_at, listed_before))
        if record.settled and not (record.state is RecordState.DELETING and is_expected_gone(record)):
            noted = replace(noted, missed_since=self.now)
        if noted != generation:
            await self.save(replace(record, generation=noted))

    async def save_session(self, name: str, *, gone: bool = False) -> None:
        """Save what is known so far of the generation's session. Skip the deployments of other owners.

        A session ends when a LIST confirms that it is `gone`: Azure accepts deletes that have no effect.
        """
        record = self.record(name)
        generation = record.generation
        started_at = record.started_at
        if not generation.owned or started_at is None or generation.seen_at is None:
            return
        session = HostingSession(
            account=record.account,
            deployment=name,
            generation=generation.number,
            started_at=started_at,
            ready_at=generation.opened_at,
            ended_after=self._ended_after(record) if gone or record.delete_accepted_at else None,
            ended_by=(self._deleted_once(record) or self.now) if gone else None,
            sku=generation.sku,
            capacity=generation.capacity,
            price_per_hour=self.context.prices.hosting_per_hour.get(generation.sku, 0.0),
        )
        await self.context.ledger.save_session(session)

    def _ended_after(self, record: DeploymentRecord) -> datetime | None:
        """Return the time of the first delete that may have had an effect, or else when it was last seen."""
        unanswered = record.state is RecordState.DELETING and not record.settled
        sent_at = record.changed_at if unanswered else None
        deletes = (record.generation.uncertain_at, record.delete_accepted_at, sent_at)
        return min((at for at in deletes if at is not None), default=record.generation.seen_at)

    def _deleted_once(self, record: DeploymentRecord) -> datetime | None:
        """Return when Azure accepted the only delete; None if there is none, or another one.

        If an accepted delete had no effect, a later one may have had none either, or another cause ended it.
        """
        accepted_at, changed_at = record.delete_accepted_at, record.changed_at
        if accepted_at is None or changed_at is None or not record.settled:
            return None
        again = record.generation.deleted_again_at is not None or changed_at > accepted_at
        return None if again else accepted_at
