"""Sessions and tokens → money."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.model import BillingStart, BillingUnit, HostingSession
from shared.money.cost import hosting_cost, token_cost
from tests.fakes.world import PRICES

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
READY = START + timedelta(minutes=7)
MUCH_LATER = START + timedelta(days=30)


def session(ended_after: datetime | None, ended_by: datetime | None) -> HostingSession:
    """Created at 08:00, ready at 08:07, at 1.70 dollars an hour."""
    return HostingSession("a", "clauses", 1, START, READY, ended_after, ended_by, "GlobalStandard", 120, 1.70)


def lasting(length: timedelta) -> HostingSession:
    """Its end was seen."""
    return session(START + length, START + length)


def test_tokens_are_charged_per_million() -> None:
    """A million prompt tokens at 0.40 and half a million of answers at 1.60 are 1.20 dollars."""
    assert token_cost(1_000_000, 500_000, PRICES) == pytest.approx(1.20)
    assert token_cost(0, 0, PRICES) == 0


@pytest.mark.parametrize(
    ("length", "minutes"),
    [
        (timedelta(hours=1), 60),
        (timedelta(minutes=9, seconds=59), 10),
        (timedelta(minutes=10), 10),
        (timedelta(minutes=10, microseconds=1), 11),
        (timedelta(seconds=1), 1),
        (timedelta(days=365), 365 * 24 * 60),
    ],
)
def test_by_the_minute_each_minute_that_began_is_charged(length: timedelta, minutes: int) -> None:
    """Rounded up, never down, at any length."""
    assert hosting_cost(lasting(length), MUCH_LATER, PRICES) == pytest.approx((minutes * 1.70 / 60,) * 2)


@pytest.mark.parametrize(("minutes", "hours"), [(1, 1), (60, 1), (61, 2), (600, 10)])
def test_by_the_hour_each_hour_that_began_is_charged(minutes: int, hours: int) -> None:
    """Ten minutes cost as much as sixty."""
    by_the_hour = replace(PRICES, billing_unit=BillingUnit.HOUR)
    cost = hosting_cost(lasting(timedelta(minutes=minutes)), MUCH_LATER, by_the_hour)
    assert cost == pytest.approx((hours * 1.70,) * 2)


def test_from_readiness_the_creation_is_free() -> None:
    """67 minutes after the create request, an hour has been charged; without readiness, nothing."""
    from_ready = replace(PRICES, billing_starts=BillingStart.READY)
    gone = lasting(timedelta(minutes=67))
    assert hosting_cost(gone, MUCH_LATER, from_ready) == pytest.approx((1.70, 1.70))
    assert hosting_cost(replace(gone, ready_at=None), MUCH_LATER, from_ready) == (0, 0)


def test_an_end_that_was_not_seen_has_two_bounds() -> None:
    """Seen at 09:00 and found gone at 10:00, it has cost between one hour and two."""
    vanished = session(START + timedelta(hours=1), START + timedelta(hours=2))
    assert hosting_cost(vanished, MUCH_LATER, PRICES) == pytest.approx((1.70, 3.40))


def test_what_still_runs_has_cost_until_now() -> None:
    """And nothing at the instant it was created."""
    running = session(None, None)
    assert hosting_cost(running, START + timedelta(minutes=30), PRICES) == pytest.approx((0.85, 0.85))
    assert hosting_cost(running, START, PRICES) == (0, 0)


def test_clocks_that_disagree_never_earn_money() -> None:
    """A session that ended before it started, by two clocks, costs nothing rather than less."""
    assert hosting_cost(lasting(timedelta(minutes=-5)), MUCH_LATER, PRICES) == (0, 0)
