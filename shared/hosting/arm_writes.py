"""Writes to Azure: how long one may take, and when a pass writes no more."""

from __future__ import annotations

from shared.errors import ArmConflict
from shared.hosting.observe import View

ARM_SECONDS = 15.0
"""The longest that a call to Azure Resource Manager may take, and the least that a write must have left."""


class ArmBusy(Exception):
    """Azure took no write now, or left its outcome open: no further write in this pass."""


def write_seconds(view: View, deadline: float) -> float:
    """Seconds that a write to Azure may take. Raises ArmConflict (nothing happened, wait) if none may begin.

    Looked at again after the intent was written: that may have taken long, and the lease is not renewed.
    """
    left = deadline - view.context.clock.monotonic()
    if left < ARM_SECONDS:
        raise ArmConflict("this pass has no time left for a write to Azure; the next one goes on")
    return min(left, ARM_SECONDS)
