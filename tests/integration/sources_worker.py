"""Processes that look at a source, answer and write back for ever, and are killed in the middle of it.

Started by `test_sources_killed.py`, with DATABASE BLOBS TABLES KILLS. It prints a line for each killed
process. The last one works until a line comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from dataclasses import replace

from shared.adapters.blobs import AzureBlobs
from shared.adapters.tables import AzureTables
from shared.app import PartFailed
from shared.model import ALWAYS, DatabaseSource, Task, UploadStart, prompt
from shared.model.records import Column
from shared.model.sources import OF_ROWS
from shared.sources import sync, when
from shared.wiring import SystemClock, assemble
from tests.fakes.azure import MemoryAzure
from tests.fakes.clock import VirtualClock
from tests.fakes.sources import answer_all
from tests.fakes.world import config, settings

SELECT = "select id, 'text ' || id as body, changed from reviews"
when.LOOK_EVERY = when._FIRST_PAUSE = when._LONGEST_PAUSE = when.timedelta(0)
when.SHARE = 0
sync.SECONDS = 0.3  # so that a kill may come at any step


async def work(database: str, blobs_url: str, tables_url: str) -> None:
    """Look, answer and write back for ever."""
    source = DatabaseSource(database, SELECT, "id", (Column("body"),), "changed", "answers")
    task = Task(prompt("Summarise."), 100, records=OF_ROWS)
    deployment = replace(config(task=task, uploads=UploadStart.SCHEDULED), windows=(ALWAYS,), source=source)
    blobs, azure = AzureBlobs(blobs_url), MemoryAzure(VirtualClock())
    app = assemble(settings(deployment), SystemClock(), AzureTables(tables_url), blobs, azure, azure)
    app.sources.most_rows = 500
    while True:
        with contextlib.suppress(PartFailed):
            await app.sync_sources()
            await answer_all(app, blobs, "clauses")


def main() -> None:
    """Fork a process, kill it in the middle of its work, and begin again."""
    *places, kills = sys.argv[1:]
    chance = random.Random(1)
    for left in range(int(kills), -1, -1):
        child = os.fork()
        if not child:
            asyncio.run(work(*places))
        if left:
            time.sleep(chance.uniform(0.3, 1.8))
        else:
            sys.stdin.readline()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(left, flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
