"""What a pass sees of one account, and what it decides about one deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.model import Action, AzureDeployment, Demand, DeploymentRecord, Hold, Observed
from shared.planning.desired import Outlook, Wanted


@dataclass(frozen=True)
class Observation:
    """One account at an instant: the records, read first, then the LIST that began at `began_at`."""

    began_at: datetime
    azure: Mapping[str, AzureDeployment]
    records: Mapping[str, DeploymentRecord]
    demand: Mapping[str, Demand] = field(default_factory=dict)
    working: Mapping[str, int] = field(default_factory=dict)  # live work leases
    holds: Mapping[str, Hold] = field(default_factory=dict)
    outlooks: Mapping[str, Outlook] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What to do about one deployment now, and why."""

    deployment: str
    action: Action
    reason: str
    observed: Observed
    wanted: Wanted
    again_at: datetime | None = None  # when a wait is known to end
    failed: bool = False  # a DELETE because nobody was answered: the next create waits longer
