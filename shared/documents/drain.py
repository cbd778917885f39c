"""Answer one deployment's waiting documents within its limits.

The caller holds the deployment's drain lease. Claims, the work lease and If-None-Match results keep every
promise even if that lease is lost: two drainers would only share the deployment's limit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from shared.documents.drain_report import DrainReport
from shared.documents.drain_tools import DrainTools
from shared.documents.slice import Slice
from shared.errors import StorageError
from shared.hosting.leases import WorkLease
from shared.model import DeploymentConfig
from shared.ports import Clock


async def drain(tools: DrainTools, config: DeploymentConfig, endpoint: str, until: float) -> DrainReport:
    """Answer documents until none waits, the deployment closes, or monotonic `until` has passed.

    Requests that run at `until` end first. Raises StorageError if the work lease cannot be written or the
    record cannot be read. See Note: the fence in docs/design.md.
    """
    if await anext(tools.claimable(config.name), None) is None:
        return DrainReport()
    work = WorkLease(tools.clock, tools.timing, tools.tables, tools.ledger, config.hosted_id)
    try:
        if not await work.enter():
            return DrainReport()
        assert work.record is not None
        slice_ = Slice(tools, work.record.sized(config), endpoint, until, work, work.record)
        async with _renewed(tools.clock, work):
            return await slice_.run()
    finally:
        await work.leave()


@contextlib.asynccontextmanager
async def _renewed(clock: Clock, work: WorkLease) -> AsyncIterator[None]:
    async def renew() -> None:
        while True:
            await clock.sleep(work.timing.work_renewal_seconds)
            # If renewals fail, the lease expires, and with it the right to start requests.
            with contextlib.suppress(StorageError):
                await work.enter()

    renewal = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewal.cancel()
        # A renewal in progress must not write the lease again after its release.
        await asyncio.wait([renewal])
