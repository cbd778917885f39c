"""Many uploads at once: few storage calls for each, and no more documents in progress than are asked soon."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from shared.model import DocumentState, ModelAnswer, ModelRequest
from tests.fakes.world import World, config


def names(count: int) -> list[str]:
    return [f"clauses/{number:03}.txt" for number in range(count)]


async def states(world: World, count: int) -> Counter[DocumentState]:
    return Counter([(await world.document(name)).state for name in names(count)])


async def test_a_burst_costs_few_reads_and_writes() -> None:
    """One flow drains; the others record their upload and are done. Rows are read and written together."""
    world, calls = World.of(config(capacity=1200)), Counter[str]()

    def counted(kind: str) -> Any:
        call = getattr(world.tables, kind)

        async def count(table: str, *given: Any) -> Any:
            calls[f"{kind} {table}"] += 1
            return await call(table, *given)

        return count

    for kind in ("get", "page", "write"):
        setattr(world.tables, kind, counted(kind))
    for name in names(100):
        world.upload(name)
    await asyncio.gather(*(world.app.document_uploaded(name) for name in names(100)))
    assert not world.blobs.names("inbox")
    assert calls["get documents"] + calls["page documents"] <= 40
    assert calls["write documents"] <= 60  # an arrival, a claim and an end for each of a hundred
    assert await states(world, 100) == {DocumentState.DONE: 100}


async def test_claims_are_made_shortly_before_the_requests() -> None:
    """One request a second is admitted, and an answer takes 100 s: those in flight do not hold up others."""
    world = World.of(config(capacity=60))
    ask = world.azure.ask

    async def slow(endpoint: str, deployment: str, request: ModelRequest, *, timeout: float) -> ModelAnswer:
        await world.clock.sleep(100)
        return await ask(endpoint, deployment, request, timeout=timeout)

    for name in names(80):
        world.upload(name)
    await world.app.reconcile()
    world.clock.advance(75)
    await world.app.reconcile()
    world.azure.ask = slow  # type: ignore[method-assign]
    draining = asyncio.create_task(world.app.drain_backlog(300))
    await world.clock.sleep(60)
    claimed = (await states(world, 80))[DocumentState.CLAIMED]
    assert 60 <= claimed <= 70
    await draining
    assert await states(world, 80) == {DocumentState.DONE: 80}
