"""Wait on the app's own clock, so that a simulation's virtual time applies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from shared.ports import Clock


async def first_done(clock: Clock, tasks: Iterable[asyncio.Task[Any]], seconds: float) -> None:
    """Return when the first of the tasks is done, or after `seconds`; no task is cancelled."""
    alarm = asyncio.create_task(clock.sleep(seconds))
    try:
        await asyncio.wait([*tasks, alarm], return_when=asyncio.FIRST_COMPLETED)
    finally:
        alarm.cancel()
