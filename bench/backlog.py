"""Answer a file of many records: `python3 dev.py bench backlog [--records N] [--format F] [--json]`.

A file of N records, and one of a tenth, go through this project: taken in from the inbox, asked at a
deployment without limits, every answer kept, the results written in the file's own format, the source moved.
The CPU time is that of the app's process, without the reader's child. The answers come after a fifth of a
second. `lost`: records without an answer. `as_in_the_file`: rows of the result that stand in their place,
with what the file has, and an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench._backlog_work import Work
from bench._drain_clients import DEPLOYMENT
from bench._measured import figures_of, write_deployments
from bench._report import machine, show
from bench.drain import Limited, document
from local.stack import app_settings, run_services
from shared.documents.identity import INBOX
from shared.documents.records.layout import Layout, RecordFormat
from shared.documents.records.record import Outcome, Record
from shared.documents.records.result_files import writers_for
from shared.model import RecordForm, RecordState, Task
from shared.wiring import App

_RECORDS = 100_000
_SLOWEST = 100.0  # records a second: a run that takes longer is given up
_CAPACITY = 500_000  # 5 million requests a minute


def _csv(records: int) -> bytes:
    rows = (f'r{number:06},{number % 5},"{document(number)}"\r\n' for number in range(records))
    return b"id,stars,text\r\n" + "".join(rows).encode()


def _jsonl(records: int) -> bytes:
    rows = ({"id": f"r{n:06}", "stars": n % 5, "text": document(n)} for n in range(records))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _xlsx(records: int) -> bytes:
    columns = ("id", "stars", "text")
    layout = Layout(RecordForm.ROWS, RecordFormat.SHEET, columns)
    writer = next(file for file in writers_for(layout, Task((), 40)) if file.end == ".xlsx")
    pieces = [writer.head()]
    for number in range(records):
        cells = (f"r{number:06}", number % 5, document(number))
        pieces.append(
            writer.add(Record(number + 2, kept=dict(zip(columns, cells, strict=True))), Outcome(""))
        )
    return b"".join([*pieces, *writer.finish()])


def _batch(records: int) -> bytes:
    def line(number: int) -> str:
        message = {"role": "user", "content": document(number)}
        body = {"model": DEPLOYMENT, "messages": [message], "max_completion_tokens": 40}
        url = "/v1/chat/completions"
        return json.dumps({"custom_id": f"r{number}", "method": "POST", "url": url, "body": body})

    return "".join(f"{line(number)}\n" for number in range(records)).encode()


FORMATS: dict[str, Callable[[int], bytes]] = {"csv": _csv, "jsonl": _jsonl, "xlsx": _xlsx, "batch": _batch}


def run(form: str, records: int) -> dict[str, Any]:
    """Answer one file, and return the figures."""
    with tempfile.TemporaryDirectory(prefix="backlog-") as name:
        folder = Path(name)
        with run_services(folder, Limited(quota=2 * _CAPACITY)) as services:
            deployment = {
                "model": {"name": "gpt-4o.ft-1", "version": "1"},
                "sku": {"name": "GlobalStandard", "capacity": _CAPACITY},
                "always": True,
            }
            records_of = {} if form == "batch" else {"records": {"text": "text", "id": "id"}}
            file = write_deployments(folder, {DEPLOYMENT: deployment}, max_output_tokens=40, task=records_of)
            settings = app_settings(services, file)
            asyncio.run(_prepare(settings, f"{DEPLOYMENT}/records.{form}", FORMATS[form](records)))
            figures = figures_of("bench._backlog_work", [], Work(settings, records / _SLOWEST + 60))
            same = asyncio.run(_same(settings, form, records))
    answered, cpu = figures["answered"], figures["cpu_s"]
    return {
        "records": records,
        "records_per_second": round(answered / figures["wall_s"], 1),
        "cpu_s_per_1000": round(1000 * cpu / records, 3),
        "staging_cpu_s": round(figures["staging_cpu_s"], 2),
        "peak_rss_mb": figures["peak_rss_mb"],
        "lost": records - answered,
        "as_in_the_file": same,
        "ended": "; ".join(figures["ended"]),
    }


async def _same(settings: dict[str, str], form: str, records: int) -> int:
    """Return how many rows of the result stand in their place, with what the file has, and an answer."""
    app = App(settings)
    try:
        names = [item.name for item in (await app.blobs.list("results", None, 100)).items]
        name = next(name for name in names if name.endswith(".jsonl") and not name.endswith(".errors.jsonl"))
        lines = (await app.blobs.read("results", name)).splitlines()
    finally:
        await app.close()
    if len(lines) != records:
        return 0
    return sum(_is_of(json.loads(line), number, form) for number, line in enumerate(lines))


def _is_of(line: dict[str, Any], number: int, form: str) -> bool:
    if form == "batch":
        return (line["custom_id"], line["response"]["status_code"]) == (f"r{number}", 200)
    stars: str | int = str(number % 5) if form == "csv" else number % 5
    row = {"id": f"r{number:06}", "stars": stars, "text": document(number)}
    columns, answer = line["columns"], line["answer"]
    return all(columns[name] == value for name, value in row.items()) and bool(answer)


async def _prepare(settings: dict[str, str], name: str, data: bytes) -> None:
    """Let the deployment answer, and upload the file."""
    app = App(settings)
    try:
        current = await app.current()
        config = current.settings.deployments[DEPLOYMENT]
        while (await current.context.ledger.record(config.hosted_id)).state is not RecordState.OPEN:
            await current.step(config)
            await asyncio.sleep(0.2)

        async def pieces() -> Any:
            stream = io.BytesIO(data)
            while piece := stream.read(4_000_000):
                yield piece

        await app.blobs.create_from(INBOX, name, pieces(), "application/octet-stream")
    finally:
        await app.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="dev.py bench backlog", description=__doc__)
    parser.add_argument("--records", type=int, default=_RECORDS, help=f"records of the file ({_RECORDS})")
    parser.add_argument("--format", choices=FORMATS, action="append", help="one (csv); may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    for form in options.format or ["csv"]:
        figures[form] = {}
        for records in (max(1, options.records // 10), options.records):
            figures[form][str(records)] = found = run(form, records)
            print(f"{form}, {records}: {found}", file=sys.stderr, flush=True)
    show({"formats": figures, **machine()}, as_json=options.json)


if __name__ == "__main__":
    main()
