"""An account with many configured deployments and a long history, for passes over it.

It uses the app's own parts and the real SDKs, with Azurite and an emulator in this process. Tests set its
time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.azurite import Azurite
from local.emulator.server import Options, emulator
from shared.adapters.blobs import AzureBlobs
from shared.adapters.openai import AzureModel
from shared.adapters.storage_clock import StorageClock
from shared.adapters.tables import AzureTables
from shared.app import Lamplighter
from shared.documents.backlog import DOCUMENTS
from shared.documents.identity import INBOX, short_id
from shared.hosting.reconcile import PassReport
from shared.model import Account, Document, DocumentState, RecordState
from shared.ports import Insert, Page, Row
from shared.providers.azure_openai.arm import AzureOpenAI
from shared.rows import to_values
from shared.settings.load import load
from shared.wiring import assemble
from tests.fakes.clock import VirtualClock
from tests.integration.deployments_file import account_id, scheduled, write_deployments
from tests.integration.emulated_azure import EmulatedAzure

ACCOUNT = "main"
_BATCH, _AT_ONCE = 100, 4  # rows of a transaction, Azure's maximum; concurrent transactions
_MONTH = timedelta(days=30)


class CountedTables(AzureTables):
    """The real tables, with counts of calls and rows."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.calls = 0
        self.rows_read = 0

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """Call the port, and count the call."""
        self.calls += 1
        return await super().get(table, partition, key)

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        """Call the port, and count the call."""
        page = await super().page(table, partition, start, stop, limit)
        self.calls += 1
        self.rows_read += len(page.rows)
        return page


@dataclass(frozen=True)
class BusyAccount:
    """The app with one account."""

    azurite: Azurite
    app: Lamplighter
    clock: VirtualClock
    tables: CountedTables
    azure: EmulatedAzure

    @property
    def account(self) -> Account:
        """Return the account."""
        [account] = self.app.settings.accounts.values()
        return account

    async def arm_calls(self) -> dict[str, int]:
        """Return the calls of Azure Resource Manager so far, by operation, from the meter."""
        bill = await asyncio.to_thread(self.azure.bill)
        return dict(bill["arm_calls"][ACCOUNT])

    async def pass_over(self) -> PassReport:
        """Make one pass."""
        return await self.app.pass_over(self.account)

    async def bring_up(self) -> None:
        """Make passes, half a minute apart, until every deployment whose window is open is ready."""
        hosted = [name for name, config in self.app.settings.deployments.items() if config.windows]
        for _ in range(10):
            await self.pass_over()
            self.clock.advance(30)
            records = await self.app.context.ledger.records(self.account.resource_id)
            if all(records[name].state is RecordState.OPEN for name in hosted):
                await self.pass_over()  # this pass stores the last decisions
                return
        raise AssertionError("the deployments did not come up")

    async def add_finished(self, numbers: range) -> None:
        """Write documents with these numbers, answered in the last month, evenly for all deployments."""
        names, gate = list(self.app.settings.deployments), asyncio.Semaphore(_AT_ONCE)
        # Use connections of its own: the passes have many, and Azurite closes those that idle for 5 s.
        tables = AzureTables(self.azurite.table_uri)

        async def write(name: str, batch: range) -> None:
            async with gate:
                # Build them here: to build all at once would block the loop for seconds.
                documents = (_answered(name, number, self.clock.start - _MONTH) for number in batch)
                rows = [Insert(f"d {short_id(each)}", to_values(each)) for each in documents]
                await tables.write(DOCUMENTS, name, rows)

        shares = [(name, numbers[first :: len(names)]) for first, name in enumerate(names)]
        await asyncio.gather(
            *(
                write(name, share[start : start + _BATCH])
                for name, share in shares
                for start in range(0, len(share), _BATCH)
            )
        )
        await tables.close()


@asynccontextmanager
async def busy_account(
    folder: Path, azurite: Azurite, *, deployments: int, hosted: int, waiting: int
) -> AsyncIterator[BusyAccount]:
    """Yield an account with so many deployments: `hosted` in a window, and `waiting` with a document each.

    It has only as many slots for fine-tuned models as deployments are hosted, so that documents wait.
    """
    clock = VirtualClock(datetime.now(UTC))
    named = [f"contract-clauses-{number:03}" for number in range(deployments)]
    window = scheduled(clock.start, clock.start + timedelta(hours=10))
    sections: dict[str, Any] = {
        name: {"account": ACCOUNT, **(window if number < hosted else {})} for number, name in enumerate(named)
    }
    account = {"resource_id": account_id(ACCOUNT), "fine_tuned_slots": max(hosted, 1)}
    file = folder / "deployments.yaml"
    write_deployments(file, sections, accounts={ACCOUNT: account})
    options = Options(
        accounts=(account_id(ACCOUNT),),
        provision_median=0.0,
        provision_p95=0.0,
        warmup_seconds=0.0,
        latency_seconds=0.0,
        slots=max(hosted, 1),
        quota=1000 * deployments,
    )
    async with AsyncExitStack() as parts:
        running = await parts.enter_async_context(emulator(options, clock.now))
        tables, blobs = CountedTables(azurite.table_uri), AzureBlobs(azurite.blob_uri)
        model = AzureModel()
        provider = AzureOpenAI(running.url, model)
        for adapter in (tables, blobs, provider, model):
            parts.push_async_callback(adapter.close)
        app = by_virtual_time(assemble(load(file, {}), clock, tables, blobs, provider, model))
        for name in named[hosted : hosted + waiting]:
            await blobs.create(INBOX, f"{name}/letter.txt", b"Please confirm the delivery.", "text/plain")
        await app.intake.sweep()
        yield BusyAccount(azurite, app, clock, tables, EmulatedAzure(running.url))


def by_virtual_time(app: Lamplighter) -> Lamplighter:
    """Return the app with a clock that Azurite's answers do not correct, because Azurite's time is real."""
    assert isinstance(app.context.clock, StorageClock)
    app.context.clock.correct = lambda *_: None  # type: ignore[method-assign]
    return app


def _answered(deployment: str, number: int, arrived_at: datetime) -> Document:
    name = f"{deployment}/letter-{number}.txt"
    identity = f"{arrived_at:%Y%m%dT%H%M%S}-{number:016x}"
    return Document(
        id=f"{deployment}~{identity}",
        deployment=deployment,
        name=name,
        source_etag=f"0x{number:015X}",
        size=1000,
        arrived_at=arrived_at,
        state=DocumentState.DONE,
        reason="answered",
        prompt_tokens=250,
        completion_tokens=60,
        cost=0.0002,
        result=f"{name}.{identity}.1.json",
        moved_to=f"processed/{deployment}/letter-{number}.{identity}.txt",
        finished_at=arrived_at + timedelta(minutes=6),
    )
