"""Observe mode and adoption against the emulator and Azurite, through the real SDKs, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from local.azurite import Azurite
from local.emulator.server import Options, emulator
from shared.adapters.blobs import AzureBlobs
from shared.adapters.openai import AzureModel
from shared.adapters.tables import AzureTables
from shared.app import Lamplighter
from shared.model import DeploymentConfig, HostedId, Mode, OneOffWindow
from shared.planning.observed import DELETE_AFTER_TAG, OWNER_TAG
from shared.providers.azure_openai.arm import AzureOpenAI
from shared.wiring import assemble
from tests.fakes.clock import START, VirtualClock
from tests.fakes.world import ACCOUNT, config, settings
from tests.integration.busy_account import by_virtual_time

SECONDS = 20.0
NAME = ACCOUNT.resource_id.rpartition("/")[2]


@dataclass
class Place:
    """An account of the emulator, and a storage account of Azurite."""

    url: str
    clock: VirtualClock
    tables: AzureTables
    blobs: AzureBlobs
    provider: AzureOpenAI
    model: AzureModel

    def app(self, *deployments: DeploymentConfig) -> Lamplighter:
        """Return the app with these deployments configured."""
        ports = (self.clock, self.tables, self.blobs, self.provider, self.model)
        return by_virtual_time(assemble(settings(*deployments), *ports))

    async def bill(self) -> dict[str, Any]:
        """Return the emulator's bill."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/emulator/bill") as answer:
            found: dict[str, Any] = await answer.json()
            return found


@pytest.fixture
async def place(azurite: Azurite) -> AsyncIterator[Place]:
    clock = VirtualClock()
    options = Options(
        accounts=(ACCOUNT.resource_id,), provision_median=60, provision_p95=60, latency_seconds=0
    )
    async with emulator(options, clock.now) as running:
        tables, blobs = AzureTables(azurite.table_uri), AzureBlobs(azurite.blob_uri)
        model = AzureModel()
        provider = AzureOpenAI(running.url, model)
        yield Place(running.url, clock, tables, blobs, provider, model)
        for adapter in (tables, blobs, provider, model):
            await adapter.close()


async def test_a_day_of_demand_in_observe_mode_is_not_one_write(place: Place) -> None:
    """Documents, a window and a deployment that could be adopted: all is planned, nothing is written."""
    window = OneOffWindow(START + timedelta(hours=2), START + timedelta(hours=6))
    theirs = replace(config("theirs").spec, capacity=50)
    await place.provider.put(ACCOUNT.resource_id, theirs, timeout=SECONDS)
    app = place.app(
        config("clauses", mode=Mode.OBSERVE),
        config("desk", window, mode=Mode.OBSERVE),
        config("theirs", mode=Mode.OBSERVE, adopt=True),
    )
    place.clock.advance(120)
    for tick in range(24 * 6):
        if tick % 20 == 0:
            name = f"clauses/{tick}.txt"
            await place.blobs.create("inbox", name, b"some text", "text/plain")
            await app.document_uploaded(name)
        await app.reconcile()
        await app.drain_backlog(50)
        place.clock.advance(600)
    calls = (await place.bill())["arm_calls"][NAME]
    assert (calls["put"], calls.get("delete", 0)) == (1, 0), "the one PUT is the test's own"
    assert calls["list"] > 100
    for name, would in (("clauses", "create"), ("desk", "create"), ("theirs", "adopt")):
        decisions = await app.context.ledger.decisions(HostedId(ACCOUNT.resource_id, name), 20)
        assert any(f"it would {would}" in decision.reason for decision in decisions), name
    assert (await app.documents.demand("clauses")).unfinished == 8, "the documents wait"


async def test_an_adopted_deployment_with_a_custom_policy_comes_back_identical(place: Place) -> None:
    """It is adopted, deleted outside its window, and created again for the window with every property."""
    theirs = replace(
        config().spec,
        capacity=50,
        rai_policy_name="contoso-strict",
        version_upgrade_option="NoAutoUpgrade",
        spillover_deployment_name="spare",
        tags={"team": "legal"},
    )
    await place.provider.put(ACCOUNT.resource_id, theirs, timeout=SECONDS)
    place.clock.advance(3600)
    opens = place.clock.now() + timedelta(hours=2)
    app = place.app(config("clauses", OneOffWindow(opens, opens + timedelta(hours=1)), adopt=True))
    for _ in range(5):
        await app.reconcile()
        place.clock.advance(60)
    assert await place.provider.deployments(ACCOUNT.resource_id, timeout=SECONDS) == {}
    place.clock.advance(2 * 3600)
    await app.reconcile()
    shown = (await place.provider.deployments(ACCOUNT.resource_id, timeout=SECONDS))["clauses"]
    kept = {
        name: value for name, value in shown.spec.tags.items() if name not in (OWNER_TAG, DELETE_AFTER_TAG)
    }
    assert replace(shown.spec, tags=kept) == theirs
    assert shown.spec.tags[OWNER_TAG] == "test"
