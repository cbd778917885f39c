"""A memory limit for the worker, like the limit of an instance in Azure."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from local.host.app import HostError

_LOOK = 0.05  # seconds between two checks; the peak includes the time in between
_STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Return the peak resident memory of this process. Raises HostError if the system does not report it."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError as error:
        raise HostError("a memory limit needs Linux: run without --memory-limit") from error
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


def watch(limit: int, exceeded: Callable[[str], None]) -> None:
    """Call `exceeded` with the amount, from a thread, once the peak memory is above `limit` (bytes)."""
    peak_bytes()

    def look() -> None:
        while (peak := peak_bytes()) <= limit:
            time.sleep(_LOOK)
        exceeded(f"memory={peak // 1_000_000}MB")

    threading.Thread(target=look, name="memory-watch", daemon=True).start()
