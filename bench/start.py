"""What importing the app costs: `python3 dev.py bench start [--runs N] [--json]`.

Cold start is import time, so `function_app` may import little beyond `azure.functions`. Each import runs in
a process of its own, the two in turns, as machines are noisy; the medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from bench._report import machine, show

ROOT = Path(__file__).resolve().parent.parent
_MEASURE = "import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"


def import_seconds(module: str) -> float:
    """Seconds that importing a module takes in a new process, its bytecode cached."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE.format(module=module)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def measure(runs: int) -> dict[str, object]:
    """The medians over so many runs of each, and where and when they were taken."""
    for module in ("function_app", "azure.functions"):
        import_seconds(module)  # the first run writes the bytecode
    pairs = [(import_seconds("function_app"), import_seconds("azure.functions")) for _ in range(runs)]
    app, functions = (statistics.median(each) for each in zip(*pairs, strict=True))
    return {
        "function_app": round(app, 4),
        "azure.functions": round(functions, 4),
        "ratio": round(app / functions, 3),
        "runs": runs,
        **machine(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="dev.py bench start", description=__doc__)
    parser.add_argument("--runs", type=int, default=9, help="how often each is imported (9)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    measured = measure(options.runs)
    show(measured, as_json=options.json)


if __name__ == "__main__":
    main()
