"""The Bicep creates exactly the containers, tables and queues that the app uses."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.settings.bindings import DRAIN_QUEUE
from tests.fakes.world import World, config
from tests.infra import shared_uses
from tests.infra.bicep import Deployed


@pytest.fixture
async def touched() -> tuple[set[str], set[str]]:
    """Return the containers and tables in use after one document was answered and one was refused."""
    world = World.of(config())
    world.upload("clauses/letter.txt")
    world.upload("clauses/nothing.txt", "  ")

    async def settled() -> bool:
        states = {(await world.document(f"clauses/{name}.txt")).state for name in ("letter", "nothing")}
        return states == {"done", "failed"}

    await world.until(settled, within=timedelta(hours=1))
    return set(world.blobs._containers), {table for table, _ in world.tables._partitions}


# Used by DEPLOYMENTS_FILE=blob:config/deployments.yaml: the docs name it, and people fill it.
CONFIGURATION = "config"


def created(deployed: Deployed, kind: str) -> set[str]:
    """Return the names of the storage resources of a kind that are created."""
    return {
        resource.body["name"] for resource in deployed.of_type(f"Microsoft.Storage/storageAccounts/{kind}")
    }


def test_every_container_is_created(deployed: Deployed, touched: tuple[set[str], set[str]]) -> None:
    """The app's containers, in its source and in use, the package's and the configuration's are created."""
    (app,) = deployed.of_type("Microsoft.Web/sites")
    package = app.properties["functionAppConfig"]["deployment"]["storage"]["value"].rpartition("blob")[2]
    used = shared_uses.containers() | touched[0]
    assert created(deployed, "blobServices/containers") == used | {package, CONFIGURATION}


def test_every_table_is_created(deployed: Deployed, touched: tuple[set[str], set[str]]) -> None:
    """The tables that the source names are created, and the app uses no other."""
    assert touched[1] <= shared_uses.tables()
    assert created(deployed, "tableServices/tables") == shared_uses.tables()


def test_every_queue_is_created(deployed: Deployed) -> None:
    """The queue of the functions is there before the first message."""
    assert created(deployed, "queueServices/queues") == {DRAIN_QUEUE}
