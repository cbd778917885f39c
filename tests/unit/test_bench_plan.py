"""The benchmark of planning decides about every deployment, in each of its minutes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_deployment_is_planned() -> None:
    """It asserts the count of decisions itself; the figures are for people."""
    command = [sys.executable, "-m", "bench.plan", "--deployments", "9", "--minutes", "30", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    assert (measured["deployments"], measured["plans"]) == (9, 30)
    assert {"first_ms", "median_ms", "p95_ms", "max_ms", "machine", "at"} <= measured.keys()
