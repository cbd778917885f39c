"""Writes to Azure: how long one may take, and when a pass writes no more."""

from __future__ import annotations

from shared.errors import ArmConflict
from shared.hosting.observe import View


class ArmBusy(Exception):
    """Azure took no write now, or left its outcome open: no further write in this pass."""


def write_seconds(view: View, deadline: float) -> float:
    """Seconds that a write to Azure may take. Raises ArmConflict (nothing happened, wait) if none may begin.

    Looked at again after the intent was written: that may have taken long, and the lease is not renewed.
    """
    left, longest = deadline - view.context.clock.monotonic(), view.context.timing.arm_seconds
    if left < longest:
        raise ArmConflict("this pass has no time left for a write to Azure; the next one goes on")
    return min(left, longest)
