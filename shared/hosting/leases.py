"""Account lease, drain lease and work leases: the fence that prevents a delete from cutting off a request.

The fence: before a worker calls the model, it writes a work lease and *then* reads the record. If the record
is not open, it sends no request. It does the same when it renews the lease. Before a pass deletes, it sets
the record to closing and *then* reads the work leases. It sets deleting only if there are none. In any order
of these two writes and two reads, either the worker sees closing or the pass sees the lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

from shared.errors import StorageError
from shared.hosting.ledger import Ledger, account_key
from shared.model import DeploymentRecord, HostedId, RecordState
from shared.ports import Blobs, Clock, Remove, Replace, Tables
from shared.timing import Timing

LEASES = "leases"  # container
WORK_LEASES = "workleases"  # table
_MISSED = 1.5  # times the pause between two renewals, after which one was missed


@contextlib.asynccontextmanager
async def account_lease(blobs: Blobs, timing: Timing, account: str) -> AsyncIterator[bool]:
    """Hold the account for one pass, without renewal. Yield False if another pass holds it."""
    name = f"accounts/{account_key(account)}"
    lease = await blobs.acquire_lease(LEASES, name, timing.blob_lease_seconds)
    if lease is None:
        yield False
        return
    try:
        yield True
    finally:
        await blobs.release_lease(LEASES, name, lease)


@contextlib.asynccontextmanager
async def drain_lease(blobs: Blobs, clock: Clock, timing: Timing, of: HostedId) -> AsyncIterator[bool]:
    """Hold a deployment for one drainer, and renew the lease. Yield False if another drainer holds it.

    If a paused drainer loses the lease, no document is lost and no request is cut off: claims and the fence
    prevent that. Two drainers only share the deployment's limit for a while.
    """
    name = f"drains/{account_key(of.placement)}/{of.deployment}"
    lease = await blobs.acquire_lease(LEASES, name, timing.blob_lease_seconds)
    if lease is None:
        yield False
        return

    async def renew() -> None:
        while True:
            await clock.sleep(timing.blob_renewal_seconds)
            with contextlib.suppress(StorageError):
                await blobs.renew_lease(LEASES, name, lease)

    renewal = asyncio.create_task(renew())
    try:
        yield True
    finally:
        renewal.cancel()
        await asyncio.wait([renewal])
        await blobs.release_lease(LEASES, name, lease)


class WorkLease:
    """One worker's right to call one deployment, for a slice of work."""

    def __init__(self, clock: Clock, timing: Timing, tables: Tables, ledger: Ledger, of: HostedId) -> None:
        self._clock = clock
        self.timing = timing
        self._tables = tables
        self._ledger = ledger
        self._of = of
        self._partition = _work_partition(of)
        self._expires = 0.0  # monotonic, counted from before the write
        self._stopped = False
        self.holder = uuid.uuid4().hex
        self.record: DeploymentRecord | None = None

    async def enter(self) -> bool:
        """Write or renew the lease, then read the record. Return whether requests may start."""
        expires = self._clock.monotonic() + self.timing.work_lease_seconds
        change = Replace(self.holder, {"seconds": self.timing.work_lease_seconds}, etag=None)
        await self._tables.write(WORK_LEASES, self._partition, [change])
        is_open = await self.is_open()
        # Set this last: after a pause, the old record must not allow requests under the new lease.
        self._expires = expires
        return is_open

    async def is_open(self) -> bool:
        """Read the record again. Return whether requests may start."""
        self.record = await self._ledger.record(self._of)
        return self.record.state is RecordState.OPEN

    def allows(self, seconds: float) -> bool:
        """Return whether a request that takes up to `seconds` may start now."""
        record = self.record
        if self._stopped or record is None or record.state is not RecordState.OPEN:
            return False
        deadline = record.generation.delete_after
        if deadline is not None:
            last_end = deadline - self.timing.session_margin
            if self._clock.now() + timedelta(seconds=seconds) > last_end:
                return False
        return self._clock.monotonic() + seconds < self._expires

    def stop(self) -> None:
        """Let no other request start: from now on only renewals read the record, and they are too rare."""
        self._stopped = True

    async def leave(self) -> None:
        """Remove the lease. Call this when no request of this worker is in flight."""
        self.record = None
        row = await self._tables.get(WORK_LEASES, self._partition, self.holder)
        if row is not None:
            await self._tables.write(WORK_LEASES, self._partition, [Remove(self.holder, row.etag)])


def _work_partition(of: HostedId) -> str:
    return f"{account_key(of.placement)}|{of.deployment}"


async def is_worked_on(tables: Tables, timing: Timing, of: HostedId) -> bool:
    """Return whether a worker has written its lease so lately that it most likely lives.

    It saves messages and is no part of the fence, which counts a dead worker until its lease expires.
    """
    page = await tables.page(WORK_LEASES, _work_partition(of), " ", "~", 1000)
    longest = timedelta(seconds=_MISSED * timing.work_renewal_seconds)
    return any(page.server_time - row.written_at <= longest for row in page.rows)


async def live_work(tables: Tables, of: HostedId) -> int:
    """Count the live work leases of a deployment, by the server's own clock."""
    partition = _work_partition(of)
    page = await tables.page(WORK_LEASES, partition, " ", "~", 1000)
    live = 0
    for row in page.rows:
        expired_for = page.server_time - row.written_at - timedelta(seconds=float(row.values["seconds"]))  # type: ignore[arg-type]
        if expired_for <= timedelta(0):
            live += 1
        elif expired_for > timedelta(hours=1):
            with contextlib.suppress(StorageError):
                await tables.write(WORK_LEASES, partition, [Remove(row.key, row.etag)])
    return live
