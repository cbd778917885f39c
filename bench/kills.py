"""Kill a host at random moments: `python3 dev.py bench kills [--kills N] [--seed N] [--json]`.

This runs tests/integration/kills.py with the app's real waiting times: minutes after each kill. Three of the
documents crash the worker, and its memory is limited to an instance's 512 MB. It takes about a minute per
kill, and up to an hour to finish. Exit code 0 means that every promise was kept.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from bench._arguments import whole
from bench._report import machine, show
from local.azurite import run_azurite
from local.stack import StackError, new_folder
from shared.timing import TIMING
from tests.integration.kills import Pace, run_kills

UNHURRIED = Pace(
    host="tests.integration.fragile_host",
    spell=(10.0, 80.0),
    burst=8.0,
    weather=12.0,
    window=60.0,
    late=min(TIMING.settle, TIMING.quarantine).total_seconds() * 0.7,
    leftovers=TIMING.work_lease_seconds + TIMING.blob_lease_seconds + TIMING.quarantine.total_seconds(),
    # A file that crashes the worker is given up after about five claims, with a pause after each lone one.
    patience=2 * TIMING.ready_limit.total_seconds() + 8 * TIMING.work_lease_seconds,
    killers=3,
)


def main() -> int:
    """Kill, check and print. Return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="dev.py bench kills", description=__doc__)
    parser.add_argument("--kills", type=whole(), default=50, help="how often the host is killed (50)")
    parser.add_argument("--seed", type=whole(0), help="of the random moments (a new one)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    folder, began = new_folder("kills"), time.monotonic()
    print(f"seed {seed}, logs in {folder}", file=sys.stderr, flush=True)
    try:
        with run_azurite() as azurite:
            figures = run_kills(folder, azurite, UNHURRIED, options.kills, seed)
    except (AssertionError, StackError) as error:
        print(f"seed {seed}: {error}", file=sys.stderr)
        return 1
    measured = {
        **vars(figures),
        "seed": seed,
        "seconds": round(time.monotonic() - began),
        **machine(),
    }
    show(measured, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
