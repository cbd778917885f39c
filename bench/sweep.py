"""Time until a sweep records an upload: `python3 dev.py bench sweep [--documents N] [--repeat N] [--json]`.

N documents wait. Each has its blob in the inbox and its rows in the ledger; the order of the rows does not
follow the names. Then a blob is dropped without an event, right after a sweep, and the app sweeps every
minute until the blob is recorded. The benchmark prints how long that takes, for a process that has just
started and for one that has swept before. It uses the real SDKs against Azurite. Writing 100,000 blobs
through Azurite would take an hour, because Azurite scans all blobs for each write; so one is written, and
Azurite's own files are multiplied. Azurite also reads a whole table for each range of keys, and sorts the
whole inbox for each page of it, which Azure does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench._arguments import whole
from bench._report import machine, show
from local.azurite import Azurite, run_azurite
from shared.adapters.blobs import AzureBlobs
from shared.documents.backlog import DocumentLedger
from shared.documents.identity import INBOX, identify, short_id
from shared.documents.intake import Intake
from shared.model import UploadStart
from shared.ports import BlobItem
from shared.wiring import SystemClock, assemble
from tests.fakes.azure import MemoryAzure
from tests.fakes.clock import VirtualClock
from tests.fakes.world import config, settings
from tests.integration.busy_account import CountedTables

_NO_SAVES = """
const modules = require('module'), load = modules._load
modules._load = function (name) {
  const loaded = load.apply(this, arguments)
  if (name === 'lokijs') loaded.prototype.autosaveEnable = () => {}
  return loaded
}
"""
"""Stops Azurite from saving all of its rows every five seconds, because each save blocks it for seconds."""

TICK = 60.0  # seconds from sweep to sweep
_NAME = "clauses"
_FIRST = f"{_NAME}/letter-0000000.txt"
_AGES = timedelta(days=1)  # period over which the documents arrived
_MOST = 30  # sweeps after which an upload counts as never recorded


@dataclass
class Wait:
    """How long an upload waited to be recorded."""

    process: str
    name: str
    recorded_after: float | None = None  # seconds
    sweeps: list[float] = field(default_factory=list)  # seconds of each sweep
    calls: list[int] = field(default_factory=list)  # table reads of each sweep
    rows: list[int] = field(default_factory=list)  # rows that each sweep read

    def figures(self) -> dict[str, object]:
        """Return the figures as printed."""
        return {
            "process": self.process,
            "name": self.name,
            "recorded_after": self.recorded_after and round(self.recorded_after, 1),
            "sweep_seconds": [round(seconds, 1) for seconds in self.sweeps],
            "table_reads": self.calls,
            "rows_read": self.rows,
        }


class Bench:
    """The app's intake on Azurite."""

    def __init__(self, azurite: Azurite) -> None:
        self.tables, self.blobs = CountedTables(azurite.table_uri), AzureBlobs(azurite.blob_uri)
        self.ledger = DocumentLedger(self.tables, SystemClock())
        self.intake = self.start()

    def start(self) -> Intake:
        """Replace the intake by that of a process that has just started, and return it."""
        azure = MemoryAzure(VirtualClock())
        configured = settings(config(_NAME, uploads=UploadStart.SCHEDULED))
        app = assemble(configured, SystemClock(), self.tables, self.blobs, azure, azure)
        self.intake = app.intake
        return app.intake

    async def close(self) -> None:
        """Close the connections."""
        await self.tables.close()
        await self.blobs.close()

    async def drop(self, name: str, process: str) -> Wait:
        """Drop a blob right after a sweep, and sweep until it is recorded."""
        await self.blobs.create(INBOX, name, b"Dear all", "text/plain")
        item = await self.blobs.stat(INBOX, name)
        assert item is not None
        wait = Wait(process, name)
        for sweep in range(1, _MOST + 1):
            calls, rows, began = self.tables.calls, self.tables.rows_read, time.perf_counter()
            await self.intake.sweep()
            wait.sweeps.append(time.perf_counter() - began)
            wait.calls.append(self.tables.calls - calls)
            wait.rows.append(self.tables.rows_read - rows)
            print(f"{name}: sweep {sweep}, {wait.sweeps[-1]:.1f} s", file=sys.stderr, flush=True)
            if await self.ledger.get(identify(item, _NAME).id) is not None:
                wait.recorded_after = sweep * TICK + wait.sweeps[-1]
                break
        return wait

    async def walk(self) -> int:
        """Sweep until the process has seen the whole inbox and ledger; return the number of sweeps."""
        for sweep in range(1, _MOST * 10):
            rows = self.tables.rows_read
            report = await self.intake.sweep()
            print(
                f"sweep {sweep}: {report}, {self.tables.rows_read - rows} rows", file=sys.stderr, flush=True
            )
            if report.complete and not report.taken_in:
                return sweep
        raise AssertionError("no sweep covered the whole inbox")


async def write_first(azurite: Azurite) -> None:
    """Write one waiting document through the app."""
    bench = Bench(azurite)
    await bench.blobs.create(INBOX, _FIRST, b"Dear all", "text/plain")
    await bench.intake.arrived(_FIRST)
    await bench.close()


def multiply(folder: Path, documents: int) -> None:
    """Copy the one blob and its rows to `documents` of them, in the files in which Azurite keeps them."""
    now, chance = datetime.now(UTC), random.Random(documents)
    items = [
        BlobItem(
            f"{_NAME}/letter-{number:07}.txt",
            f"0x{number:015X}",
            8,
            (now - chance.random() * _AGES).replace(microsecond=0),
        )
        for number in range(1, documents)
    ]
    with _Collection(folder / "__azurite_db_blob__.json", "$BLOBS_COLLECTION$") as blobs:
        [first] = blobs
        for item in items:
            blobs.append(_blob(first, item))
    with _Collection(folder / "__azurite_db_table__.json", "devstoreaccount1$documents") as rows:
        firsts = {row["RowKey"][0]: row for row in rows}
        for item in items:
            for kind in "dw":
                rows.append(_row(firsts[kind], kind, item))


class _Collection:
    """The entries of a LokiJS collection, open for appending."""

    def __init__(self, file: Path, name: str) -> None:
        self._file = file
        self._content = json.loads(file.read_text(encoding="utf-8"))
        [self._found] = [entry for entry in self._content["collections"] if entry["name"] == name]

    def __enter__(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._found["data"]
        return entries

    def __exit__(self, *_: object) -> None:
        entries = self._found["data"]
        for number, entry in enumerate(entries, 1):
            entry["$loki"] = number
        self._found["maxId"], self._found["idIndex"] = len(entries), None
        for index in self._found["binaryIndices"].values():
            index |= {"dirty": True, "values": list(range(len(entries)))}
        self._file.write_text(json.dumps(self._content), encoding="utf-8")


def _blob(first: dict[str, Any], item: BlobItem) -> dict[str, Any]:
    at = f"{item.modified_at:%Y-%m-%dT%H:%M:%S}.000Z"
    properties = {**first["properties"], "etag": f'"{item.etag}"', "lastModified": at, "creationTime": at}
    return {**first, "name": item.name, "properties": properties, "meta": deepcopy(first["meta"])}


def _row(first: dict[str, Any], kind: str, item: BlobItem) -> dict[str, Any]:
    document = identify(item, _NAME)
    key = {"RowKey": f"{kind} {short_id(document)}"}
    own = {
        **key,
        "id": document.id,
        "name": document.name,
        "source_etag": document.source_etag,
        "arrived_at": f"{document.arrived_at:%Y-%m-%dT%H:%M:%S}.000000Z",
    }
    return {**first, **key, "properties": {**first["properties"], **own}, "meta": deepcopy(first["meta"])}


def _names(repeat: int, documents: int) -> Iterator[str]:
    """Yield names at the start, in the middle and at the end of the listing."""
    for number in range(repeat):
        for place in (0, documents // 2, documents):
            yield f"{_NAME}/letter-{place:07}-new-{number}.txt"


async def measure(azurite: Azurite, documents: int, repeat: int) -> tuple[list[Wait], int]:
    """Return the waits of both kinds of process, and the sweeps until a process has seen everything once."""
    bench = Bench(azurite)
    waits = []
    for name in _names(1, documents):
        bench.start()
        waits.append(await bench.drop(name, "just started"))
        print(waits[-1].figures(), file=sys.stderr, flush=True)
    sweeps = await bench.walk()
    for name in _names(repeat + 1, documents):
        if name.endswith("-0.txt"):
            continue
        waits.append(await bench.drop(name, "has swept before"))
        print(waits[-1].figures(), file=sys.stderr, flush=True)
    await bench.close()
    return waits, sweeps


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="dev.py bench sweep", description=__doc__)
    parser.add_argument(
        "--documents", type=whole(), default=100_000, help="number of waiting documents (100000)"
    )
    parser.add_argument(
        "--repeat",
        type=whole(),
        default=2,
        help="rounds of three uploads to a process that has swept before (2)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sweep-") as name:
        folder = Path(name)
        with run_azurite(folder) as azurite:
            asyncio.run(write_first(azurite))
            time.sleep(6.0)  # it writes its files every five seconds
        with ProcessPoolExecutor(1) as other:  # its memory is freed when it ends
            other.submit(multiply, folder, options.documents).result()
        print(f"{options.documents} documents written", file=sys.stderr, flush=True)
        (folder / "no_saves.cjs").write_text(_NO_SAVES, encoding="utf-8")
        os.environ["NODE_OPTIONS"] = f"--require {folder / 'no_saves.cjs'}"
        with run_azurite(folder) as azurite:
            waits, sweeps = asyncio.run(measure(azurite, options.documents, options.repeat))
    longest = [wait.recorded_after for wait in waits]
    measured = {
        "documents": options.documents,
        "recorded_after_max": None if None in longest else round(max(filter(None, longest)), 1),
        "sweeps_until_all_was_seen": sweeps,
        "waits": [wait.figures() for wait in waits],
        "memory_max_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **machine(),
    }
    show(measured, as_json=options.json)


if __name__ == "__main__":
    main()
