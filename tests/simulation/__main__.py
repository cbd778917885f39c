"""`python -m tests.simulation SEED`: one seed with its timeline."""

import sys

from tests.simulation.run import simulate

if __name__ == "__main__":
    report = simulate(int(sys.argv[1]), trace=True)
    lines = (*report.timeline, str(report.faults), *report.told)
    sys.stdout.write("\n".join(lines) + "\n")
