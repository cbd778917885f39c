"""The app keeps its promises under faults: 60 seeds here, 250 in the slow tests, more in the docs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.run import simulate
from tests.simulation.sabotage import VARIANTS

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| `(\w+)` \|.*\| (\d+) \|$", re.MULTILINE)


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of our modules in a new process."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("seeds", [60, pytest.param(250, marks=pytest.mark.slow)])
def test_no_promise_is_broken(seeds: int) -> None:
    """The benchmark's command runs the seeds, and its JSON says which promises were kept."""
    done = python("bench.faults", "--seeds", str(seeds), "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["broken_seeds"]) == (0, []), done.stderr[-20_000:]
    assert found["runs"] == seeds
    assert found["lost"] == found["cut"] == found["doubled"] == 0
    assert found["leaked_seconds_max"] <= 120
    # A seed must contain enough faults and work.
    assert found["crashes"] > seeds
    assert found["median_seed"]["documents"] >= 24
    assert found["median_seed"]["hours"] >= 1.5


def test_a_seed_replays_exactly() -> None:
    """Another process, with another hash seed, gives the same timeline to the millisecond."""
    once = python("tests.simulation", "7", PYTHONHASHSEED="1")
    again = python("tests.simulation", "7", PYTHONHASHSEED="2")
    assert once.stdout == again.stdout
    assert once.returncode == again.returncode == 0
    assert once.stdout.count("\n") > 50


def seeds_of_the_docs() -> dict[str, int]:
    """Return the table of docs/reliability.md: the seed that detects each missing safeguard."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    return {name: int(seed) for name, seed in _ROW.findall(text)}


def test_every_safeguard_has_its_seed() -> None:
    """The docs name a seed below 2,000 for each safeguard that can be removed."""
    assert set(seeds_of_the_docs()) == set(VARIANTS)
    assert all(seed < 2000 for seed in seeds_of_the_docs().values())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_missing_safeguard_is_detected(variant: str) -> None:
    """The seed in the docs keeps every promise with the safeguard, and breaks one without it.

    If a protocol changes, find the new first seed with `dev.py bench faults --without NAME`.
    """
    seed = seeds_of_the_docs()[variant]
    assert simulate(seed).faults == {}
    missed = simulate(seed, without=variant).faults
    assert missed
    assert "bugs" not in missed, "the sabotage itself is broken"
