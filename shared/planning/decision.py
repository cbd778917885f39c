"""The observation of one account, and the decision about one deployment."""

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
    """The step to take for one deployment now, and its reason."""

    deployment: str
    action: Action
    reason: str
    observed: Observed
    wanted: Wanted
    again_at: datetime | None = None  # when a wait ends, if that is known
    failed: bool = False  # a DELETE because it failed or did not answer: the next create waits longer
