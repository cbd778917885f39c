"""Limit the time of writes to Azure, and stop the writes of a pass."""

from __future__ import annotations

from shared.errors import ProviderBusy
from shared.hosting.observe import View


class NoMoreWrites(Exception):
    """Raised if Azure is busy or the outcome of a write is unknown: this pass sends no more writes."""


def write_seconds(view: View, deadline: float) -> float:
    """Return the seconds that a write to Azure may take.

    Raises ProviderBusy (nothing happened, wait) if no write may start. Callers ask after they have saved the
    intent: saving may take long, and the account lease is not renewed.
    """
    left, longest = deadline - view.context.clock.monotonic(), view.context.timing.arm_seconds
    if left < longest:
        raise ProviderBusy("this pass has no time left for a write to Azure; the next one continues")
    return min(left, longest)
