"""Observe mode, taking over what exists, and making do with less capacity."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.model import Action, DocumentState, Mode, Observed, OneOffWindow, RecordState
from shared.planning.adoption import differences, to_create
from shared.planning.observed import DELETE_AFTER_TAG, OWNER_TAG
from tests.fakes.clock import START
from tests.fakes.world import ACCOUNT, CLAUSES, World, config

CUSTOM = replace(
    config().spec,
    capacity=50,
    rai_policy_name="strict",
    version_upgrade_option="NoAutoUpgrade",
    tags={"team": "legal"},
)


async def world_with_theirs(**how: object) -> World:
    """Somebody's deployment with a custom policy has been there for a while."""
    world = World.of(config(**how))
    await world.azure.put(ACCOUNT.resource_id, CUSTOM, timeout=1)
    world.clock.advance(3600)
    world.azure.calls.clear()
    return world


async def test_observe_mode_writes_nothing_and_tells_everything() -> None:
    """A day of demand and a window: each decision says what it would have done."""
    window = OneOffWindow(START + timedelta(hours=2), START + timedelta(hours=6))
    world = World.of(config("clauses", window, mode=Mode.OBSERVE))
    for minute in range(24 * 60):
        if minute % 97 == 0:
            world.upload(f"clauses/{minute}.txt")
            await world.app.document_uploaded(f"clauses/{minute}.txt")
        await world.tick()
        world.clock.advance(60)
    assert (world.azure.count("put"), world.azure.count("delete"), world.azure.count("ask")) == (0, 0, 0)
    (latest, *_) = await world.app.context.ledger.decisions(CLAUSES, 5)
    assert "it would create" in latest.reason
    assert len(world.blobs.names("inbox")) == 15, "the documents wait"


@pytest.mark.parametrize(("mode", "alerts"), [(Mode.OBSERVE, set()), (Mode.ENFORCE, {"window_not_ready"})])
async def test_only_a_deployment_that_is_to_be_hosted_is_late_for_its_window(
    mode: Mode, alerts: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    """In observe mode nothing is hosted, so no window and no waiting document is worth waking anybody."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(hours=3)), mode=mode))
    world.upload("clauses/a.txt")
    for _ in range(120):
        await world.tick()
        world.clock.advance(60)
    events = [json.loads(line) for line in caplog.messages]
    assert {each["event"] for each in events if each.get("alert")} == alerts


async def test_observe_mode_still_alerts_what_was_hosted_before_and_costs_money(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody deletes it now: it was created in enforce mode, and is past its cap."""
    world = World.of(config(max_session=timedelta(hours=1)))
    world.upload("clauses/a.txt")
    await world.until(lambda: bool(world.azure.names()), timedelta(minutes=5))
    observing = world.reconfigured(config(max_session=timedelta(hours=1), mode=Mode.OBSERVE))
    observing.clock.advance(2 * 3600)
    await observing.tick()
    assert "session_past_cap" in caplog.text and world.azure.names() == ["clauses"]


async def test_observe_mode_uses_what_exists_anyway() -> None:
    """Documents are answered by somebody's deployment, which is neither adopted nor deleted."""
    world = await world_with_theirs(mode=Mode.OBSERVE, adopt=True)
    world.upload("clauses/a.txt")
    for _ in range(5):
        await world.tick()
        world.clock.advance(60)
    assert (await world.document("clauses/a.txt")).state is DocumentState.WAITING
    (latest, *_) = await world.app.context.ledger.decisions(CLAUSES, 5)
    assert "it would adopt" in latest.reason
    assert "capacity: the file says 120, Azure has 50" in latest.reason
    assert (world.azure.count("put"), world.azure.count("delete")) == (0, 0)


async def test_an_adopted_deployment_is_recreated_exactly() -> None:
    """Deleted when nobody needs it, and back with its own properties when somebody does."""
    world = await world_with_theirs(adopt=True)
    await world.until(lambda: world.azure.names() == [], timedelta(minutes=5))
    world.upload("clauses/a.txt")
    await world.until(lambda: world.azure.names() == ["clauses"], timedelta(minutes=5))
    shown = (await world.azure.deployments(ACCOUNT.resource_id, timeout=1))["clauses"]
    ours = {OWNER_TAG, DELETE_AFTER_TAG}
    kept = {name: value for name, value in shown.spec.tags.items() if name not in ours}
    assert replace(shown.spec, tags=kept) == CUSTOM
    assert shown.spec.tags[OWNER_TAG] == "test"
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=5))


async def test_adoption_writes_nothing_to_azure_and_shows_the_difference_first() -> None:
    """The record takes it over; the decision tells in what the file differs."""
    world = await world_with_theirs(adopt=True)
    world.upload("clauses/a.txt")
    await world.app.reconcile()
    assert (world.azure.count("put"), world.azure.count("delete")) == (0, 0)
    decisions = await world.app.context.ledger.decisions(CLAUSES, 5)
    adopted = next(each for each in decisions if each.action is Action.ADOPT)
    assert "rai_policy_name: the file says nothing, Azure has strict" in adopted.reason
    record = await world.record()
    assert (record.generation.owned, record.state) == (True, RecordState.OPEN)
    assert record.history.adopted == CUSTOM


async def test_what_is_adopted_and_not_needed_is_deleted_a_pass_later() -> None:
    """So that the difference can be seen before."""
    world = await world_with_theirs(adopt=True)
    await world.app.reconcile()
    assert world.azure.count("delete") == 0
    assert (await world.record()).generation.owned
    world.clock.advance(60)
    await world.app.reconcile()
    assert world.azure.count("delete") == 1


async def test_adopting_what_our_workers_use_goes_through_the_fence() -> None:
    """A foreign deployment in use stays open when it is adopted; nothing in flight is cut off."""
    world = await world_with_theirs()
    world.upload("clauses/a.txt")
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=5))
    assert (await world.record()).decision.observed is Observed.FOREIGN
    world = world.reconfigured(config(adopt=True))
    for _ in range(2):
        await world.app.pass_over(ACCOUNT)
    actions = [row.action for row in await world.app.context.ledger.decisions(CLAUSES, 9)]
    assert actions[:3] == [Action.WAIT, Action.DELETE, Action.CLOSE]
    assert Action.ADOPT in actions
    assert [deleted.cut for deleted in world.azure.deleted] == [0]


async def test_another_installations_deployment_is_never_adopted() -> None:
    """Its tag says whose it is."""
    world = World.of(config(adopt=True))
    theirs = replace(CUSTOM, tags={OWNER_TAG: "they"})
    await world.azure.put(ACCOUNT.resource_id, theirs, timeout=1)
    world.clock.advance(3600)
    for _ in range(5):
        await world.tick()
        world.clock.advance(60)
    assert world.azure.names() == ["clauses"]
    assert world.azure.count("delete") == 0


async def test_a_session_of_an_adopted_deployment_begins_with_the_adoption() -> None:
    """What it cost before is not ours."""
    world = await world_with_theirs(adopt=True)
    await world.until(lambda: world.azure.names() == [], timedelta(minutes=5))
    (session,) = await world.app.context.ledger.sessions(CLAUSES)
    assert session.started_at >= START + timedelta(hours=1)


async def test_less_capacity_is_taken_where_the_full_one_is_refused() -> None:
    """Others took the quota that a delete had freed: the least that was configured will do."""
    world = World.of(config(capacity=120, minimum_capacity=40))
    world.azure.quota = 60
    world.upload("clauses/a.txt")
    await world.app.document_uploaded("clauses/a.txt")
    assert (await world.document("clauses/a.txt")).state is DocumentState.DONE
    assert world.azure.count("put") == 2
    assert (await world.record()).generation.capacity == 40


async def test_without_a_minimum_it_waits_for_the_full_capacity() -> None:
    """The documents wait, with the reason."""
    world = World.of(config(capacity=120))
    world.azure.quota = 60
    world.upload("clauses/a.txt")
    await world.app.reconcile()
    assert "bigger than the current available capacity" in (await world.record()).backoff.problem
    world.azure.quota = 200
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=10))


async def test_a_document_that_fits_the_configured_capacity_only_waits_for_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Azure gave less: it is not to blame, and the deployment does not stand for it alone."""
    world = World.of(config(capacity=12, minimum_capacity=4))
    world.azure.quota = 6
    world.upload("clauses/large.txt", "word " * 5_000)
    await world.until(lambda: world.azure.count("delete") == 1, timedelta(minutes=20))
    document = await world.document("clauses/large.txt")
    assert (document.state, document.attempts) == (DocumentState.WAITING, 0)
    assert "4,000 a minute" in document.reason
    assert "capacity_too_small" in caplog.text
    world.azure.quota = 20
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(hours=1))
    assert (await world.document("clauses/large.txt")).state is DocumentState.DONE


def test_differences_are_reported_property_by_property() -> None:
    """Only what differs, and an absent value is nothing."""
    assert differences(CUSTOM, CUSTOM) == []
    assert differences(replace(CUSTOM, rai_policy_name=""), replace(CUSTOM, rai_policy_name=None)) == []
    assert differences(config().spec, CUSTOM) == [
        "capacity: the file says 120, Azure has 50",
        "rai_policy_name: the file says nothing, Azure has strict",
        "version_upgrade_option: the file says nothing, Azure has NoAutoUpgrade",
        "tags: the file says nothing, Azure has {'team': 'legal'}",
    ]


@pytest.mark.parametrize("adopt", [True, False])
def test_the_file_rules_again_when_adopt_is_taken_out(adopt: bool) -> None:
    """The adopted properties count as long as the file says so."""
    chosen = to_create(config().spec, adopt=adopt, adopted=CUSTOM)
    assert chosen == (CUSTOM if adopt else config().spec)
