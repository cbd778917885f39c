"""An account's slots: windows and the oldest document come first, and paid time gives way to work."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.model import (
    Action,
    AzureDeployment,
    BillingUnit,
    Demand,
    DeploymentConfig,
    DeploymentRecord,
    Mode,
    OneOffWindow,
    Owner,
    RecordState,
)
from shared.planning.decision import Decision, Observation
from shared.planning.observed import OWNER_TAG
from shared.planning.plan import plan
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, PRICES, config, picture

ME = Owner("test", "store")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
BUSY = Demand(1, False, (NOW,))


def azure(name: str, state: str = "Succeeded", **tags: str) -> AzureDeployment:
    return AzureDeployment(name, state, "GlobalStandard", 120, "gpt-4.1.ft-1", tags, NOW - HOUR / 2)


def ours(name: str, state: str = "Succeeded") -> AzureDeployment:
    return azure(name, state, **{OWNER_TAG: "test"})


def record(name: str, state: RecordState, paid: float) -> DeploymentRecord:
    """One whose hour ends in so many minutes."""
    begun = NOW + timedelta(minutes=paid) - HOUR
    return changed(
        DeploymentRecord(ACCOUNT.resource_id, name, state, begun), number=1, intent_at=begun, opened_at=begun
    )


def seen_with(
    azure: dict[str, AzureDeployment],
    records: dict[str, DeploymentRecord],
    demand: dict[str, Demand],
) -> Observation:
    """The account, billed by the hour; nothing is configured yet."""
    by_the_hour = replace(PRICES, billing_unit=BillingUnit.HOUR)
    return Observation(NOW, azure, picture(NOW, prices=by_the_hour, records=records, demand=demand))


def with_record(seen: Observation, name: str, **changes: Any) -> Observation:
    record = changed(seen.picture.records[name], **changes)
    return replace(seen, picture=replace(seen.picture, records={**seen.picture.records, name: record}))


def decisions(configured: list[DeploymentConfig], seen: Observation, slots: int) -> dict[str, Decision]:
    account = replace(ACCOUNT, fine_tuned_slots=slots)
    known = replace(seen.picture, configured={each.name: each for each in configured})
    found = plan(ME, account, replace(seen, picture=known))
    return {each.deployment: each for each in found}


def actions(found: dict[str, Decision]) -> dict[str, Action]:
    return {name: each.action for name, each in found.items()}


def test_windows_then_the_oldest_document_get_the_slots() -> None:
    """The rest wait, with that reason."""
    window = config("w", OneOffWindow(NOW + timedelta(minutes=15), NOW + HOUR))
    demand = {"young": BUSY, "old": Demand(1, False, (NOW - HOUR,))}
    seen = seen_with({"x": azure("x")}, {}, demand)
    found = decisions([config("young"), config("old"), window], seen, slots=3)
    assert [(name, each.action) for name, each in found.items()] == [
        ("w", Action.CREATE),
        ("old", Action.CREATE),
        ("young", Action.WAIT),
    ]
    assert "slots" in found["young"].reason


def idle_in_paid_hours(
    states: dict[str, RecordState], demand: dict[str, Demand], azure_state: str = "Succeeded"
) -> Observation:
    """`a`, whose hour ends in 50 minutes, and `b`, whose hour ends in 20."""
    paid = {"a": 50, "b": 20}
    return seen_with(
        {name: ours(name, azure_state if name == "b" else "Succeeded") for name in states},
        {name: record(name, state, paid[name]) for name, state in states.items()},
        demand,
    )


def test_a_paid_hour_is_used_up_as_long_as_nobody_lacks_the_slot() -> None:
    """A third slot is free for whoever comes."""
    seen = idle_in_paid_hours(dict.fromkeys("ab", RecordState.OPEN), {"c": BUSY})
    found = decisions([config("a"), config("b"), config("c")], seen, slots=3)
    assert actions(found) == {"a": Action.SERVE, "b": Action.SERVE, "c": Action.CREATE}


def test_the_shortest_rest_of_a_paid_hour_gives_way_to_a_document() -> None:
    """One slot is lacking, so one is closed, and says why; the document waits minutes, not an hour."""
    seen = idle_in_paid_hours(dict.fromkeys("ab", RecordState.OPEN), {"c": BUSY})
    found = decisions([config("a"), config("b"), config("c")], seen, slots=2)
    assert actions(found) == {"a": Action.SERVE, "b": Action.CLOSE, "c": Action.WAIT}
    assert "another waits for its slot" in found["b"].reason
    # The next plans of the pass go on with the same one.
    seen = idle_in_paid_hours({"a": RecordState.OPEN, "b": RecordState.CLOSING}, {"c": BUSY})
    found = decisions([config("a"), config("b"), config("c")], seen, slots=2)
    assert (found["a"].action, found["b"].action) == (Action.SERVE, Action.DELETE)


def test_a_slot_that_becomes_free_anyway_is_waited_for() -> None:
    """While one is being deleted no other has to go."""
    seen = idle_in_paid_hours(
        {"a": RecordState.OPEN, "b": RecordState.DELETING}, {"c": BUSY}, azure_state="Deleting"
    )
    found = decisions([config("a"), config("b"), config("c")], seen, slots=2)
    assert found["a"].action is Action.SERVE


def test_somebody_elses_deployment_gives_no_way() -> None:
    """It takes a slot and is left alone, so one of ours goes."""
    seen = idle_in_paid_hours({"a": RecordState.OPEN}, {"c": BUSY})
    seen = replace(seen, azure={**seen.azure, "x": azure("x")})
    found = decisions([config("a"), config("c")], seen, slots=2)
    assert found["a"].action is Action.CLOSE
    assert "x" not in found


def test_what_is_not_fine_tuned_takes_no_slot() -> None:
    """Azure counts fine-tuned models; a base model is created however many of those there are."""
    seen = idle_in_paid_hours({"a": RecordState.OPEN}, {"c": BUSY, "d": BUSY})
    found = decisions([config("a"), config("c", model="gpt-4.1-mini"), config("d")], seen, slots=1)
    assert actions(found) == {"a": Action.CLOSE, "c": Action.CREATE, "d": Action.WAIT}


def test_nobody_gives_way_in_vain() -> None:
    """Not where nothing wants the slot, nor where others hold more of them than there are."""
    crowded = idle_in_paid_hours({"a": RecordState.OPEN}, {})
    crowded = replace(crowded, azure={**crowded.azure, "x": azure("x"), "y": azure("y")})
    assert decisions([config("a"), config("c")], crowded, slots=2)["a"].action is Action.SERVE
    wanted = replace(crowded, picture=replace(crowded.picture, demand={"c": BUSY}))
    assert decisions([config("a"), config("c")], wanted, slots=2)["a"].action is Action.SERVE


@pytest.mark.parametrize("why", ["observed only", "its delete was refused", "Azure moves it"])
def test_who_cannot_go_gives_no_way(why: str) -> None:
    """The next one goes, though its hour is paid for longer."""
    seen = idle_in_paid_hours(dict.fromkeys("ab", RecordState.OPEN), {"c": BUSY})
    b = config("b", mode=Mode.OBSERVE if why == "observed only" else Mode.ENFORCE)
    if why == "its delete was refused":
        seen = with_record(seen, "b", delete_not_before=NOW + HOUR)
    if why == "Azure moves it":
        seen = replace(seen, azure={**seen.azure, "b": ours("b", "Moving")})
    assert decisions([config("a"), b, config("c")], seen, slots=2)["a"].action is Action.CLOSE


def test_several_give_way_in_one_pass() -> None:
    """After the first delete creates pause, and are still wanted: who has closed does not open again."""
    seen = idle_in_paid_hours(
        {"a": RecordState.CLOSING, "b": RecordState.DELETING}, {"c": BUSY, "d": BUSY}, azure_state="Deleting"
    )
    seen = with_record(seen, "b", deleted_at=NOW)
    found = decisions([config(name) for name in "abcd"], seen, slots=2)
    assert found["a"].action is Action.DELETE
    assert "pause" in found["c"].reason


def test_one_whose_delete_was_not_answered_is_waited_for() -> None:
    """Azure lists it no more, and its record is kept for two minutes: nobody else has to go."""
    seen = idle_in_paid_hours({"a": RecordState.OPEN, "b": RecordState.DELETING}, {"c": BUSY})
    seen = with_record(seen, "b", settled=False, changed_at=NOW)
    seen = replace(seen, azure={"a": seen.azure["a"]})
    assert decisions([config("a"), config("c")], seen, slots=2)["a"].action is Action.SERVE
