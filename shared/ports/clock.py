"""Time, as the parts that run longer than an instant see it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time for code that runs longer than an instant. Planning never uses it: it takes `now`."""

    def now(self) -> datetime:
        """Return the present time: aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps. Deadlines use it."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...
