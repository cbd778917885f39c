"""What a pass would decide now, without its lease and without a write: the plan, for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.hosting.observe import HostingContext, View
from shared.model import Account, Configs, Hosted
from shared.planning.decision import Decision
from shared.planning.plan import plan


@dataclass(frozen=True)
class DryRun:
    """One account as it stands: what Azure lists at that time, and each deployment's decision."""

    at: datetime
    azure: Mapping[str, Hosted]
    decisions: Mapping[str, Decision]


async def dry_run(context: HostingContext, account: Account, configured: Configs) -> DryRun:
    """The records, one LIST, and the plan that follows. Raises ArmError, StorageError."""
    view = View(context, account, configured)
    await view.read(timeout=context.timing.arm_seconds)
    decisions = plan(context.owner, account, view.observation())
    return DryRun(view.now, view.azure, {each.deployment: each for each in decisions})
