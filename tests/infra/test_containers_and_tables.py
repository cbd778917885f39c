"""Containers and tables: those that the app uses are those that the Bicep creates."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fakes.world import World, config
from tests.infra import shared_uses
from tests.infra.bicep import Deployed


@pytest.fixture
async def touched() -> tuple[set[str], set[str]]:
    """The containers and tables that hold something after one document was answered and one was refused."""
    world = World.of(config())
    world.upload("clauses/letter.txt")
    world.upload("clauses/nothing.txt", "  ")

    async def settled() -> bool:
        states = {(await world.document(f"clauses/{name}.txt")).state for name in ("letter", "nothing")}
        return states == {"done", "failed"}

    await world.until(settled, within=timedelta(hours=1))
    return set(world.blobs._containers), {table for table, _ in world.tables._partitions}


# Where DEPLOYMENTS_FILE=blob:config/deployments.yaml looks: the docs name it, people fill it.
CONFIGURATION = "config"


def created(deployed: Deployed, kind: str) -> set[str]:
    """The names of what is created of a kind of things in storage."""
    return {each.body["name"] for each in deployed.of_type(f"Microsoft.Storage/storageAccounts/{kind}")}


def test_every_container_is_created(deployed: Deployed, touched: tuple[set[str], set[str]]) -> None:
    """Those of the app, by its source and by what it does, and the one that holds the package."""
    (app,) = deployed.of_type("Microsoft.Web/sites")
    package = app.properties["functionAppConfig"]["deployment"]["storage"]["value"].rpartition("blob")[2]
    used = shared_uses.containers() | touched[0]
    assert created(deployed, "blobServices/containers") == used | {package, CONFIGURATION}


def test_every_table_is_created(deployed: Deployed, touched: tuple[set[str], set[str]]) -> None:
    """Those that the source names, which are all that the app touches."""
    assert touched[1] <= shared_uses.tables()
    assert created(deployed, "tableServices/tables") == shared_uses.tables()
