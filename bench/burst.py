"""Answer a burst of uploads: `python3 dev.py bench burst [--documents N] [--json]`.

All uploads come at once, for one deployment and for ten; then as many documents wait before the start. The
app's process gets the events and the timers as from the host. Printed are its CPU time, its requests to
storage, its memory, the time from the deployment's being ready to the first answer, and the use of the
deployment's limit. `sdk_floor_cpu_s_per_1000`: the SDK calls that a document needs, made bare in the same
minutes and at the same pace: read, request, result, row, move. Neither CPU time counts the start of its
process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench._burst_work import Work
from bench._measured import admissions, figures_of, use_of_limit, write_deployments
from bench._report import machine, show
from bench.drain import document
from local.deployments_file import ACCOUNT_ID
from local.stack import Behaviour, Services, app_settings, run_services
from shared.documents.identity import INBOX
from shared.errors import AlreadyExists
from shared.wiring import App
from tests.integration.calls import call

_ACCOUNT = "local-openai"
_AT_ONCE = 16  # uploads at a time
_REQUESTS = 600  # that all deployments together admit a minute: gpt-4o has six for each unit of capacity
_WORK = "bench._burst_work"
_BARE = "bare"  # the floor's deployment
_FLOOR = 300  # documents of the floor's run
_PATIENCE = 5  # times the time that the limit needs, after which a run is given up
_MODEL = "gpt-4o.ft-1"
_CASES = {"one": (1, False), "ten": (10, False), "waiting": (1, True)}


@dataclass(frozen=True)
class Quick(Behaviour):
    """The emulator with creates as quick as any in Azure; answers take a fifth of a second."""

    provision_median: float = 75.0
    provision_p95: float = 75.0
    warmup_seconds: float = 0.0
    latency_seconds: float = 0.2
    quota: int = 100_000
    slots: int = 50


async def upload(settings: dict[str, str], names: list[str]) -> None:
    """Put the documents into the inbox."""
    app, gate = App(settings), asyncio.Semaphore(_AT_ONCE)
    try:

        async def one(number: int, name: str) -> None:
            async with gate:
                # A busy Azurite may answer a try too late, and the next try finds its blob.
                with contextlib.suppress(AlreadyExists):
                    await app.blobs.create(INBOX, name, document(number).encode(), "text/plain")

        await asyncio.gather(*(one(number, name) for number, name in enumerate(names)))
    finally:
        await app.close()


def burst(documents: int, deployments: int, *, waiting: bool) -> dict[str, Any]:
    """Answer so many documents, and return the figures."""
    names = [f"d{number % deployments}/{number:06}.txt" for number in range(documents)]
    with tempfile.TemporaryDirectory(prefix="burst-") as name, run_services(Path(name), Quick()) as services:
        settings = app_settings(services, deployments_file(Path(name), deployments))
        asyncio.run(upload(settings, names))
        creates = deployments * Quick.provision_median  # one after another on one account
        patience = _PATIENCE * max(documents / _REQUESTS * 60, 120.0) + 2 * creates
        apart = 60 / _REQUESTS
        found = figures_of(_WORK, ["app"], Work(settings, names, waiting, patience, apart))
        use = utilisation(services, deployments)
        bare = names[:_FLOOR]
        asyncio.run(upload(settings, bare))
        settings |= {"MODEL": f"{services.emulator_url}/{_ACCOUNT}/openai/v1/", "DEPLOYMENT": _BARE}
        deploy_bare(services)
        floor = figures_of(_WORK, ["floor"], Work(settings, bare, waiting, patience, apart))
    return {
        "lost": documents - found["answered"],
        "unfinished": found["unfinished"],
        "cpu_s_per_1000": round(found["cpu_s"] / documents * 1000, 1),
        "sdk_floor_cpu_s_per_1000": round(floor["cpu_s"] / len(bare) * 1000, 1),
        "storage_calls_per_document": round(found["storage_calls"] / documents, 1),
        "first_answer_s": found["first_answer_s"],
        "utilisation": use,
        "peak_rss_mb": found["peak_rss_mb"],
    }


def deploy_bare(services: Services) -> None:
    """Create the deployment for the bare calls, and wait until it answers."""
    body = {
        "sku": {"name": "GlobalStandard", "capacity": 1000},
        "properties": {"model": {"format": "OpenAI", "name": _MODEL, "version": "1"}},
    }
    url = f"{services.emulator_url}{ACCOUNT_ID}/deployments/{_BARE}?api-version=2024-10-01"
    bearer = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
    while call(url, "PUT", json.dumps(body).encode(), bearer).status == 409:
        time.sleep(1)  # a delete of the app is under way
    while call(url, headers=bearer).json["properties"]["provisioningState"] != "Succeeded":
        time.sleep(0.2)


def utilisation(services: Services, deployments: int) -> float:
    """Return what was admitted as a share of the limits, from each first to each last admission."""
    shares = []
    for number in range(deployments):
        times = [datetime.fromisoformat(each["at"]) for each in admissions(services, f"d{number}")]
        shares.append(use_of_limit(times, _REQUESTS / deployments))
    return round(sum(shares) / len(shares), 3)


def deployments_file(folder: Path, deployments: int) -> Path:
    """Write a file with so many deployments, which share the limit."""
    deployment = {
        "model": {"name": _MODEL, "version": "1"},
        "sku": {"name": "GlobalStandard", "capacity": _REQUESTS // 6 // deployments},
    }
    named = {f"d{number}": dict(deployment) for number in range(deployments)}
    return write_deployments(folder, named, max_output_tokens=40)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="dev.py bench burst", description=__doc__)
    parser.add_argument("--documents", type=int, default=1000, help="uploads that come at once (1000)")
    parser.add_argument("--case", choices=_CASES, action="append", help="one case (all); may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    cases = {}
    for name in options.case or _CASES:
        deployments, waiting = _CASES[name]
        cases[name] = burst(options.documents, deployments, waiting=waiting)
        print(f"{name}: {cases[name]}", file=sys.stderr, flush=True)
    show({"documents": options.documents, "cases": cases, **machine()}, as_json=options.json)


if __name__ == "__main__":
    main()
