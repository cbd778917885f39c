"""Waiting, leads and paid time: pure planning, as timed stories."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.model import (
    Batch,
    BillingStart,
    BillingUnit,
    Demand,
    DeploymentConfig,
    DeploymentRecord,
    OneOffWindow,
    RecordState,
    UploadStart,
)
from shared.planning.desired import Outlook, billed_from, wanted
from shared.planning.estimates import PRIOR, begins, learned
from shared.planning.uploads import MOST_BATCHES, batch_of, paid_until, start_at, with_batch
from tests.fakes.clock import START
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, PRICES, config, picture
from tests.reference.optimum import Arrival, optimum, session_seconds

MINUTE = timedelta(minutes=1)
WAITS = replace(config(), start_within=30 * MINUTE)
LEAD = Outlook(lead=15 * MINUTE)


def waiting(*minutes_ago: float) -> Demand:
    return Demand(len(minutes_ago), False, tuple(START - each * MINUTE for each in minutes_ago))


# --- how long creating takes -------------------------------------------------------------------------


def test_the_prior_is_what_is_documented_to_plan_with() -> None:
    """Median 5 minutes, 95th percentile 15; the mean of such a distribution is 6.25."""
    assert PRIOR.quantile(0.5) == pytest.approx(5 * MINUTE, abs=timedelta(seconds=1))
    assert PRIOR.quantile(0.95) == pytest.approx(15 * MINUTE, abs=timedelta(seconds=1))
    assert PRIOR.mean() == pytest.approx(6.25 * MINUTE, abs=timedelta(seconds=1))
    assert PRIOR.longer_than(15 * MINUTE) == pytest.approx(0.05)
    draws = random.Random(1)
    excess = [max(0.0, draws.lognormvariate(PRIOR.mu, PRIOR.sigma) - 600) for _ in range(100_000)]
    assert PRIOR.excess(10 * MINUTE).total_seconds() == pytest.approx(sum(excess) / len(excess), rel=0.05)


def test_few_samples_move_the_estimate_and_many_make_it() -> None:
    """Twice the prior: after 20 sessions the 95th percentile is nearly there."""
    draws = random.Random(2)
    samples = [2 * draws.lognormvariate(PRIOR.mu, PRIOR.sigma) for _ in range(200)]
    assert learned([]).quantile(0.95) == PRIOR.quantile(0.95)
    assert 15 * MINUTE < learned([600.0]).quantile(0.95) < 22 * MINUTE
    assert 24 * MINUTE < learned(samples[:20]).quantile(0.95) < 42 * MINUTE
    assert 26 * MINUTE < learned(samples).quantile(0.95) < 34 * MINUTE


def lists_of_samples(draws: random.Random) -> list[float]:
    """Seconds that creating took: few or many, alike or far apart, around quick and slow middles."""
    middle, spread = 10 ** draws.uniform(0.5, 4), draws.choice([0.01, 0.3, 1.0, 2.5])
    return [draws.lognormvariate(math.log(middle), spread) for _ in range(draws.choice([1, 2, 5, 20, 119]))]


@pytest.mark.parametrize("seed", range(60))
def test_quick_creates_never_lengthen_the_lead_and_a_slow_one_never_shortens_it(seed: int) -> None:
    """Whatever was measured, against the first prior and against what the account's others have shown."""
    draws = random.Random(seed)
    for prior in (PRIOR, learned(lists_of_samples(draws))):
        samples, lead = lists_of_samples(draws), prior.quantile(0.95)
        median = prior.quantile(0.5).total_seconds()
        quick = [min(each, draws.uniform(0.0, median)) for each in samples]
        assert learned(quick, prior).quantile(0.95) <= lead + timedelta(milliseconds=1)
        before = learned(samples, prior).quantile(0.95)
        slower = before.total_seconds() * draws.choice([1.0, 1.01, 2.0, 50.0])
        after = learned([*samples, slower], prior).quantile(0.95)
        assert after >= before - timedelta(milliseconds=1)


def test_the_lead_follows_what_creating_took() -> None:
    """One quick create says little, twenty say much; a slow one counts at once, also among quick ones."""

    def lead(*samples: float) -> float:
        return learned(samples).quantile(0.95) / MINUTE

    assert 13 < lead(9.0) < 15
    assert 4 < lead(*[60.0] * 20) < 5
    assert 1 < lead(*[60.0] * 100) < 2.5
    assert lead(3600.0) > 45
    assert lead(*[60.0] * 10, 1500.0) > 1.5 * lead(*[60.0] * 10)
    assert lead(*[60.0] * 100, *[1500.0] * 8) > 2 * lead(*[60.0] * 100)


def test_creates_of_one_account_queue_before_their_windows() -> None:
    """Three at nine: the first begins early enough for the two behind it."""
    nine = START + timedelta(hours=1)
    found = begins({name: nine for name in "abc"}, {name: PRIOR for name in "abc"})
    assert found["c"] == nine - PRIOR.quantile(0.95)
    assert found["b"] == found["c"] - PRIOR.mean()
    assert found["a"] == found["b"] - PRIOR.mean()


def test_one_that_came_up_early_is_not_deleted_because_others_came_up() -> None:
    """Its lead does not shrink while it is up."""
    window = OneOffWindow(START + 25 * MINUTE, START + 90 * MINUTE)
    hosted = [replace(config(name, window), lead=None) for name in "abc"]
    for up in itertools.product((False, True), repeat=2):
        states = {name: RecordState.OPEN for name, is_up in zip("bc", up, strict=True) if is_up}
        records = {
            name: DeploymentRecord(ACCOUNT.resource_id, name, state=state)
            for name, state in {"a": RecordState.OPEN, **states}.items()
        }
        assert picture(START, *hosted, records=records).wanted("a").up


# --- when to create ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deployment", "outlook"),
    [
        (config(), LEAD),
        (replace(config(), start_within=5 * MINUTE), LEAD),
        (WAITS, replace(LEAD, up=True)),
        (WAITS, replace(LEAD, free=True)),
    ],
    ids=["no promise", "a promise that half of the creates break", "it is up", "hosting is free"],
)
def test_where_waiting_saves_nothing_documents_start_it_at_once(
    deployment: DeploymentConfig, outlook: Outlook
) -> None:
    """`start_within: 0s` is the default, and DeveloperTier has no hosting fee."""
    assert wanted(deployment, waiting(0), START, None, outlook).up


def test_a_document_waits_for_others_as_long_as_its_promise_allows() -> None:
    """Some minutes are left for the create; the reason and the time are given."""
    want = wanted(WAITS, waiting(1), START, None, LEAD)
    assert not want.up
    assert "within 30 min" in want.reason
    assert want.changes_at is not None
    left = START + 29 * MINUTE - want.changes_at
    assert PRIOR.quantile(0.8) < left < PRIOR.quantile(0.97)
    assert wanted(WAITS, waiting(25), START, None, LEAD).up


def test_where_many_follow_it_waits_longer() -> None:
    """Those that follow are in time even if the first is late."""
    few = start_at((START,), 30 * MINUTE, PRIOR, (Batch(1, 1200, 0),) * 10, MINUTE)
    many = start_at((START,), 30 * MINUTE, PRIOR, (Batch(20, 1200, 10),) * 10, MINUTE)
    over = start_at((START,), 30 * MINUTE, PRIOR, (Batch(20, 1200, 0),) * 10, MINUTE)
    together = start_at((START,) * 20, 30 * MINUTE, PRIOR, (Batch(20, 1200, 0),) * 10, MINUTE)
    assert few < over < many
    assert together < over


def test_what_waited_together_is_kept_for_those_that_follow() -> None:
    """A burst is distinguished from a stream by the latest arrivals; the latest hundred are kept."""
    burst = [START, START + MINUTE, START + 2 * MINUTE]
    assert batch_of(burst, START + 20 * MINUTE) == Batch(3, 1200, 0)
    stream = [START, START + 9 * MINUTE, START + 10 * MINUTE, START + 15 * MINUTE]
    assert batch_of(stream, START + 20 * MINUTE) == Batch(4, 1200, 2)
    assert batch_of([START], START) == Batch(1, 0, 0)
    latest = Batch(4, 1200, 2)
    assert with_batch([Batch(1, 0, 0)] * 200, latest) == (*[Batch(1, 0, 0)] * (MOST_BATCHES - 1), latest)


def test_a_window_within_the_promise_is_joined() -> None:
    """It would be up then anyway; one that begins later is not waited for."""
    soon = replace(WAITS, windows=(OneOffWindow(START + 20 * MINUTE, START + 90 * MINUTE),))
    want = wanted(soon, waiting(1), START, None, LEAD)
    assert not want.up
    assert "in the window from" in want.reason
    late = replace(WAITS, windows=(OneOffWindow(START + 60 * MINUTE, START + 90 * MINUTE),))
    assert wanted(late, waiting(25), START, None, LEAD).up


def test_a_window_that_nothing_could_be_ready_for_is_let_pass() -> None:
    """A minute before its end no create is worth its money; what is up stays."""
    closing = config(
        "clauses", OneOffWindow(START - 60 * MINUTE, START + MINUTE), uploads=UploadStart.SCHEDULED
    )
    assert not wanted(closing, Demand(), START, None, LEAD).up
    assert wanted(closing, Demand(), START, None, replace(LEAD, up=True)).up


# --- paid time ---------------------------------------------------------------------------------------


def test_a_paid_hour_is_used_to_its_end_and_no_longer() -> None:
    """Billed by the hour, nothing is saved by deleting earlier; a minute before the end it goes."""
    record = changed(
        DeploymentRecord(ACCOUNT.resource_id, "clauses"), state=RecordState.OPEN, intent_at=START
    )
    for unit, minutes, keep in (
        (BillingUnit.HOUR, 10, True),
        (BillingUnit.HOUR, 58, True),
        (BillingUnit.HOUR, 59, False),
        (BillingUnit.HOUR, 61, True),
        (BillingUnit.MINUTE, 10, False),
    ):
        now, prices = START + minutes * MINUTE, replace(PRICES, billing_unit=unit)
        known = picture(now, config(), prices=prices, records={"clauses": record})
        assert known.wanted("clauses").keep is keep


def test_an_hour_is_paid_by_azures_clock() -> None:
    """From Azure's own createdAt, which a create that took effect late has later than its intent."""
    late = START + 2 * MINUTE
    record = changed(
        DeploymentRecord(ACCOUNT.resource_id, "clauses"), intent_at=START, created_at=late, opened_at=late
    )
    assert billed_from(record, PRICES) == late
    adopted = changed(record, adopted=config().spec, intent_at=late + MINUTE)
    assert billed_from(adopted, PRICES) == late + MINUTE
    from_ready = replace(PRICES, billing_starts=BillingStart.READY)
    assert billed_from(changed(record, opened_at=late + MINUTE), from_ready) == late + MINUTE
    assert billed_from(changed(record, owned=False), PRICES) is None


def test_the_end_of_a_paid_unit_is_the_next_one() -> None:
    """Also exactly at its end: the next one has begun."""
    hour = timedelta(hours=1)
    assert paid_until(START, START, hour) == START + hour
    assert paid_until(START, START + hour, hour) == START + 2 * hour


# --- the measure -------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [60.0, 3600.0])
def test_the_optimum_is_what_trying_everything_finds(unit: float) -> None:
    """Every way to split seven documents into sessions, on many small cases."""
    source = random.Random(int(unit))
    for _ in range(60):
        at = sorted(source.uniform(0, source.choice((1800, 7200, 30_000))) for _ in range(7))
        trace = tuple(Arrival(each, source.uniform(1, 20)) for each in at)
        best = min(
            sum(-(-session_seconds(group, 1800.0, 375.0) // unit) * unit for group in split)
            for split in splits(trace)
        )
        assert optimum(trace, 1800.0, 375.0, unit) == pytest.approx(best)


def splits(trace: tuple[Arrival, ...]) -> list[list[tuple[Arrival, ...]]]:
    """Every way to cut a row into pieces."""
    found = []
    for cuts in itertools.product((False, True), repeat=len(trace) - 1):
        pieces, start = [], 0
        for place, cut in enumerate(cuts, 1):
            if cut:
                pieces.append(trace[start:place])
                start = place
        found.append([*pieces, trace[start:]])
    return found
