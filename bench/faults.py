"""Check the promises under faults: run seeds of the simulation on every core.

`python3 dev.py bench faults --seeds 20000 [--first 0] [--json]`. Exit code 1 if a promise was broken. Each
violation is printed on standard error with its seed; `python -m tests.simulation SEED` replays it exactly.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from bench._arguments import whole
from bench._report import machine, show
from tests.simulation.run import Report, simulate
from tests.simulation.sabotage import VARIANTS

_CHUNK = 10


@dataclass
class Totals:
    """Sums over all seeds, and the figures from which the median seed is computed."""

    seeds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    broken: list[Report] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    crashes: list[int] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    hours: list[float] = field(default_factory=list)
    leaked_max: float = 0.0
    raw_leaked_max: float = 0.0
    late_cut: int = 0
    unanswered_max: float = 0.0
    raw_unanswered_max: float = 0.0

    def add(self, report: Report) -> None:
        self.seeds += 1
        self.faults.update(report.faults)
        if report.faults:
            self.broken.append(report)
        self.steps.append(report.steps)
        self.crashes.append(report.crashes)
        self.documents.append(report.documents)
        self.hours.append(report.hours)
        self.leaked_max = max(self.leaked_max, report.leaked_max)
        self.raw_leaked_max = max(self.raw_leaked_max, report.raw_leaked_max)
        self.late_cut += report.late_cut
        self.unanswered_max = max(self.unanswered_max, report.unanswered_max)
        self.raw_unanswered_max = max(self.raw_unanswered_max, report.raw_unanswered_max)

    def figures(self, seconds: float) -> dict[str, object]:
        """Return the figures as printed. `seconds`: how long the whole run took."""
        other = {kind: count for kind, count in self.faults.items() if kind not in ("lost", "cut", "doubled")}
        return {
            "runs": self.seeds,
            "steps": sum(self.steps),
            "crashes": sum(self.crashes),
            "documents": sum(self.documents),
            "lost": self.faults["lost"],
            "cut": self.faults["cut"],
            "doubled": self.faults["doubled"],
            "leaked_seconds_max": round(self.leaked_max, 1),
            "raw_leaked_seconds_max": round(self.raw_leaked_max, 1),
            "hosted_without_answer_seconds_max": round(self.unanswered_max, 1),
            "raw_hosted_without_answer_seconds_max": round(self.raw_unanswered_max, 1),
            "cut_by_effects_later_than_the_quarantine": self.late_cut,
            "other_faults": other,
            "broken_seeds": [report.seed for report in self.broken],
            "seconds": round(seconds, 1),
            "seeds_per_second": round(self.seeds / seconds, 1),
            "median_seed": {
                "documents": statistics.median(self.documents),
                "hours": round(statistics.median(self.hours), 2),
                "port_calls": statistics.median(self.steps),
                "crashes": statistics.median(self.crashes),
            },
            **machine(),
        }


def run(seeds: range, processes: int, without: str | None) -> dict[str, object]:
    """Simulate the seeds and return the totals."""
    began, totals = time.monotonic(), Totals()
    one = functools.partial(simulate, without=without)
    with ProcessPoolExecutor(processes) as pool:
        for report in pool.map(one, seeds, chunksize=_CHUNK):
            totals.add(report)
            for line in report.violations:
                print(f"seed {report.seed}: {line}", file=sys.stderr, flush=True)
    return totals.figures(time.monotonic() - began)


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="dev.py bench faults", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=whole(), default=1000, metavar="N")
    parser.add_argument("--first", type=whole(0), default=0, metavar="K")
    parser.add_argument("--without", choices=VARIANTS, help="a safeguard to take out: faults are expected")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    found = run(range(options.first, options.first + options.seeds), os.cpu_count() or 1, options.without)
    show(found, as_json=options.json)
    return 1 if found["broken_seeds"] else 0


if __name__ == "__main__":
    sys.exit(main())
