"""The app on in-memory services and virtual time, with one account and a test's deployments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.app import Lamplighter
from shared.hosting.leases import WorkLease
from shared.model import (
    Account,
    BillingStart,
    BillingUnit,
    DeploymentConfig,
    DeploymentRecord,
    DeploymentSpec,
    Document,
    Hosted,
    HostedId,
    Mode,
    OneOffWindow,
    Prices,
    Settings,
    Task,
    UploadStart,
    WeeklyWindow,
    prompt,
)
from shared.operations import batches
from shared.planning.picture import Picture
from shared.providers.azure_openai.states import status_of
from shared.timing import TIMING, Timing
from shared.wiring import assemble
from tests.fakes.azure import MemoryAzure
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.clock import VirtualClock
from tests.fakes.receivers import MemoryReceivers
from tests.fakes.tables import MemoryTables

ACCOUNT = Account(
    "main", "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso", 10
)
CLAUSES = HostedId(ACCOUNT.resource_id, "clauses")
PRICES = Prices(
    currency="USD",
    hosting_per_hour={"GlobalStandard": 1.70},
    input_per_million=0.40,
    output_per_million=1.60,
    billing_unit=BillingUnit.MINUTE,
    billing_starts=BillingStart.CREATE,
    embeddings_per_million=0.02,
)


def config(
    name: str = "clauses",
    *windows: WeeklyWindow | OneOffWindow,
    uploads: UploadStart = UploadStart.ON_DEMAND,
    capacity: int = 120,
    task: Task | None = None,
    model: str = "gpt-4.1-mini-2025-04-14.ft-0e2c",
    max_session: timedelta = timedelta(hours=12),
    mode: Mode = Mode.ENFORCE,
    adopt: bool = False,
    minimum_capacity: int | None = None,
) -> DeploymentConfig:
    """Return the configuration of one deployment."""
    return DeploymentConfig(
        account=ACCOUNT.resource_id,
        spec=DeploymentSpec(
            name=name,
            model_name=model,
            model_version="1",
            model_source=None,
            sku="GlobalStandard",
            capacity=capacity,
            minimum_capacity=minimum_capacity,
        ),
        windows=windows,
        uploads=uploads,
        lead=timedelta(minutes=15),
        max_session=max_session,
        task=task or Task(prompt("Summarise."), 100),
        mode=mode,
        adopt=adopt,
    )


def settings(*deployments: DeploymentConfig) -> Settings:
    """Return settings with one account and these deployments."""
    return Settings(
        installation="test",
        accounts={ACCOUNT.resource_id: ACCOUNT},
        deployments={deployment.name: deployment for deployment in deployments},
        prices=PRICES,
        max_document_bytes=1_000_000,
    )


def picture(now: datetime, *deployments: DeploymentConfig, prices: Prices = PRICES, **known: Any) -> Picture:
    """Return the account at `now`. `known`: other fields of Picture, such as records and demand."""
    configured = {deployment.name: deployment for deployment in deployments}
    return Picture(ACCOUNT.resource_id, now, configured, prices, **known)


def hosted(
    name: str = "clauses", state: str = "Succeeded", created_at: datetime | None = None, **changes: Any
) -> Hosted:
    """Return a deployment as its provider lists it; `changes`: of its specification."""
    return Hosted(replace(config(name).spec, **changes), status_of(state), state, created_at)


@dataclass
class World:
    """The app and everything around it."""

    clock: VirtualClock
    tables: MemoryTables
    blobs: MemoryBlobs
    azure: MemoryAzure
    app: Lamplighter
    receivers: MemoryReceivers = field(default_factory=MemoryReceivers)

    @classmethod
    def of(cls, *deployments: DeploymentConfig, timing: Timing = TIMING) -> World:
        """Build a world with these deployments configured."""
        clock = VirtualClock()
        tables, blobs, azure = MemoryTables(clock), MemoryBlobs(clock), MemoryAzure(clock)
        receivers = MemoryReceivers()
        app = assemble(
            settings(*deployments), clock, tables, blobs, azure, azure, sender=receivers, timing=timing
        )
        return cls(clock, tables, blobs, azure, app, receivers)

    def reconfigured(self, *deployments: DeploymentConfig) -> World:
        """Return the same world after the app was deployed with another file."""
        app = assemble(
            settings(*deployments),
            self.clock,
            self.tables,
            self.blobs,
            self.azure,
            self.azure,
            sender=self.receivers,
        )
        return replace(self, app=app)

    def upload(self, name: str, text: str | bytes = "some text") -> None:
        """Drop a file into the inbox, as a person would."""
        self.blobs.upload("inbox", name, text.encode() if isinstance(text, str) else text)

    async def document(self, name: str, deployment: str = "clauses") -> Document:
        """Return the newest document with that name."""
        history = await self.app.documents.listed(deployment, None, "", 1000)
        return [document for document in history.documents if document.name == name][-1]

    def results(self) -> list[str]:
        """Return the names of the results, without the text files beside them."""
        return [name for name in self.blobs.names("results") if name.endswith(".json")]

    async def record(self, name: str = "clauses") -> DeploymentRecord:
        """Return a deployment's record."""
        return await self.app.context.ledger.record(HostedId(ACCOUNT.resource_id, name))

    def worker(self) -> WorkLease:
        """Return the work lease of one more worker on `clauses`, not written yet."""
        context = self.app.context
        return WorkLease(self.clock, context.timing, self.tables, context.ledger, CLAUSES)

    async def tick(self) -> None:
        """Run the timers once, as happens each minute."""
        await batches.take_in_all(self.app)
        await self.app.reconcile()
        await self.app.drain_backlog(50.0)

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], within: timedelta) -> datetime:
        """Tick every minute until the condition holds, and return when it did. Raises AssertionError."""
        end = self.clock.now() + within
        while self.clock.now() <= end:
            await self.tick()
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return self.clock.now()
            self.clock.advance(60)
        raise AssertionError(f"the condition did not hold within {within}")
