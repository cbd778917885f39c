"""The plan: every pair of observed and wanted state, and the order of an account's steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from shared.model import (
    Action,
    Demand,
    DeploymentConfig,
    DeploymentRecord,
    Hosted,
    Observed,
    OneOffWindow,
    Owner,
    RecordState,
    UploadStart,
)
from shared.planning.decide import SILENT_PROBES, WINDOW_RETRY
from shared.planning.decision import Decision, Observation
from shared.planning.desired import wanted
from shared.planning.observed import OWNER_TAG, STORAGE_TAG, is_ours, observe
from shared.planning.plan import backoff, plan
from shared.planning.unanswered import not_answered
from shared.timing import TIMING
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, config, hosted, picture

ME = Owner("test", "store")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CREATED = NOW - timedelta(minutes=30)
BUSY = Demand(3, False, (NOW - timedelta(minutes=5),))
OURS = {OWNER_TAG: "test"}


def azure(
    state: str = "Succeeded",
    name: str = "clauses",
    tags: Mapping[str, str] = OURS,
    created_at: datetime | None = CREATED,
) -> Hosted:
    return hosted(name, state, created_at, tags=tags)


def record(
    state: RecordState = RecordState.OPEN, name: str = "clauses", **changes: object
) -> DeploymentRecord:
    found = changed(
        DeploymentRecord(ACCOUNT.resource_id, name),
        state=state,
        number=1,
        changed_at=CREATED,
        intent_at=CREATED,
        created_at=CREATED,
    )
    return changed(found, **changes)


def decide(
    found: Hosted | None,
    known: DeploymentRecord | None,
    *,
    demand: Demand = BUSY,
    working: int = 0,
    given: DeploymentConfig | None = None,
    began_at: datetime | None = None,
    now: datetime = NOW,
) -> Decision:
    """The decision about one deployment."""
    chosen = given or config()
    records = {"clauses": known} if known else {}
    known_now = picture(now, chosen, records=records, demand={"clauses": demand})
    seen = Observation(began_at or now, {"clauses": found} if found else {}, known_now, {"clauses": working})
    (decision,) = plan(ME, ACCOUNT, seen)
    return decision


AZURE_STATES = "Accepted Creating Succeeded Deleting Failed Canceled Disabled Moving Odd"
STATES = (*AZURE_STATES.split(), None)


@pytest.mark.parametrize(
    ("state", "known", "up", "down"),
    [
        (None, RecordState.ABSENT, Action.CREATE, Action.NOTHING),
        (None, RecordState.CREATING, Action.WAIT, Action.WAIT),
        (None, RecordState.OPEN, Action.PROBE, Action.PROBE),
        (None, RecordState.CLOSING, Action.WAIT, Action.WAIT),
        (None, RecordState.DELETING, Action.FORGET, Action.FORGET),
        ("Accepted", RecordState.CREATING, Action.WAIT, Action.WAIT),
        ("Creating", RecordState.CREATING, Action.WAIT, Action.WAIT),
        ("Creating", RecordState.ABSENT, Action.TAKE_UP, Action.TAKE_UP),
        ("Succeeded", RecordState.ABSENT, Action.TAKE_UP, Action.TAKE_UP),
        ("Succeeded", RecordState.CREATING, Action.PROBE, Action.DELETE),
        ("Succeeded", RecordState.OPEN, Action.SERVE, Action.CLOSE),
        ("Succeeded", RecordState.CLOSING, Action.REOPEN, Action.DELETE),
        ("Succeeded", RecordState.DELETING, Action.DELETE, Action.DELETE),
        ("Deleting", RecordState.DELETING, Action.WAIT, Action.WAIT),
        ("Deleting", RecordState.OPEN, Action.WAIT, Action.WAIT),
        ("Failed", RecordState.CREATING, Action.DELETE, Action.DELETE),
        ("Canceled", RecordState.CREATING, Action.DELETE, Action.DELETE),
        ("Disabled", RecordState.OPEN, Action.CLOSE, Action.CLOSE),
        ("Failed", RecordState.CLOSING, Action.DELETE, Action.DELETE),
        ("Failed", RecordState.ABSENT, Action.TAKE_UP, Action.TAKE_UP),
        ("Moving", RecordState.OPEN, Action.WAIT, Action.WAIT),
        ("Odd", RecordState.OPEN, Action.WAIT, Action.WAIT),
    ],
)
def test_the_table(state: str | None, known: RecordState, up: Action, down: Action) -> None:
    """What follows from each observed state, wanted up and wanted down."""
    found = azure(state) if state else None
    assert decide(found, record(known), demand=BUSY).action is up
    assert decide(found, record(known), demand=Demand()).action is down


def test_every_pair_has_a_decision_with_a_reason() -> None:
    """No pair creates an unwanted deployment, or deletes one that works and is wanted."""
    working = (RecordState.CREATING, RecordState.OPEN, RecordState.CLOSING)
    for state, known, owned, demand in product(STATES, RecordState, (True, False), (BUSY, Demand())):
        found = azure(state) if state else None
        decision = decide(found, record(known, owned=owned), demand=demand)
        assert decision.reason
        assert isinstance(decision.action, Action)
        assert demand is BUSY or decision.action is not Action.CREATE
        if demand is BUSY and owned and state == "Succeeded" and known in working:
            assert decision.action is not Action.DELETE


@pytest.mark.parametrize("state", [RecordState.CREATING, RecordState.CLOSING, RecordState.DELETING])
@pytest.mark.parametrize("said", ["Succeeded", "Failed"])
def test_a_delete_waits_for_workers_whatever_the_record_says(state: RecordState, said: str) -> None:
    """With a live work lease it waits; without one it deletes. A record may be behind."""
    found = azure(said)
    assert decide(found, record(state), demand=Demand(), working=2).action is Action.WAIT
    assert decide(found, record(state), demand=Demand(), working=0).action is Action.DELETE


def test_what_one_list_misses_is_doubted_and_what_many_miss_is_gone() -> None:
    """A LIST may lag or miss an entry for minutes; a probe that says that it is gone counts, too."""
    missed = record(RecordState.CREATING, missed_since=NOW - TIMING.list_lag + timedelta(seconds=1))
    waiting = decide(None, missed)
    assert (waiting.action, waiting.again_at) == (Action.WAIT, NOW + timedelta(seconds=1))
    assert decide(None, missed, began_at=NOW + timedelta(seconds=1)).action is Action.FORGET
    since = NOW - TIMING.settle
    agreed = record(RecordState.OPEN, missed_since=since, silent_since=since, silent_probes=1)
    assert decide(None, agreed).action is Action.FORGET
    assert decide(None, changed(agreed, silent_since=None)).action is Action.PROBE


def test_what_was_forgotten_and_comes_back_is_ours_also_without_its_tags() -> None:
    """The record keeps Azure's createdAt: what LISTs missed is taken up, and hosted or deleted as before."""
    forgotten = record(RecordState.ABSENT)
    assert decide(azure(tags={}), forgotten).action is Action.TAKE_UP
    deleted = changed(forgotten, deleted_at=NOW - timedelta(minutes=1))
    assert decide(azure(tags={}), deleted).action is Action.WAIT
    assert decide(azure(tags={}), changed(deleted, deleted_at=NOW - TIMING.list_lag)).action is Action.TAKE_UP


def test_hosting_for_documents_that_answers_nobody_ends() -> None:
    """It ends after some minutes, as a failure; in a window it stays for callers that may be answered."""
    since = NOW - TIMING.answer_limit - timedelta(seconds=1)
    waiting = Demand(3, False, (since,))
    silent = record(unanswered_since=since, unanswered_at=NOW, trouble="Azure answers 503")
    decision = decide(azure(), silent, demand=waiting)
    assert decision.action is Action.CLOSE
    assert "503" in decision.reason
    closing = decide(azure(), replace(silent, state=RecordState.CLOSING), demand=waiting)
    assert (closing.action, closing.failed) == (Action.DELETE, True)
    shorter = changed(silent, unanswered_since=NOW - TIMING.answer_limit)
    assert decide(azure(), shorter, demand=waiting).action is Action.SERVE
    window = OneOffWindow(NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert decide(azure(), silent, given=config("clauses", window)).action is Action.SERVE


def test_a_document_that_came_after_the_trouble_is_tried() -> None:
    """The last one was settled minutes ago, and the deployment still stands: the new one met no trouble."""
    since = NOW - timedelta(minutes=20)
    silent = record(unanswered_since=since, unanswered_at=since + timedelta(minutes=7))
    assert decide(azure(), silent, demand=Demand(1, False, (since,))).action is Action.CLOSE
    assert (
        decide(azure(), silent, demand=Demand(1, False, (NOW - timedelta(minutes=1),))).action is Action.SERVE
    )


def test_documents_do_not_pay_for_two_waits_one_after_the_other() -> None:
    """First no request found it (404), then the model failed: together no longer than the first wait."""
    since, limit = NOW - timedelta(hours=1), TIMING.ready_limit
    creating = record(
        RecordState.CREATING,
        succeeded_at=NOW - limit,
        silent_probes=9,
        unanswered_since=NOW,
        unanswered_at=NOW,
    )
    busy = Demand(1, False, (since,))
    assert decide(azure(), creating, demand=busy).action is Action.PROBE
    late = changed(creating, succeeded_at=NOW - limit - timedelta(seconds=1))
    decision = decide(azure(), late, demand=busy)
    assert (decision.action, decision.failed) == (Action.DELETE, True)
    window = OneOffWindow(NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert decide(azure(), late, given=config("clauses", window)).action is Action.PROBE


def test_the_reason_of_a_delete_stays_the_same_while_it_is_tried_again() -> None:
    """Every pass puts its own news before the cause, and none before the news of another."""
    refused = record(RecordState.DELETING, delete_not_before=NOW + timedelta(minutes=1))
    for _ in range(3):
        for working in (0, 2):
            decision = decide(azure(), refused, demand=Demand(), working=working)
            refused = replace(refused, decision=replace(refused.decision, reason=decision.reason))
    assert decision.reason == "2 workers still answering; then deleted: no window and no unfinished document"


def test_the_time_in_which_nobody_asked_does_not_count_as_unanswered() -> None:
    """The app was down for 40 minutes between failed probes: the deployment is asked again, not deleted."""
    asked = record()
    for minute in (0, 1, 41):
        at = NOW + timedelta(minutes=minute)
        assert decide(azure(), asked, now=at, demand=BUSY).action is Action.SERVE
        asked = replace(asked, generation=not_answered(asked.generation, since=at, now=at))
    assert decide(azure(), asked, now=at, demand=BUSY).action is Action.SERVE
    for minute in range(42, 60):
        at = NOW + timedelta(minutes=minute)
        asked = replace(asked, generation=not_answered(asked.generation, since=at, now=at))
        if (decision := decide(azure(), asked, now=at, demand=BUSY)).action is not Action.SERVE:
            break
    assert (decision.action, minute) == (Action.CLOSE, 46)
    assert "for 9 min" in decision.reason


def test_an_open_window_is_tried_again_soon_then_every_five_minutes() -> None:
    """Earlier failures do not lengthen this pause, and after the first of them it is 30 s."""
    window = OneOffWindow(NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    refused = record(RecordState.ABSENT, changed_at=NOW, not_before=NOW + timedelta(hours=1))
    for failures, pause in ((1, TIMING.first_backoff), (2, WINDOW_RETRY)):
        failed = changed(refused, unanswered_runs=failures)
        waiting = decide(None, failed, given=config("clauses", window))
        assert (waiting.action, waiting.again_at) == (Action.WAIT, NOW + pause)
        assert decide(None, failed, demand=BUSY).again_at == NOW + timedelta(hours=1)


def test_a_delete_of_unknown_outcome_is_in_quarantine_for_two_minutes() -> None:
    """It may take effect late, so no create may come before that."""
    unknown = record(RecordState.DELETING, settled=False, changed_at=NOW)
    assert decide(None, unknown).action is Action.WAIT
    assert decide(None, unknown, began_at=NOW + TIMING.quarantine).action is Action.FORGET
    settled = record(RecordState.DELETING, settled=True, changed_at=NOW, seen_at=NOW)
    assert decide(None, changed(settled, deleted_at=NOW)).action is Action.FORGET
    # Azure had no time for the delete, or refused it: a LIST that misses it proves nothing.
    assert decide(None, settled).action is Action.WAIT


def test_a_deployment_that_never_answers_is_created_anew() -> None:
    """Succeeded for longer than the limit, and asked since then: deleted, and counted as a failure."""
    early = record(RecordState.CREATING, succeeded_at=NOW - TIMING.ready_limit, silent_probes=SILENT_PROBES)
    assert decide(azure(), early).action is Action.PROBE
    late = changed(early, succeeded_at=NOW - TIMING.ready_limit - timedelta(seconds=1))
    assert decide(azure(), changed(late, silent_probes=SILENT_PROBES - 1)).action is Action.PROBE
    decision = decide(azure(), late)
    assert (decision.action, decision.failed) == (Action.DELETE, True)


def test_a_failed_creation_counts_only_while_it_is_wanted() -> None:
    """The backoff is for creations that were wanted and failed."""
    assert decide(azure("Failed"), record(RecordState.CREATING), demand=BUSY).failed
    assert not decide(azure("Failed"), record(RecordState.CREATING), demand=Demand()).failed


def test_backoff_holds_the_next_create() -> None:
    """Until `not_before` nothing is created, and the reason says what went wrong."""
    refused = changed(
        DeploymentRecord(ACCOUNT.resource_id, "clauses"),
        failures=2,
        problem="no quota",
        not_before=NOW + timedelta(minutes=1),
    )
    waiting = decide(None, refused)
    assert (waiting.action, waiting.again_at) == (Action.WAIT, refused.backoff.not_before)
    assert "no quota" in waiting.reason
    assert decide(None, changed(refused, not_before=NOW)).action is Action.CREATE


def test_backoff_grows_to_an_hour_and_spreads() -> None:
    """30 seconds, doubling, an hour at most; two deployments do not retry in step."""
    pauses = [backoff(n, "clauses", TIMING).total_seconds() for n in range(1, 40)]
    assert 30 <= pauses[0] <= 36
    assert all(pause <= 3600 * 1.2 for pause in pauses)
    assert pauses[-1] >= 3600
    assert backoff(3, "a", TIMING) != backoff(3, "b", TIMING)


def test_a_create_waits_after_a_delete_on_the_account() -> None:
    """Azure wants 15 to 20 s between a delete and the next create, of whichever deployment."""
    other = record(RecordState.ABSENT, "other", deleted_at=NOW - timedelta(seconds=5))
    known = picture(NOW, config(), records={"other": other}, demand={"clauses": BUSY})
    (decision,) = plan(ME, ACCOUNT, Observation(NOW, {}, known))
    assert decision.action is Action.WAIT
    assert decision.again_at == NOW - timedelta(seconds=5) + TIMING.after_delete


def test_a_session_ends_before_its_hard_deadline() -> None:
    """Ten minutes before `delete-after` it is closed, whatever waits; the next generation continues."""
    deadline = NOW + TIMING.session_margin
    assert decide(azure(), record(delete_after=deadline)).action is Action.CLOSE
    assert decide(azure(), record(delete_after=deadline + timedelta(seconds=1))).action is Action.SERVE


# --- ownership --------------------------------------------------------------------------------


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
        if state is None:
            continue
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


# --- what is wanted -----------------------------------------------------------------------------

WINDOW = OneOffWindow(NOW, NOW + timedelta(hours=1), close_grace=timedelta(minutes=5))
BATCH = OneOffWindow(NOW, NOW + timedelta(hours=1), stop_when_empty=True)


@pytest.mark.parametrize(
    ("minutes", "up", "keep"),
    [
        (-16, False, False),
        (-15, True, False),
        (0, True, False),
        (57, True, False),
        (60, False, True),
        (65, False, False),
    ],
)
def test_a_window_is_wanted_from_its_lead_to_its_end(minutes: int, up: bool, keep: bool) -> None:
    """Half-open, created by the lead before, and kept through its grace."""
    want = wanted(config("clauses", WINDOW), Demand(), NOW + timedelta(minutes=minutes))
    assert (want.up, want.keep) == (up, keep)


def test_a_batch_window_is_wanted_while_something_waits() -> None:
    """Without documents nothing is deployed; with them it is, and when they are done it goes."""
    batch = config("clauses", BATCH, uploads=UploadStart.SCHEDULED)
    assert not wanted(batch, Demand(), NOW).up
    assert wanted(batch, BUSY, NOW).up
    assert wanted(batch, BUSY, NOW - timedelta(minutes=15)).up
    assert not wanted(batch, BUSY, NOW + timedelta(hours=1)).up


def test_scheduled_uploads_wait_for_a_window() -> None:
    """They start nothing by themselves, and the reason says what they wait for."""
    scheduled = config("clauses", WINDOW, uploads=UploadStart.SCHEDULED)
    want = wanted(scheduled, BUSY, NOW - timedelta(hours=2))
    assert not want.up
    assert "wait for the next window" in want.reason
    assert want.changes_at == NOW - timedelta(minutes=15)
    assert wanted(scheduled, BUSY, NOW).changes_at == NOW + timedelta(hours=1)


# --- an account as a whole ------------------------------------------------------------------------


def order(*configured: DeploymentConfig, demand: Mapping[str, Demand]) -> list[tuple[str, Action]]:
    """The steps of an account on which `old` is closing."""
    known = picture(NOW, *configured, records={"old": record(RecordState.CLOSING, "old")}, demand=demand)
    decisions = plan(ME, ACCOUNT, Observation(NOW, {"old": azure(name="old")}, known))
    return [(each.deployment, each.action) for each in decisions]


def test_deletes_come_before_creates() -> None:
    """They take seconds, cost money while they wait, and release quota and slots."""
    steps = order(config("a"), config("old"), demand={"a": BUSY})
    assert steps == [("old", Action.DELETE), ("a", Action.CREATE)]


def test_a_window_at_risk_comes_before_deletes() -> None:
    """A create takes minutes: once a window's lead runs, its start does not wait for deletes."""
    soon = config("w", OneOffWindow(NOW + timedelta(minutes=5), NOW + timedelta(hours=1)))
    assert order(soon, config("old"), demand={}) == [("w", Action.CREATE), ("old", Action.DELETE)]
