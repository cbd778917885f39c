"""An account's slots: windows and the oldest document come first, and paid time gives way to work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.model import (
    Action,
    BillingUnit,
    Demand,
    DeploymentConfig,
    DeploymentRecord,
    Hosted,
    Mode,
    OneOffWindow,
    Owner,
    RecordState,
)
from shared.planning.decision import Decision, Observation
from shared.planning.observed import OWNER_TAG
from shared.planning.plan import plan
from shared.planning.slots import GIVES_WAY
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, PRICES, config, hosted, picture

ME = Owner("test", "store")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
BUSY = Demand(1, False, (NOW,))


def azure(name: str, state: str = "Succeeded", **tags: str) -> Hosted:
    return hosted(name, state, NOW - HOUR / 2, tags=tags)


def ours(name: str, state: str = "Succeeded") -> Hosted:
    return azure(name, state, **{OWNER_TAG: "test"})


def record(name: str, state: RecordState, paid: float) -> DeploymentRecord:
    """One whose hour ends in so many minutes."""
    begun = NOW + timedelta(minutes=paid) - HOUR
    return changed(
        DeploymentRecord(ACCOUNT.resource_id, name, state, begun), number=1, intent_at=begun, opened_at=begun
    )


def seen_with(
    azure: dict[str, Hosted],
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


# --- whatever the account looks like -------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What is so of one deployment."""

    kind: str
    minutes: int  # that are left of its paid hour, or for which its document has waited
    fine_tuned: bool
    enforced: bool

    @property
    def takes_a_slot(self) -> bool:
        """As Azure counts."""
        return self.fine_tuned and self.kind != "waits"

    @property
    def may_give_way(self) -> bool:
        """Only its paid hour keeps it, and it can be deleted."""
        return self.kind == "idle" and self.enforced


RARELY = st.sampled_from((True, True, True, False))
CASES = st.lists(
    st.builds(
        Case,
        st.sampled_from(("waits", "waits", "idle", "idle", "busy", "refused", "deleting", "foreign")),
        st.integers(10, 55),
        fine_tuned=RARELY,
        enforced=RARELY,
    ),
    min_size=2,
    max_size=6,
).map(lambda drawn: dict(zip("abcdef", drawn, strict=False)))


def seen_of(cases: Mapping[str, Case]) -> tuple[list[DeploymentConfig], Observation]:
    """The deployments as they are configured, but for those of others, and what a pass finds."""
    configured, listed, records, demand = [], {}, {}, {}
    for name, case in cases.items():
        model = "gpt-4.1.ft-1" if case.fine_tuned else "gpt-4.1"
        mode = Mode.ENFORCE if case.enforced else Mode.OBSERVE
        tags = {} if case.kind == "foreign" else {OWNER_TAG: "test"}
        is_deleting = case.kind == "deleting"
        if case.kind != "foreign":
            configured.append(config(name, model=model, mode=mode))
        if case.kind != "waits":
            status = "Deleting" if is_deleting else "Succeeded"
            listed[name] = hosted(name, status, NOW - HOUR / 2, tags=tags, model_name=model)
        if case.kind not in ("waits", "foreign"):
            state = RecordState.DELETING if is_deleting else RecordState.OPEN
            records[name] = record(name, state, case.minutes)
        if case.kind == "refused":
            records[name] = changed(records[name], delete_not_before=NOW + HOUR)
        if case.kind in ("waits", "busy"):
            demand[name] = Demand(1, False, (NOW - timedelta(minutes=case.minutes),))
    return configured, seen_with(listed, records, demand)


@settings(max_examples=400)
@given(CASES, st.integers(-3, 1))
def test_slots_are_kept_and_no_more_gives_way_than_lacks_one(cases: dict[str, Case], free: int) -> None:
    """Whatever holds them and whatever waits: the oldest document first, the end of a paid hour first."""
    configured, seen = seen_of(cases)
    holding = sum(case.takes_a_slot for case in cases.values())
    slots = max(1, holding + free)
    found = decisions(configured, seen, slots)
    given_way = [name for name, each in found.items() if GIVES_WAY in each.reason]
    wanting = [name for name, case in cases.items() if case.kind == "waits" and case.enforced]
    tuned = [name for name in wanting if cases[name].fine_tuned]
    creates = [name for name in tuned if found[name].action is Action.CREATE]
    waits = [name for name in tuned if found[name].action is not Action.CREATE]
    leaving = sum(case.takes_a_slot and case.kind == "deleting" for case in cases.values())

    assert len(creates) == min(len(tuned), max(0, slots - holding))
    assert all(found[name].action is Action.CREATE for name in set(wanting) - set(tuned)), "base models"
    assert all(cases[one].minutes >= cases[other].minutes for one in creates for other in waits)
    assert all(cases[name].may_give_way and cases[name].fine_tuned for name in given_way)
    spare = [name for name, case in cases.items() if case.may_give_way and case.fine_tuned]
    lacking = max(0, holding - leaving + len(tuned) - slots) if tuned else 0
    is_any_use = slots - (holding - leaving) + len(spare) > 0
    assert len(given_way) == (min(lacking, len(spare)) if is_any_use else 0)
    stay = [cases[name].minutes for name in spare if name not in given_way]
    assert all(cases[name].minutes <= other for name in given_way for other in stay)
