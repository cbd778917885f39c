"""Drain many deployments at their limits: `python3 dev.py bench fleet [--workers 1,2] [--kill] [--json]`.

Every deployment is open and has documents that wait. Then as many worker processes as given take the messages
of the queue `drain`; each is a functions host that runs nothing but the functions with a queue trigger. The
benchmark is the timer: at once and every minute it puts the messages that the app names, until every document
is answered. Each number of workers gets a fresh Azurite and emulator.

`seconds`: from the first message to the last answer. `deployments_at_once`: messages that so many workers
handle at once, by host.json; the other deployments wait for their turn, and `first_answers_within_s` says
how long. `utilisation`: what was admitted as a share of a deployment's limit, from its first to its last
admission: the mean, and the lowest. `rejected`: answers 429. `largest_share`: the most documents of a worker,
divided by the mean. CPU seconds are those of all workers together; `start_cpu_s` is their start, until each
has loaded the app by a message for no deployment. `messages_left` counts those of a killed worker, which come
again after ten minutes.

`--kill` kills the busiest worker (SIGKILL) once half of the documents are answered, in each run with two or
more. Its deployments wait until its work leases end, then for the next tick: `longest_pause_bound_s`. Their
pause lowers `utilisation`.
"""

from __future__ import annotations

import argparse
import sys

from bench._arguments import whole, wholes
from bench._fleet_figures import figures
from bench._fleet_run import run
from bench._fleet_stack import REQUESTS_A_UNIT, Fleet
from bench._process_usage import is_known
from bench._report import machine, show
from local.stack import StackError, new_folder


def main() -> int:
    """Measure and print. Return 1 if a part of the stack has ended by itself."""
    parser = argparse.ArgumentParser(prog="dev.py bench fleet", description=__doc__)
    parser.add_argument("--deployments", type=whole(1, 999), default=50, help="that have documents (50)")
    parser.add_argument("--documents", type=whole(), default=48, help="that wait for each deployment (48)")
    parser.add_argument(
        "--requests",
        type=whole(REQUESTS_A_UNIT),
        default=24,
        help=f"that each deployment admits a minute, a multiple of {REQUESTS_A_UNIT} (24)",
    )
    parser.add_argument(
        "--workers", type=wholes(1, 99), default=[1, 2], help="numbers of worker processes, a run each (1,2)"
    )
    parser.add_argument("--kill", action="store_true", help="kill a worker in each run with two or more")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    if options.requests % REQUESTS_A_UNIT:
        parser.error(f"argument --requests: write a multiple of {REQUESTS_A_UNIT}")
    if options.kill and max(options.workers) < 2:
        parser.error("--kill needs a run with two workers or more: see --workers")
    if not is_known():
        parser.error("this measurement reads /proc, which this system does not have")
    fleet = Fleet(options.deployments, options.documents, options.requests)
    found, folder = {}, new_folder("fleet")
    print(f"logs in {folder}", file=sys.stderr, flush=True)
    for workers in options.workers:
        own = folder / f"workers-{workers}"
        own.mkdir(exist_ok=True)
        try:
            seen = run(fleet, workers, own, kill=options.kill and workers > 1)
        except StackError as error:
            print(error, file=sys.stderr)
            return 1
        found[str(workers)] = figures(fleet, seen)
        print(f"{workers} workers: {found[str(workers)]}", file=sys.stderr, flush=True)
    shape = {"deployments": fleet.deployments, "requests_a_minute": fleet.requests}
    show({**shape, "workers": found, **machine()}, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
