"""Print what a benchmark measured, with the machine and the time."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime


def machine() -> dict[str, object]:
    """Return the kind of machine, its cores, the Python version and the time (UTC)."""
    return {
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def show(measured: Mapping[str, object], *, as_json: bool) -> None:
    """Print one JSON object on standard output, or one line per figure and per entry of a list."""
    if as_json:
        print(json.dumps(measured))
        return
    width = max(map(len, measured))
    for name, value in measured.items():
        for entry in value if value and isinstance(value, list) else [value]:
            print(f"{name:{width}} {entry}")
