"""Kills: a host that dies at random, or by a file, keeps the promises, even if Azure misbehaves."""

import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from local.azurite import Azurite
from tests.integration.hurried_host import HURRIED as TIMING
from tests.integration.kills import Pace, run_kills

pytestmark = pytest.mark.slow

HURRIED = Pace(
    host="tests.integration.hurried_host",
    spell=(2.0, 6.0),
    burst=1.2,
    weather=3.0,
    window=8.0,
    late=min(TIMING.settle, TIMING.quarantine).total_seconds() * 0.7,
    leftovers=TIMING.work_lease_seconds + TIMING.blob_lease_seconds + TIMING.quarantine.total_seconds(),
    patience=120.0,
)


def test_five_kills_lose_cut_and_leak_nothing(tmp_path: Path, azurite: Azurite) -> None:
    """After five kills each document has one result, no request was cut off, and nothing stays hosted."""
    figures = run_kills(tmp_path, azurite, HURRIED, kills=5, seed=secrets.randbelow(10**6))
    assert (figures.kills, figures.cut) == (5, 0)
    assert figures.results == figures.done > 0
    assert figures.kills_while_hosted > 0


def test_a_file_that_kills_the_worker_ends_alone(tmp_path: Path, azurite: Azurite) -> None:
    """It is blamed only for crashes in which it was alone: it fails, and every other document is answered."""
    pace = replace(HURRIED, killers=1, patience=300.0)
    figures = run_kills(tmp_path, azurite, pace, kills=1, seed=secrets.randbelow(10**6))
    assert (figures.killers, figures.cut) == (1, 0)
    assert figures.results == figures.done > 0
    assert figures.killers_deaths >= 3
