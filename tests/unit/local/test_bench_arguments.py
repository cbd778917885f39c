"""Numbers without sense on the command line of a measurement, or of the simulation."""

from __future__ import annotations

import runpy
import sys

import pytest


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("bench.policy --seeds 0", "argument --seeds: write a whole number from 1 to 10,000,000"),
        ("bench.policy --create-factor nan", "argument --create-factor: write a number from 0.01 to 100"),
        ("bench.faults --seeds -1", "argument --seeds: write a whole number from 1"),
        ("bench.fleet --workers 1,0", "argument --workers: write a whole number from 1 to 99"),
        ("bench.fleet --requests 20", "argument --requests: write a multiple of 6"),
        ("bench.fleet --workers 1 --kill", "--kill needs a run with two workers or more"),
        ("bench.kills --kills many", "argument --kills: write a whole number from 1"),
        ("bench.passes --finished 100,", "argument --finished: write a whole number from 1"),
        ("bench.plan --minutes 0", "argument --minutes: write a whole number from 1"),
        ("bench.start --runs 0", "argument --runs: write a whole number from 1"),
        ("bench.sweep --documents 0", "argument --documents: write a whole number from 1"),
        (
            "bench.windows --from-year 2026 --to-year 2025",
            "--to-year 2025 comes before --from-year 2026",
        ),
        ("bench.windows --zones -1", "argument --zones: write a whole number from 0"),
        ("tests.simulation", "the following arguments are required: SEED"),
        ("tests.simulation 7 seat_belt", "argument SAFEGUARD: invalid choice: 'seat_belt'"),
    ],
)
def test_a_number_without_sense_is_explained(
    line: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, with exit code 2, as every wrong argument."""
    module, *arguments = line.split()
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    monkeypatch.delitem(sys.modules, module, raising=False)  # `-m` runs it anew, too
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, "")
    assert says in printed.err
