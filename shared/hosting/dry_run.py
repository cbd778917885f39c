"""Show people what a pass would decide now, without taking its lease and without writing."""

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
    """One account at an instant: the deployments that Azure lists, and the decision about each."""

    at: datetime
    azure: Mapping[str, Hosted]
    decisions: Mapping[str, Decision]


async def dry_run(context: HostingContext, account: Account, configured: Configs) -> DryRun:
    """Read the records and one LIST, and return the plan for them. Raises ProviderError, StorageError."""
    view = View(context, account, configured)
    await view.read(timeout=context.timing.arm_seconds)
    decisions = plan(context.owner, account, view.observation())
    return DryRun(view.now, view.azure, {decision.deployment: decision for decision in decisions})
