"""Run one seed and print its timeline: `python -m tests.simulation SEED [SAFEGUARD]`.

With SAFEGUARD, the app runs without that safeguard.
"""

import argparse
import sys

from tests.simulation.run import simulate
from tests.simulation.sabotage import VARIANTS


def main() -> int:
    """Parse, run, print. Return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.split("\n")[0])
    parser.add_argument("seed", type=int, metavar="SEED", help="the same one always runs the same")
    names = ", ".join(VARIANTS)
    parser.add_argument("without", nargs="?", choices=VARIANTS, metavar="SAFEGUARD", help=f"one of {names}")
    options = parser.parse_args()
    report = simulate(options.seed, trace=True, without=options.without)
    lines = (*report.timeline, str(report.faults), *report.violations)
    sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(report.faults))


if __name__ == "__main__":
    sys.exit(main())
