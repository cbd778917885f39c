"""From one generation to the next: what stays, and that every way of beginning one resets the rest."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from shared.errors import OutcomeUnknown, ProviderRefused
from shared.hosting.create import our_tags
from shared.model import (
    Backoff,
    Batch,
    DeploymentRecord,
    Generation,
    History,
    Hosted,
    LastDecision,
    RecordState,
)
from shared.planning.generations import next_generation, without_intent
from tests.fakes.clock import START
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, World, config, hosted

LONG_AGO = START - timedelta(days=2)
LAST = Generation(
    number=4,
    owned=False,
    intent_at=LONG_AGO,
    created_at=LONG_AGO + timedelta(seconds=1),
    earlier_created_at=LONG_AGO - timedelta(days=1),
    succeeded_at=LONG_AGO + timedelta(minutes=4),
    opened_at=LONG_AGO + timedelta(minutes=5),
    seen_at=LONG_AGO + timedelta(minutes=6),
    missed_since=LONG_AGO + timedelta(hours=1),
    silent_since=LONG_AGO + timedelta(hours=1),
    silent_probes=2,
    unanswered_since=LONG_AGO + timedelta(hours=1),
    unanswered_at=LONG_AGO + timedelta(hours=2),
    trouble="503",
    delete_after=LONG_AGO + timedelta(hours=12),
    deleted_at=LONG_AGO + timedelta(hours=3),
    deleted_again_at=LONG_AGO + timedelta(hours=4),
    uncertain_at=LONG_AGO + timedelta(hours=2),
    refusals=3,
    delete_not_before=START + timedelta(minutes=9),
    sku="Standard",
    capacity=7,
    tokens_per_minute=7000,
    requests_per_minute=42,
    token_renewal=30.0,
    request_renewal=10.0,
)
RECORD = DeploymentRecord(
    account=ACCOUNT.resource_id,
    deployment="clauses",
    changed_at=LONG_AGO + timedelta(hours=5),
    doubted_at=LONG_AGO,
    generation=LAST,
    backoff=Backoff(2, 1, START + timedelta(hours=1), "no quota"),
    history=History((300,), (Batch(1, 20, 0),), config().spec),
    decision=LastDecision(reason="it is gone", count=9),
)


def test_what_the_next_generation_keeps() -> None:
    """When the last one's deletes were accepted, and its createdAt; else the generation is blank."""
    after = next_generation(RECORD, intent_at=START)
    begun = Generation(
        number=5,
        intent_at=START,
        earlier_created_at=LAST.created_at,
        deleted_at=LAST.deleted_at,
        deleted_again_at=LAST.deleted_again_at,
    )
    assert after.generation == begun
    assert after == replace(RECORD, generation=begun, backoff=replace(RECORD.backoff, not_before=None))
    unset = [field.name for field in fields(Generation) if getattr(LAST, field.name) == field.default]
    assert not unset, "the last generation of this test has every field set, so that none could stay unseen"


def test_without_its_intent_the_record_is_about_the_generation_before_again() -> None:
    """By its number, and by its createdAt, which proves a deployment ours."""
    back = without_intent(next_generation(RECORD, intent_at=START))
    assert (back.generation.number, back.generation.created_at) == (LAST.number, LAST.created_at)
    assert (back.generation.intent_at, back.generation.earlier_created_at) == (None, None)


async def test_a_refused_create_begins_no_generation() -> None:
    """It counts as a failure, and the next create gets the same number."""
    world = await world_with(RECORD, document=True)
    world.azure.fail_next("put", ProviderRefused("no quota", code="InsufficientQuota"))
    await world.app.reconcile()
    record = await world.record()
    assert (record.generation.number, record.generation.created_at) == (LAST.number, LAST.created_at)
    assert (record.backoff.failures, record.history.create_seconds) == (3, (300,))


@pytest.mark.parametrize("way", ["created", "found", "adopted", "used"])
async def test_whichever_way_it_begins_nothing_of_the_last_one_is_left(way: str) -> None:
    """Else the next one would count as silent, unanswered, or refused before anything happened to it."""
    world = await world_with(RECORD, document=way != "adopted", adopt=way == "adopted")
    context = world.app.context
    if way != "created":
        tags = our_tags(context.owner) if way == "found" else {}
        await world.azure.put(ACCOUNT.resource_id, replace(config().spec, tags=tags), timeout=1)
        world.clock.advance(3600)
    await world.app.reconcile()
    record = await world.record()
    generation, backoff = record.generation, record.backoff
    assert (generation.number, generation.owned) == (LAST.number + 1, way != "used")
    assert generation.earlier_created_at == LAST.created_at != generation.created_at
    assert (generation.silent_since, generation.uncertain_at, generation.missed_since) == (None, None, None)
    assert (generation.unanswered_since, generation.unanswered_at, generation.trouble) == (None, None, "")
    assert (generation.refusals, generation.delete_not_before, generation.silent_probes) == (0, None, 0)
    assert (generation.sku, generation.capacity) == ("GlobalStandard", 120)
    assert (record.delete_accepted_at, record.doubted_at) == (None, LONG_AGO)
    assert (backoff.not_before, backoff.unanswered_runs) == (None, 1)
    answered = way in ("found", "used")
    assert (backoff.failures, backoff.problem) == ((0, "") if answered else (2, "no quota"))


@pytest.mark.parametrize("earlier", [timedelta(0), timedelta(minutes=2)])
async def test_a_late_list_may_show_any_generation_before(earlier: timedelta) -> None:
    """The outcome of a create is unknown. What a LIST shows now is the last generation, or one before it."""
    last = replace(LAST, owned=True, created_at=START - timedelta(minutes=1))
    world = await world_with(replace(RECORD, generation=last), document=True)
    world.azure.fail_next("put", OutcomeUnknown("no answer"))
    await world.app.reconcile()
    context = world.app.context
    late = hosted("clauses", "Succeeded", last.created_at - earlier, tags=our_tags(context.owner))

    async def listed(account: str, *, timeout: float) -> dict[str, Hosted]:
        return {"clauses": late}

    world.azure.deployments = listed  # type: ignore[method-assign]
    world.clock.advance(60)
    await world.app.reconcile()
    record = await world.record()
    assert (record.state, record.generation.created_at) == (RecordState.CREATING, None)


async def world_with(record: DeploymentRecord, *, document: bool, adopt: bool = False) -> World:
    """A world in which a deployment was hosted before; documents wait on demand."""
    world = World.of(config(adopt=adopt))
    due = changed(record, state=RecordState.ABSENT, not_before=START)
    await world.app.context.ledger.save(due)
    if document:
        world.upload("clauses/a.txt")
    return world
