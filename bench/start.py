"""Measure a cold start: `python3 dev.py bench start [--runs N] [--json]`.

Import: the CPU seconds to import `function_app`, compared with `azure.functions` alone; it may import little
else. First use: the CPU seconds of the first timer tick in a process that has imported `function_app`, and of
the first HTTP request, with the real SDKs against Azurite and the emulator. Each figure is measured in a new
process, in turns because machines are noisy; the figures are medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench._arguments import whole
from bench._report import machine, show
from local.stack import Behaviour, app_settings, machine_environment, new_folder, run_services

ROOT = Path(__file__).resolve().parent.parent
_IMPORT = "import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
_FIRST_USE = """
import asyncio, time
import azure.functions as func
import function_app

began = time.process_time()
functions = function_app.app.get_functions()
handle = next(each.get_user_function() for each in functions if each.get_function_name() == '{function}')
try:
    answer = asyncio.run(handle({argument}))
    assert answer is None or answer.status_code == 200, answer.get_body()
finally:
    print(time.process_time() - began)
"""
_TICK = _FIRST_USE.format(function="reconcile_deployments", argument="None")
_REQUEST = _FIRST_USE.format(
    function="list_deployments",
    argument="func.HttpRequest(method='GET', url='/api/deployments', body=b'')",
)
_FILE = ROOT / "deployments.yaml"


def run(code: str, environment: Mapping[str, str] | None = None) -> float:
    """Run the code in a new process and return the seconds that it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.split()[-1])


def measure(runs: int) -> dict[str, object]:
    """Return the medians over `runs` runs, with the machine and the time."""
    measurements: dict[str, list[float]] = {}
    with run_services(new_folder("start"), Behaviour()) as services:
        settings = app_settings(services, _FILE)
        environment = {**os.environ, **machine_environment(), **settings}
        for number in range(runs + 1):
            taken = {
                "function_app": run(_IMPORT.format(module="function_app")),
                "azure.functions": run(_IMPORT.format(module="azure.functions")),
                "first_tick_cpu_s": run(_TICK, environment),
                "first_request_cpu_s": run(_REQUEST, environment),
            }
            for name, seconds in taken.items() if number else ():  # the first run writes the bytecode
                measurements.setdefault(name, []).append(seconds)
    medians = {name: statistics.median(seconds) for name, seconds in measurements.items()}
    return {
        **{name: round(seconds, 4) for name, seconds in medians.items()},
        "ratio": round(medians["function_app"] / medians["azure.functions"], 3),
        "runs": runs,
        **machine(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="dev.py bench start", description=__doc__)
    parser.add_argument("--runs", type=whole(), default=9, help="how often each is measured (9)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    measured = measure(options.runs)
    show(measured, as_json=options.json)


if __name__ == "__main__":
    main()
