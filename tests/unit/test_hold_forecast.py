"""A hold → what it costs or saves until its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.model import BillingUnit, DeploymentConfig, Hold, OneOffWindow
from shared.money.hold_forecast import HoldForecast, forecast_hold
from shared.schedule.leads import Leads
from tests.fakes.clock import START
from tests.fakes.world import PRICES, config

HOUR = timedelta(hours=1)
LEADS = Leads(timedelta(minutes=15))
BY_THE_HOUR = replace(PRICES, billing_unit=BillingUnit.HOUR)


def window(
    opens: float, closes: float, *, grace: timedelta = timedelta(0), batch: bool = False
) -> OneOffWindow:
    """Open from so many hours after 08:00 on."""
    return OneOffWindow(START + opens * HOUR, START + closes * HOUR, batch, grace)


def held(way: str, until: float, *windows: OneOffWindow, after: Hold | None = None) -> HoldForecast:
    """Held from 08:00 until so many hours later, at 1.70 an hour."""
    return forecast(config("clauses", *windows), hold(way, until), after)


def hold(way: str, until: float) -> Hold:
    return Hold("clauses", way == "up", START + until * HOUR, "dana", "a demo", START)


def forecast(config: DeploymentConfig, hold: Hold, after: Hold | None = None) -> HoldForecast:
    return forecast_hold(config, LEADS, START, hold, after, sku=config.spec.sku, prices=PRICES)


def test_held_up_without_a_window_all_of_it_is_paid() -> None:
    """Two hours at 1.70."""
    assert held("up", 2) == HoldForecast(2.0, 0.0, 1.70, pytest.approx(3.40), "USD")


def test_held_up_over_a_window_only_what_lies_outside_is_paid() -> None:
    """08:00 to 14:00 around 10:00 to 12:00, whose lead and grace are hosted anyway: 3 h 40 min are beyond."""
    shown = held("up", 6, window(2, 4, grace=timedelta(minutes=5)))
    assert shown.scheduled_hours == pytest.approx(2 + 20 / 60)
    assert shown.hours == pytest.approx(3 + 40 / 60)
    assert shown.cost == pytest.approx(shown.hours * 1.70)


def test_held_up_within_a_window_costs_nothing_more() -> None:
    """It is up anyway."""
    shown = held("up", 2, window(-1, 9))
    assert (shown.hours, shown.scheduled_hours, shown.cost) == (0, 2, 0)


def test_a_batch_window_hosts_nothing_for_certain() -> None:
    """Held up through it, all of it is paid: nothing may have waited in it."""
    assert held("up", 3, window(1, 2, batch=True)).hours == 3
    assert held("down", 3, window(1, 2, batch=True)).cost == 0


def test_held_down_it_saves_what_the_windows_would_have_cost() -> None:
    """Up to its end: of 09:00 to 17:00 and the lead, the hold until 12:00 takes 3 h 15 min."""
    shown = held("down", 4, window(1, 9))
    assert shown.hours == shown.scheduled_hours == 3.25
    assert shown.cost == pytest.approx(3.25 * 1.70)


def test_held_down_to_the_end_of_a_window_its_grace_is_saved_too() -> None:
    """Nothing is open at 10:00 that could be kept for outside callers."""
    shown = held("down", 2, window(1, 2, grace=timedelta(minutes=30)))
    assert shown.hours == 1.75


def test_held_down_it_saves_what_is_left_of_the_hold_up_that_it_replaces() -> None:
    """Five hours were still to come."""
    assert held("down", 1, after=hold("up", 5)).hours == 5


def test_a_hold_up_that_is_said_again_costs_the_same() -> None:
    """Repeating the call does not make it free."""
    assert held("up", 2, after=hold("up", 2)) == held("up", 2)


def test_by_the_started_hour_a_window_may_take_up_what_the_hold_adds() -> None:
    """09:00 to 12:30 with its lead is 3 h 45 min, charged as four; from 08:45 on held up, nothing more."""
    asked = config("clauses", window(1, 4.5))
    up = Hold("clauses", True, START + 5 * HOUR, "dana", "a demo", START)
    shown = forecast_hold(asked, LEADS, START, up, None, sku="GlobalStandard", prices=BY_THE_HOUR)
    assert shown.hours == 1.25
    assert shown.cost == pytest.approx(1 * 1.70), "five started hours instead of four"


def test_on_the_developer_tier_a_hold_is_free() -> None:
    """Azure asks no hosting fee there, whether the file has a price for it or not."""
    for prices in (PRICES, replace(PRICES, hosting_per_hour={"DeveloperTier": 0.0})):
        shown = forecast_hold(
            config(), LEADS, START, hold("up", 20), None, sku="DeveloperTier", prices=prices
        )
        assert (shown.hours, shown.price_per_hour, shown.cost) == (20, 0, 0)
