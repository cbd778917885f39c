"""Drain one backlog at a deployment's limits: `python3 dev.py bench drain [--minutes N] [--json]`.

The same requests go through this project, as documents and as one file of records, with everything stored
and settled, and through four other clients. Each client gets an emulator of its own, whose minute is scaled
to six seconds. Utilisation is what the emulator admitted, divided by what its limits allowed between the
first and the last admission. The CPU time comes from a run without limits, pinned to one core. `lost`:
requests without an answer at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench._drain_clients import CLIENTS, DEPLOYMENT, RECORDS, Work
from bench._measured import admissions, figures_of, write_deployments
from bench._report import machine, show
from local.stack import Behaviour, Services, app_settings, run_services
from shared.documents.identity import INBOX
from shared.model import RecordState
from shared.wiring import App
from tests.integration.calls import call

MINUTE = 6.0  # seconds of a scaled minute
_ACCOUNT = "local-openai"
_AT_ONCE = 16  # uploads at a time
_PATIENCE = 3  # times the planned length, after which a client gives up
_FIRST_REQUEST = 60.0  # seconds in which a client is admitted for the first time
_UNLIMITED = 300  # requests of the run without limits


@dataclass(frozen=True)
class Limited(Behaviour):
    """The emulator with scaled limits. Creates take no time, answers a fifth of a second."""

    provision_median: float = 0.0
    provision_p95: float = 0.0
    warmup_seconds: float = 0.0
    latency_seconds: float = 0.2
    latency_p95: float = 0.6
    quota: int = 100_000
    minute_seconds: float = MINUTE
    refused_requests: str = "free"


@dataclass(frozen=True)
class Case:
    """One kind of limit. `rate`: requests per second that the limits allow; `capacity` as in the SKU.

    `requests`: whether the requests are what is limited, rather than their tokens.
    """

    model: str
    capacity: int
    max_tokens: int
    rate: float
    requests: bool = True
    refused_requests: str = "free"
    halved: bool = False

    def documents(self, seconds: float) -> int:
        """Return the number of requests that fill the limits for so long."""
        return round(self.rate * seconds * (0.75 if self.halved else 1))


# Per thousand tokens a minute Azure admits one request to gpt-4.1, six to gpt-4o and ten to gpt-5.
CASES = {
    "requests": Case("gpt-4.1-mini.ft-1", 60, 40, 60 / MINUTE),
    "tokens": Case("gpt-4o.ft-1", 30, 400, 30_000 / 490 / MINUTE, requests=False),
    "counted": Case("gpt-4.1-mini.ft-1", 60, 40, 60 / MINUTE, refused_requests="counted"),
    "halved": Case("gpt-4.1-mini.ft-1", 60, 40, 60 / MINUTE, halved=True),
}
_FREE = Case("gpt-4o.ft-1", 50_000, 40, 1e6)


def document(number: int) -> str:
    """Return one of the documents, all of about the same length: 80 tokens."""
    return f"Letter {number:06}. " + "Dear all, please confirm that the delivery of last week arrived. " * 6


async def prepare(settings: dict[str, str], documents: list[str]) -> None:
    """Let the documents wait in the inbox, and the deployment answer."""
    app = App(settings)
    try:
        current, gate = await app.current(), asyncio.Semaphore(_AT_ONCE)

        async def upload(number: int, text: str) -> None:
            async with gate:
                name = f"{DEPLOYMENT}/{number:06}.txt"
                await app.blobs.create(INBOX, name, text.encode(), "text/plain")

        await asyncio.gather(*(upload(number, text) for number, text in enumerate(documents)))
        while not (await current.intake.sweep()).complete:
            pass
        config = current.settings.deployments[DEPLOYMENT]
        while (await current.context.ledger.record(config.hosted_id)).state is not RecordState.OPEN:
            await current.step(config)
            await asyncio.sleep(0.2)
    finally:
        await app.close()


def run(client: str, case: Case, documents: int, *, limited: bool) -> dict[str, Any]:
    """Run one client over so many documents, and return its figures."""
    texts = [document(number) for number in range(documents)]
    seconds = _PATIENCE * max(documents / case.rate, 60.0)
    behaviour = Limited(refused_requests=case.refused_requests)
    with tempfile.TemporaryDirectory(prefix="drain-") as name:
        folder = Path(name)
        with run_services(folder, behaviour) as services:
            records = {"records": {"text": "text"}} if client == RECORDS else {}
            settings = app_settings(services, _deployments_file(folder, case, records))
            asyncio.run(prepare(settings, _files(client, texts)))
            before = len(admissions(services, DEPLOYMENT))
            work = Work(
                f"{services.emulator_url}/{_ACCOUNT}/openai/v1/",
                texts,
                case.max_tokens,
                MINUTE,
                seconds,
                settings,
            )
            halved_at: list[datetime] = []
            halving = threading.Thread(
                target=_halve_limits, args=(services, before, documents / case.rate / 1.5, halved_at)
            )
            if case.halved:
                halving.start()
            pinned = [] if limited else ["0"]  # to the first core
            figures = figures_of("bench._drain_clients", [client, *pinned], work)
            if case.halved:
                halving.join()
            admitted = admissions(services, DEPLOYMENT)[before:]
            bill = call(f"{services.emulator_url}/emulator/bill").json
    rejected = bill["totals"]["rejected"]
    figures |= {"rejected": rejected, "lost": documents - figures.pop("answered")}
    if limited:
        figures["utilisation"] = round(utilisation(admitted, case, halved_at), 3)
    return figures


def utilisation(admitted: list[dict[str, Any]], case: Case, halved_at: list[datetime]) -> float:
    """Return what was admitted as a share of what the limits allowed between the first and the last."""
    times = [datetime.fromisoformat(each["at"]) for each in admitted]
    if len(times) < 2:
        return 0.0
    halved = min(times[-1], *halved_at) if halved_at else times[-1]
    full, half = (halved - times[0]).total_seconds(), (times[-1] - halved).total_seconds()
    minutes = (full + half / 2) / MINUTE
    used = float(len(times) - 1 if case.requests else sum(each["tokens"] for each in admitted[1:]) / 1000)
    return used / (minutes * case.capacity)


def _halve_limits(services: Services, before: int, after: float, halved_at: list[datetime]) -> None:
    """Halve the deployment's limits some seconds after the client's first request, if there is one."""
    until = time.monotonic() + _FIRST_REQUEST
    while len(admissions(services, DEPLOYMENT)) <= before:
        if time.monotonic() > until:
            return
        time.sleep(0.1)
    time.sleep(after)
    body = json.dumps({"deployment": DEPLOYMENT, "share": 0.5}).encode()
    call(f"{services.emulator_url}/emulator/limits", "POST", body)
    halved_at.append(datetime.now().astimezone())


def _files(client: str, texts: list[str]) -> list[str]:
    """Return what lies in the inbox for a client."""
    if client == RECORDS:
        return ["".join(json.dumps({"text": text}) + "\n" for text in texts)]
    return texts if client == "lamplighter" else []


def _deployments_file(folder: Path, case: Case, task: dict[str, Any]) -> Path:
    deployment = {
        "model": {"name": case.model, "version": "1"},
        "sku": {"name": "GlobalStandard", "capacity": case.capacity},
        "always": True,
    }
    return write_deployments(folder, {DEPLOYMENT: deployment}, max_output_tokens=case.max_tokens, task=task)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="dev.py bench drain", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="length of each run, at the limits (2)")
    parser.add_argument("--case", choices=CASES, action="append", help="one case (all); may be repeated")
    parser.add_argument(
        "--client", choices=CLIENTS, action="append", help="one client (all); may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    clients = options.client or list(CLIENTS)
    costs = {client: run(client, _FREE, _UNLIMITED, limited=False) for client in clients}
    cases: dict[str, dict[str, Any]] = {}
    for name in options.case or CASES:
        case, cases[name] = CASES[name], {}
        for client in clients:
            found = run(client, case, case.documents(options.minutes * 60), limited=True)
            del found["cpu_s"]
            found["cpu_s_per_1000"] = round(costs[client]["cpu_s"] / _UNLIMITED * 1000, 2)
            cases[name][client] = found
            print(f"{name}, {client}: {found}", file=sys.stderr, flush=True)
    show({"minutes": options.minutes, "cases": cases, **machine()}, as_json=options.json)


if __name__ == "__main__":
    main()
