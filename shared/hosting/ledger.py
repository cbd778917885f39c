"""Deployment records, hosting sessions and decisions, as table rows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.hosting import record_row
from shared.model import AccountRecord, Action, DeploymentRecord, Hold, HostedId, HostingSession, Observed
from shared.ports import Insert, Remove, Replace, Row, Tables, Value
from shared.rows import from_row, to_values

DEPLOYMENTS, SESSIONS, DECISIONS, HOLDS = "deployments", "sessions", "decisions", "holds"
_ACCOUNTS = "accounts"  # the partition of DEPLOYMENTS that lists the accounts
_FIRST, _LAST = " ", "~"  # all our keys lie between these
_MANY = 1000
_FEW = 100


@functools.lru_cache(maxsize=1024)
def account_key(resource_id: str) -> str:
    """Return a partition key or blob name for an account. ARM ids ignore case; keys contain no slash."""
    return resource_id.strip("/").lower().replace("/", "|")


@dataclass(frozen=True)
class DecisionRow:
    """A decision in the history of a deployment."""

    at: datetime
    deployment: str
    number: int  # counted for each deployment
    generation: int
    observed: Observed
    wanted: bool
    action: Action
    reason: str


class Ledger:
    """The records of accounts and deployments, with holds, sessions and decisions.

    A save of a record names the version that it replaces, and raises Changed if that version is stale.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._read: dict[tuple[str, str], DeploymentRecord] = {}  # as last read: most have not changed

    async def accounts(self) -> list[AccountRecord]:
        """Return every account that a pass has ever read."""
        page = await self._tables.page(DEPLOYMENTS, _ACCOUNTS, _FIRST, _LAST, _MANY)
        return [from_row(AccountRecord, row) for row in page.rows]

    async def account(self, resource_id: str) -> AccountRecord:
        """Return an account's record, a new one if no pass has read the account."""
        row = await self._tables.get(DEPLOYMENTS, _ACCOUNTS, account_key(resource_id))
        return from_row(AccountRecord, row) if row else AccountRecord(resource_id)

    async def save_account(self, record: AccountRecord) -> AccountRecord:
        """Save an account's record by compare-and-swap."""
        etag = await self._save(_ACCOUNTS, account_key(record.account), to_values(record), record.etag)
        return replace(record, etag=etag)

    async def records(self, resource_id: str) -> dict[str, DeploymentRecord]:
        """Return the records of an account's deployments, by name."""
        partition = account_key(resource_id)
        page = await self._tables.page(DEPLOYMENTS, partition, _FIRST, _LAST, _MANY)
        found = [self._record(partition, row) for row in page.rows]
        return {record.deployment: record for record in found}

    async def record(self, of: HostedId) -> DeploymentRecord:
        """Return one deployment's record, a new one if there is none."""
        partition = account_key(of.placement)
        row = await self._tables.get(DEPLOYMENTS, partition, of.deployment)
        return self._record(partition, row) if row else DeploymentRecord(of.placement, of.deployment)

    def _record(self, partition: str, row: Row) -> DeploymentRecord:
        """Return the record in a row. An ETag names the content, so a known version is not parsed again."""
        found = self._read.get((partition, row.key))
        if found is None or found.etag != row.etag:
            found = self._read[partition, row.key] = record_row.from_row(row)
        return found

    async def save(self, record: DeploymentRecord, events: Sequence[Replace] = ()) -> DeploymentRecord:
        """Save a deployment's record by compare-and-swap, together with rows of the outbox: all or none."""
        values = record_row.to_values(record)
        etag = await self._save(account_key(record.account), record.deployment, values, record.etag, events)
        return replace(record, etag=etag)

    async def _save(
        self,
        partition: str,
        key: str,
        values: dict[str, Value],
        etag: str | None,
        beside: Sequence[Replace] = (),
    ) -> str:
        change = Insert(key, values) if etag is None else Replace(key, values, etag)
        return (await self._tables.write(DEPLOYMENTS, partition, [change, *beside]))[0]

    async def holds(self, resource_id: str, now: datetime) -> dict[str, Hold]:
        """Return the holds of an account that have not expired, by deployment."""
        page = await self._tables.page(HOLDS, account_key(resource_id), _FIRST, _LAST, _MANY)
        found = (from_row(Hold, row) for row in page.rows)
        return {hold.deployment: hold for hold in found if now < hold.until}

    async def save_hold(self, resource_id: str, hold: Hold) -> None:
        """Save a hold, which replaces the deployment's former one. Safe to repeat."""
        change = Replace(hold.deployment, to_values(hold), etag=None)
        await self._tables.write(HOLDS, account_key(resource_id), [change])

    async def release_hold(self, of: HostedId) -> bool:
        """End a hold. Return False if there was none. Raises Changed if it was replaced meanwhile."""
        row = await self._tables.get(HOLDS, account_key(of.placement), of.deployment)
        if row is None:
            return False
        await self._tables.write(HOLDS, account_key(of.placement), [Remove(row.key, row.etag)])
        return True

    async def save_session(self, session: HostingSession) -> None:
        """Save what is known of a session so far. Safe to repeat."""
        change = Replace(_session_key(session.deployment, session.generation), to_values(session), None)
        await self._tables.write(SESSIONS, account_key(session.account), [change])

    async def session(self, record: DeploymentRecord) -> HostingSession | None:
        """Return the session of a record's generation; None before Azure has first shown the deployment."""
        key = _session_key(record.deployment, record.generation.number)
        row = await self._tables.get(SESSIONS, account_key(record.account), key)
        return from_row(HostingSession, row) if row else None

    async def sessions(self, of: HostedId) -> list[HostingSession]:
        """Return a deployment's sessions, oldest first."""
        start, stop = f"{of.deployment} ", f"{of.deployment} ~"
        found: list[HostingSession] = []
        while True:
            page = await self._tables.page(SESSIONS, account_key(of.placement), start, stop, _MANY)
            found += (from_row(HostingSession, row) for row in page.rows)
            if not page.more:
                return found
            start = _after(page.rows[-1])

    async def sessions_since(self, record: DeploymentRecord, since: datetime) -> list[HostingSession]:
        """Return the latest sessions, oldest first. They begin with one that started before `since`, if any.

        The sessions are read backwards from the latest, so a long history costs nothing.
        """
        found: list[HostingSession] = []
        stop = record.generation.number + 1
        while stop > 0 and not (found and found[0].started_at < since):
            start = max(0, stop - _FEW)
            first, last = (_session_key(record.deployment, generation) for generation in (start, stop))
            page = await self._tables.page(SESSIONS, account_key(record.account), first, last, _FEW)
            found = [from_row(HostingSession, row) for row in page.rows] + found
            stop = start
        return found

    async def save_decision(self, resource_id: str, decision: DecisionRow) -> None:
        """Write a decision; rows sort newest first."""
        change = Replace(f"{decision.deployment} {10**9 - decision.number:09d}", to_values(decision), None)
        await self._tables.write(DECISIONS, account_key(resource_id), [change])

    async def decisions(self, of: HostedId, limit: int) -> list[DecisionRow]:
        """Return the latest decisions about a deployment, newest first."""
        start, stop = f"{of.deployment} ", f"{of.deployment} ~"
        page = await self._tables.page(DECISIONS, account_key(of.placement), start, stop, limit)
        return [from_row(DecisionRow, row) for row in page.rows]


def _session_key(deployment: str, generation: int) -> str:
    return f"{deployment} {generation:08d}"


def _after(row: Row) -> str:
    return row.key + " "
