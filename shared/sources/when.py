"""Decide when a source is looked at: from a window's lead to its end, every few minutes.

What is found becomes documents, and only these count as demand. A look that takes long is repeated later, so
that looking takes a tenth of the source's time at most.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.model import DeploymentConfig, Mode
from shared.schedule.windows import intervals

LOOK_EVERY = timedelta(minutes=5)
LEAD = timedelta(minutes=10)
"""Before a window, if `defaults.lead` does not say how long."""
SHARE = 10
"""A source rests for so many times as long as a look took."""
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)


def is_looked_at(config: DeploymentConfig, now: datetime) -> bool:
    """Return whether a window is open, or opens within the lead. Who only observes takes nothing."""
    if config.mode is Mode.OBSERVE:
        return False
    lead = LEAD if config.lead is None else config.lead
    soon = intervals(config.windows, now, now + lead + timedelta.resolution, config.closures)
    return any(window.start - lead <= now < window.end for window in soon)


def rest(took: timedelta) -> timedelta:
    """Return the time between the end of a look and the next one."""
    return max(LOOK_EVERY, SHARE * took)


def pause(failures: int) -> timedelta:
    """Return the time until the next try after so many failures in a row."""
    doubled: int = 2 ** min(failures - 1, 10)
    return min(_FIRST_PAUSE * doubled, _LONGEST_PAUSE)
