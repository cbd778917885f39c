"""The decision about one deployment: every pair of observed and wanted state, and every trouble."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from shared.model import (
    Action,
    Demand,
    DeploymentRecord,
    OneOffWindow,
    RecordState,
)
from shared.planning.decide import SILENT_PROBES, WINDOW_RETRY
from shared.planning.decision import Observation
from shared.planning.plan import backoff, plan
from shared.planning.unanswered import not_answered
from shared.timing import TIMING
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, config, picture
from tests.unit.one_decision import BUSY, ME, NOW, STATES, azure, decide, record


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
    for state, known, owned, demand in product((*STATES, None), RecordState, (True, False), (BUSY, Demand())):
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
