"""The fleet that `bench fleet` measures: its deployments, their documents, and the worker processes."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench._measured import write_deployments
from bench.drain import document
from local.deployments_file import ACCOUNT_ID
from local.stack import GRACE_SECONDS, ROOT, Behaviour, Part, machine_environment, run_part
from shared.app import Lamplighter
from shared.documents.identity import INBOX
from shared.model import RecordState
from shared.wiring import App

REQUESTS_A_UNIT = 6  # requests a minute that gpt-4o has for each unit of capacity
_MODEL = "gpt-4o.ft-1"
_ON_AN_ACCOUNT = 5  # deployments: Azure makes one write at a time on an account
_AT_ONCE = 16  # uploads at a time
_OPEN_SECONDS = 300.0  # in which all deployments must be open


@dataclass(frozen=True)
class Ready(Behaviour):
    """The emulator with deployments that are ready at once; answers take a fifth of a second."""

    provision_median: float = 0.0
    provision_p95: float = 0.0
    warmup_seconds: float = 0.0
    latency_seconds: float = 0.2
    quota: int = 100_000


@dataclass(frozen=True)
class Fleet:
    """So many deployments, each with so many documents and a limit of so many requests a minute."""

    deployments: int
    documents: int
    requests: int

    @property
    def names(self) -> list[str]:
        """Return the names of the deployments."""
        return [f"d{number:03}" for number in range(self.deployments)]

    @property
    def total(self) -> int:
        """Return the number of all documents."""
        return self.deployments * self.documents

    @property
    def accounts(self) -> dict[str, str]:
        """Return the resource ids of the accounts by name."""
        count = -(-self.deployments // _ON_AN_ACCOUNT)
        return {f"account-{number}": f"{ACCOUNT_ID}-{number}" for number in range(count)}

    def write_file(self, folder: Path) -> Path:
        """Write the deployments file; every deployment stays open without documents."""
        deployment = {
            "model": {"name": _MODEL, "version": "1"},
            "sku": {"name": "GlobalStandard", "capacity": self.requests // REQUESTS_A_UNIT},
            "always": True,
        }
        named = {
            name: {"account": f"account-{number // _ON_AN_ACCOUNT}", **deployment}
            for number, name in enumerate(self.names)
        }
        return write_deployments(folder, named, max_output_tokens=40, accounts=self.accounts)


async def open_all(current: Lamplighter) -> None:
    """Make passes until every deployment is open. Raises SystemExit if that takes too long."""
    until, accounts = time.monotonic() + _OPEN_SECONDS, await current.accounts()
    while time.monotonic() < until:
        await asyncio.gather(*(current.pass_over(account) for account in accounts))
        records = [await current.context.ledger.records(account.resource_id) for account in accounts]
        states = [record.state for of_account in records for record in of_account.values()]
        if states.count(RecordState.OPEN) == len(current.settings.deployments):
            return
        await asyncio.sleep(0.2)
    raise SystemExit(f"not all deployments were open after {_OPEN_SECONDS:.0f} s")


async def upload(app: App, current: Lamplighter, fleet: Fleet) -> None:
    """Put the documents into the inbox and record them, as events do; nothing is drained here."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int, name: str) -> None:
        async with gate:
            await app.blobs.create(INBOX, name, document(number).encode(), "text/plain")
            await current.intake.arrived(name)

    await asyncio.gather(
        *(one(number, f"{name}/{number:05}.txt") for number in range(fleet.documents) for name in fleet.names)
    )


@contextmanager
def run_workers(settings: dict[str, str], count: int, folder: Path) -> Iterator[list[Part]]:
    """Run hosts that handle nothing but the messages of queues; each has its own log."""
    command = ["local.host", "--app-dir", str(ROOT), "--port", "0", "--function-key", secrets.token_hex(20)]
    command += ["--grace-seconds", str(GRACE_SECONDS), "--only", "queues"]
    environment = machine_environment() | settings
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                run_part(f"worker {number}", command, environment, folder / f"worker-{number}.log")
            )
            for number in range(1, count + 1)
        ]
        for worker in workers:
            worker.wait_for_address()
            stack.callback(worker.process.terminate)  # all at first: each may use its whole grace
        yield workers
