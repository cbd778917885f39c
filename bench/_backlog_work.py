"""The process that `bench backlog` measures: `python -m bench._backlog_work`.

It reads its work as JSON on standard input. It takes the file in and answers it, and prints as JSON what
became of it and what that cost.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench._drain_clients import DEPLOYMENT
from bench._process_usage import peak_memory
from shared.app import PartFailed
from shared.documents.identity import is_final
from shared.wiring import App

_SLICE = 420.0  # seconds


@dataclass(frozen=True)
class Work:
    """`seconds`: when to give up."""

    settings: dict[str, str]
    seconds: float


async def _answer(work: Work) -> dict[str, Any]:
    app, until = App(work.settings), time.monotonic() + work.seconds
    try:
        current = await app.current()
        began = time.process_time()
        await current.intake.sweep()
        staged, seen = time.process_time() - began, time.monotonic()
        while time.monotonic() < until:
            try:
                await current.drain_backlog(_SLICE)
            except PartFailed as failed:
                print(failed, file=sys.stderr)
            found = (await current.documents.listed(DEPLOYMENT, None, "", 10)).documents
            if found and all(map(is_final, found)):
                break
        return {
            "ended": [f"{each.state}: {each.reason}" for each in found],
            "answered": sum(each.answered for each in found),
            "cpu_s": time.process_time() - began,
            "staging_cpu_s": staged,
            "wall_s": time.monotonic() - seen,
            "peak_rss_mb": peak_memory(),
        }
    finally:
        await app.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_answer(Work(**json.load(sys.stdin))))))
