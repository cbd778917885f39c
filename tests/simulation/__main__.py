"""Run one seed and print its timeline: `python -m tests.simulation SEED [SAFEGUARD]`.

With SAFEGUARD, the app runs without that safeguard.
"""

import sys

from tests.simulation.run import simulate

if __name__ == "__main__":
    report = simulate(int(sys.argv[1]), trace=True, without=sys.argv[2] if len(sys.argv) > 2 else None)
    lines = (*report.timeline, str(report.faults), *report.violations)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(bool(report.faults))
