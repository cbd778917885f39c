"""What a pass would decide now, without its lease and without a write: the plan, for people to read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain import Account, AzureDeployment, DeploymentRecord, Hosting, RecordState
from shared.hosting.act import ARM_SECONDS
from shared.hosting.leases import live_work
from shared.hosting.observe import Control
from shared.planning.plan import Decision, Observation, plan


@dataclass(frozen=True)
class Preview:
    """One account as it stands: what Azure lists, the records, and each deployment's decision."""

    azure: Mapping[str, AzureDeployment]
    records: Mapping[str, DeploymentRecord]
    decisions: Mapping[str, Decision]


async def preview(control: Control, account: Account, hosted: Mapping[str, Hosting]) -> Preview:
    """The records, one LIST, and the plan that follows. Raises ArmError, StorageError."""
    resource_id = account.resource_id
    records = await control.ledger.records(resource_id)
    now = control.clock.now()
    listed = await control.arm.deployments(resource_id, timeout=ARM_SECONDS)
    known = {name.lower(): name for name in (*records, *hosted)}
    azure = {known.get(name.lower(), name): each for name, each in listed.items()}
    in_use = [
        name for name, record in records.items() if record.state in (RecordState.OPEN, RecordState.CLOSING)
    ]
    working = await asyncio.gather(*(live_work(control.tables, resource_id, name) for name in in_use))
    seen = Observation(
        now,
        azure,
        records,
        await control.demand(hosted),
        dict(zip(in_use, working, strict=True)),
        await control.ledger.holds(resource_id, now),
    )
    decisions = plan(now, control.installation, account, hosted, seen)
    return Preview(azure, records, {each.deployment: each for each in decisions})
