"""The memory of the worker, held against a limit as the platform holds an instance's."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from local.host.app import HostError

_LOOK = 0.05  # seconds; what was reached between two looks is not missed
_STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """The most memory that this process has had resident so far. Raises HostError where that is not told."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError as error:
        raise HostError("a memory limit needs Linux: run without --memory-limit") from error
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


def watch(limit: int, exceeded: Callable[[str], None]) -> None:
    """Call it from a thread, with how much it was, once the process has had more resident (bytes)."""
    peak_bytes()

    def look() -> None:
        while (peak := peak_bytes()) <= limit:
            time.sleep(_LOOK)
        exceeded(f"memory={peak // 1_000_000}MB")

    threading.Thread(target=look, name="memory-watch", daemon=True).start()
