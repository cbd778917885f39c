"""Time a pass: `python3 dev.py bench passes [--deployments N] [--finished N,N] [--repeat N] [--json]`.

One pass goes over an account with N configured deployments: a fifth are hosted and two fifths wait for a
slot. It uses the real SDKs against Azurite and the emulator, once for each length of the history. The
histories are in storage accounts of one Azurite and take turns, because machines are noisy; the emulator
shares a processor with the pass. Azure finds the waiting documents of a deployment by their keys, but Azurite
scans every row of the table. So the time of these reads is shown separately; the rest should not grow.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench._arguments import whole, wholes
from bench._report import machine, show
from local.azurite import run_azurite
from tests.integration.busy_account import BusyAccount, busy_account


@dataclass
class Measured:
    """Measurements with a history of `finished` documents, in seconds for each repetition."""

    finished: int
    seconds_to_write: float
    passes: list[float] = field(default_factory=list)
    reads: list[float] = field(
        default_factory=list
    )  # of every deployment's waiting documents, as a pass reads them
    rows: set[int] = field(default_factory=set)  # that a pass read
    lists: set[int] = field(default_factory=set)  # calls to Azure that a pass made for its deployments

    def figures(self) -> dict[str, object]:
        """Return the figures as printed."""
        rest = [whole - read for whole, read in zip(self.passes, self.reads, strict=True)]
        return {
            "finished": self.finished,
            "pass_min": round(min(self.passes), 3),
            "pass_median": round(statistics.median(self.passes), 3),
            "pass_max": round(max(self.passes), 3),
            "reads_median": round(statistics.median(self.reads), 3),
            "rest_median": round(statistics.median(rest), 3),
            "rows_read_a_pass": sorted(self.rows),
            "lists_a_pass": sorted(self.lists),
            "seconds_to_write_history": round(self.seconds_to_write, 1),
        }


async def measure(folder: Path, deployments: int, histories: list[int], repeat: int) -> list[Measured]:
    """Build an account for each history, then run passes over them in turn."""
    async with AsyncExitStack() as parts:
        names = [f"history{number}" for number in range(len(histories))]
        azurite = parts.enter_context(run_azurite(accounts=names))
        sides: list[tuple[BusyAccount, Measured]] = []
        for name, finished in zip(names, histories, strict=True):
            (folder / name).mkdir()
            busy = await parts.enter_async_context(
                busy_account(
                    folder / name,
                    azurite.account(name),
                    deployments=deployments,
                    hosted=deployments // 5,
                    waiting=deployments * 2 // 5,
                )
            )
            await busy.bring_up()
            began = time.perf_counter()
            await busy.add_finished(range(finished))
            sides.append((busy, Measured(finished, time.perf_counter() - began)))
            print(f"{finished} finished documents are written", file=sys.stderr, flush=True)
        for _ in range(repeat):
            for busy, measured in sides:
                lists, rows = (await busy.arm_calls())["list"], busy.tables.rows_read
                began = time.perf_counter()
                await busy.pass_over()
                passed = time.perf_counter()
                measured.rows.add(busy.tables.rows_read - rows)
                await asyncio.gather(*map(busy.app.documents.demand, busy.app.settings.deployments))
                measured.passes.append(passed - began)
                measured.reads.append(time.perf_counter() - passed)
                measured.lists.add((await busy.arm_calls())["list"] - lists)
        return [measured for _, measured in sides]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="dev.py bench passes", description=__doc__)
    parser.add_argument("--deployments", type=whole(), default=50, help="configured on the account (50)")
    parser.add_argument(
        "--finished", type=wholes(), default="100,100000", help="lengths of the history (100,100000)"
    )
    parser.add_argument("--repeat", type=whole(), default=15, help="passes over each (15)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="passes-") as folder:
        sides = asyncio.run(measure(Path(folder), options.deployments, options.finished, options.repeat))
    measured = {
        "deployments": options.deployments,
        "repeat": options.repeat,
        "histories": [side.figures() for side in sides],
        **machine(),
    }
    show(measured, as_json=options.json)


if __name__ == "__main__":
    main()
