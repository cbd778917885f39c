"""Read what other processes have used, from the kernel's files in /proc (Linux)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PARENT, _USER, _SYSTEM = 1, 11, 12  # places in /proc/PID/stat after the name of the program: see proc(5)


@dataclass(frozen=True)
class Usage:
    """What a process has used since it began: seconds of CPU time, and its peak resident memory in MB."""

    cpu_s: float
    peak_rss_mb: int


def is_known() -> bool:
    """Return whether this system has such files."""
    return (_PROC / "self" / "stat").exists()


def usage(pid: int) -> Usage:
    """Return what a running process has used, without its children. Raises OSError if it has ended."""
    figures, ticks = _figures(pid), os.sysconf("SC_CLK_TCK")
    return Usage((int(figures[_USER]) + int(figures[_SYSTEM])) / ticks, peak_memory(pid) or 0)


def peak_memory(pid: int | None = None) -> int | None:
    """Return the peak resident memory in MB of a process (this one); None if the system does not tell.

    The kernel's figure for a process includes its parent's.
    """
    status = _PROC / str(pid or "self") / "status"
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:")), None)


def children() -> set[int]:
    """Return the processes that this one has started and that still run."""
    found = set()
    for folder in _PROC.glob("[0-9]*"):
        try:
            figures = _figures(int(folder.name))
        except OSError:
            continue  # it has just ended
        if int(figures[_PARENT]) == os.getpid():
            found.add(int(folder.name))
    return found


def _figures(pid: int) -> list[str]:
    return (_PROC / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
