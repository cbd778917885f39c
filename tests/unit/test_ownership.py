"""Whose a deployment is, and what follows from that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

from shared.model import (
    Action,
    Demand,
    DeploymentRecord,
    Observed,
    RecordState,
)
from shared.planning.decision import Observation
from shared.planning.observed import OWNER_TAG, STORAGE_TAG, is_ours, observe
from shared.planning.plan import plan
from shared.timing import TIMING
from tests.fakes.world import ACCOUNT, picture
from tests.unit.one_decision import BUSY, CREATED, ME, NOW, STATES, azure, decide, record


def test_a_twin_is_neither_used_nor_touched() -> None:
    """The same installation with records elsewhere: its tag says so, whatever a copied record says."""
    tags = {OWNER_TAG: "test", STORAGE_TAG: "copy"}
    assert observe(azure(tags=tags), record(), ME, TIMING) is Observed.FOREIGN
    unknown = DeploymentRecord(ACCOUNT.resource_id, "clauses")
    for demand, action in ((BUSY, Action.WAIT), (Demand(), Action.NOTHING)):
        decision = decide(azure(tags=tags), unknown, demand=demand)
        assert decision.action is action
        assert "copy" in decision.reason
    assert (
        observe(azure(tags={OWNER_TAG: "test", STORAGE_TAG: "store"}), record(), ME, TIMING) is Observed.READY
    )


def test_either_the_tag_or_the_record_makes_it_ours() -> None:
    """Azure is reported to lose tags, and a crash may lose a record: one of the two is enough.

    A deployment that existed before our intent is foreign, and so is one with another installation's tag.
    """
    assert is_ours(azure(), record(RecordState.ABSENT), ME, TIMING)
    assert is_ours(azure(tags={}), record(RecordState.OPEN), ME, TIMING)
    assert is_ours(azure(tags={}), record(RecordState.CREATING, created_at=None), ME, TIMING)
    assert is_ours(azure(tags={}, created_at=None), record(RecordState.OPEN), ME, TIMING)
    before = record(RecordState.CREATING, created_at=None, intent_at=CREATED + timedelta(minutes=10))
    assert not is_ours(azure(tags={}), before, ME, TIMING)
    replaced = record(RecordState.OPEN, created_at=CREATED - timedelta(hours=1))
    assert not is_ours(azure(tags={}), replaced, ME, TIMING)
    assert observe(azure(tags={OWNER_TAG: "they"}), record(), ME, TIMING) is Observed.FOREIGN


def test_a_create_that_was_given_up_and_took_effect_is_ours_without_its_tag() -> None:
    """A late LIST made the app forget it, and try anew: the intent that fits is not the last one."""
    sent_at = CREATED - timedelta(seconds=100)
    given_up = record(RecordState.CREATING, created_at=None, intent_at=CREATED + timedelta(minutes=10))
    given_up = replace(given_up, doubted_at=sent_at)
    for state in (RecordState.CREATING, RecordState.ABSENT):
        assert is_ours(azure(tags={}), replace(given_up, state=state), ME, TIMING)
    assert decide(azure(tags={}), given_up).action is Action.PROBE
    much_later = azure(
        tags={}, created_at=sent_at + TIMING.quarantine + TIMING.clock_skew + timedelta(seconds=1)
    )
    assert not is_ours(much_later, given_up, ME, TIMING)


def test_a_foreign_deployment_is_used_and_left_alone() -> None:
    """Wanted up it is probed and served; wanted down nothing is done to it."""
    foreign = azure(tags={})
    unknown = DeploymentRecord(ACCOUNT.resource_id, "clauses")
    assert decide(foreign, unknown).action is Action.PROBE
    assert decide(azure("Creating", tags={}), unknown).action is Action.WAIT
    assert decide(foreign, unknown, demand=Demand()).action is Action.NOTHING
    used = record(RecordState.OPEN, owned=False, intent_at=None)
    assert decide(foreign, used).action is Action.SERVE
    assert decide(foreign, used, demand=Demand()).action is Action.NOTHING


def test_a_foreign_deployment_is_never_written_to() -> None:
    """Whatever the record says, no step changes somebody else's deployment."""
    for state, known, owned, demand in product(STATES, RecordState, (True, False), (BUSY, Demand())):
        foreign = azure(state, tags={OWNER_TAG: "they"})
        action = decide(foreign, record(known, owned=owned), demand=demand).action
        assert action not in (Action.CREATE, Action.DELETE, Action.TAKE_UP)


def test_ours_and_no_longer_configured_is_deleted_through_the_fence() -> None:
    """Taking a deployment out of the file closes and deletes it."""
    known = picture(NOW, records={"old": record(name="old")})
    (decision,) = plan(ME, ACCOUNT, Observation(NOW, {"old": azure(name="old")}, known))
    assert (decision.deployment, decision.action) == ("old", Action.CLOSE)
    assert "deployments.yaml" in decision.reason


def test_what_is_neither_ours_nor_configured_is_not_even_mentioned() -> None:
    """Deployments of other teams on the account are ignored."""
    seen = Observation(NOW, {"theirs": azure(name="theirs", tags={})}, picture(NOW))
    assert plan(ME, ACCOUNT, seen) == ()
