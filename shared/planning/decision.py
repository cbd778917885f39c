"""What a pass sees of one account, and what it decides about one deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.model import Action, Hosted, Observed
from shared.planning.desired import Wanted
from shared.planning.picture import Picture
from shared.timing import TIMING, Timing


@dataclass(frozen=True)
class Observation:
    """One account at an instant: the records, read first, then the LIST that began at `began_at`."""

    began_at: datetime
    azure: Mapping[str, Hosted]
    picture: Picture
    working: Mapping[str, int] = field(default_factory=dict)  # live work leases
    timing: Timing = TIMING


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
