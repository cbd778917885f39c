"""Advice where the figures support it, and none where they do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.model import Hold, HostingSession, UploadStart
from shared.money.advice import Advice, Advised, advise
from shared.money.forecast import Subject, forecast
from shared.schedule.leads import Leads
from tests.fakes.clock import START
from tests.unit.schedules import weekly
from tests.unit.test_forecast import BY_THE_HOUR, DAY, HOUR, OFFICE, on_workdays, session, subject


def advised(of: Subject, name: Advice | None = None, days: int = 7) -> list[Advised]:
    """What is advised for a week from Monday, 08:00, on; by its name."""
    found = list(advise(forecast(of, START, START + days * DAY)))
    return [each for each in found if name in (None, each.name)]


# --- DeveloperTier -----------------------------------------------------------------------------------


def test_the_developer_tier_would_save_all_hosting() -> None:
    """46.25 h at 1.70; with what it is not good for."""
    (shown,) = advised(subject(OFFICE))
    assert shown.name == "developer_tier"
    assert shown.saves == pytest.approx(46.25 * 1.70)
    assert shown.text.startswith("on the SKU DeveloperTier it would cost 78.62 USD less. Only for evaluation")
    for caveat in ("data residency", "SLA", "after 24 hours", "longest stay here is 9 h 15 min"):
        assert caveat in shown.text


def test_what_is_not_certain_is_saved_up_to() -> None:
    """A batch window may need nothing."""
    (shown,) = advised(subject(on_workdays("22:00", "04:00", stop_when_empty=True)))
    assert "it would cost up to 53.12 USD less" in shown.text


def test_the_developer_tier_is_not_advised_where_it_is_no_use() -> None:
    """It is that already; it saves nothing; or it would be deleted in the middle, ahead or in the past."""
    office = subject(OFFICE)
    assert advised(replace(office, sku="DeveloperTier")) == []
    assert advised(subject()) == []
    assert advised(subject(weekly("00:00", "00:00"))) == []
    assert advised(replace(office, hold=Hold("clauses", True, START + DAY, "dana", "demo", START))) == []
    lasted = replace(office, sessions=(session(START - 9 * DAY, 24 * HOUR),))
    assert advised(lasted, Advice.DEVELOPER_TIER) == []
    running = replace(session(START - 25 * HOUR, HOUR), ended_after=None, ended_by=None)
    assert advised(replace(office, sessions=(running,)), Advice.DEVELOPER_TIER) == []


def test_a_price_of_its_own_counts() -> None:
    """Somebody's price sheet has one: the difference is what is saved."""
    prices = replace(subject().prices, hosting_per_hour={"GlobalStandard": 1.70, "DeveloperTier": 0.70})
    (shown,) = advised(replace(subject(OFFICE), prices=prices))
    assert shown.saves == pytest.approx(46.25)


# --- gaps between windows ----------------------------------------------------------------------------


def test_a_gap_that_saves_nothing_is_left_alone() -> None:
    """08:45 to 12:00 and 12:30 to 17:00 are 4 + 5 started hours, and so is 08:45 to 17:00 together."""
    windows = on_workdays("09:00", "12:00"), on_workdays("12:45", "17:00")
    assert advised(replace(subject(*windows), prices=BY_THE_HOUR), Advice.SHORT_GAP) == []


def test_a_gap_is_reported_with_how_often_how_long_and_what_it_saves() -> None:
    """08:45 to 11:55 and 12:10 to 17:15 are 4 + 6 started hours, kept open 9: one hour, five times a week."""
    windows = on_workdays("09:00", "11:55"), on_workdays("12:25", "17:15")
    (shown,) = advised(replace(subject(*windows), prices=BY_THE_HOUR), Advice.SHORT_GAP)
    assert shown.name == "short_gap"
    assert shown.saves == pytest.approx(5 * 1.70)
    assert shown.text.startswith(
        "it closes 5 time(s) between two windows for 15 min only: keeping it open costs 8.50"
    )
    assert "charged by the started hour" in shown.text and "a lead of 15 min" in shown.text


def test_by_the_minute_no_gap_is_dearer() -> None:
    """One as long as the lead is kept open anyway, and from there on every minute saves."""
    for opens in ("12:00", "12:15", "12:16", "12:30", "14:00"):
        windows = on_workdays("09:00", "12:00"), on_workdays(opens, "17:00")
        assert advised(subject(*windows), Advice.SHORT_GAP) == []


def test_three_windows_are_joined_one_after_the_other() -> None:
    """What was kept open continues as one session: 2 + 2 + 2 started hours are four, none counted twice."""
    windows = (on_workdays("09:00", "10:05"), on_workdays("10:25", "11:30"), on_workdays("11:50", "12:40"))
    base = replace(subject(*windows), prices=BY_THE_HOUR, leads=Leads(timedelta(minutes=15)))
    (shown,) = advised(base, Advice.SHORT_GAP)
    assert shown.saves == pytest.approx(5 * 2 * 1.70)
    assert shown.text.startswith("it closes 10 time(s) between two windows for 5 min only")


def test_what_no_session_can_last_is_not_advised() -> None:
    """Twelve hours at most, and the two windows together are longer."""
    windows = on_workdays("06:00", "11:55"), on_workdays("12:25", "18:15")
    base = replace(subject(*windows), prices=BY_THE_HOUR)
    assert advised(base, Advice.SHORT_GAP) == []
    longer = replace(base, config=replace(base.config, max_session=timedelta(hours=14)))
    assert len(advised(longer, Advice.SHORT_GAP)) == 1


def test_a_hold_or_a_batch_window_makes_no_gap_of_windows() -> None:
    """Nobody can join a hold with a window; and in a batch window it may be up anyway."""
    windows = on_workdays("09:00", "11:55"), on_workdays("12:25", "17:15")
    held = Hold("clauses", True, START + timedelta(minutes=30), "dana", "demo", START)
    assert advised(replace(subject(windows[0]), hold=held, prices=BY_THE_HOUR), Advice.SHORT_GAP) == []
    batch = subject(*windows, on_workdays("12:00", "12:20", stop_when_empty=True))
    assert advised(replace(batch, prices=BY_THE_HOUR), Advice.SHORT_GAP) == []


# --- windows in which nobody asks --------------------------------------------------------------------


def hosted_daily(until_hour: float = 18) -> tuple[HostingSession, ...]:
    """Sessions from 08:45 on, on the last 28 days."""
    morning = START - DAY + timedelta(minutes=45)
    return tuple(
        session(morning - day * DAY, (until_hour - 8.75) * HOUR, generation=28 - day) for day in range(28)
    )


IDLE = replace(subject(OFFICE), sessions=hosted_daily(), asked=())


def test_a_window_in_which_nobody_asked_is_reported_with_what_it_costs() -> None:
    """Hosted on 20 working days; callers from outside are not seen, and the advice says so."""
    (shown,) = advised(IDLE, Advice.IDLE_WINDOW)
    assert shown.saves == pytest.approx(46.25 * 1.70)
    assert (
        "in the last 28 days no document came or was answered in its window 09:00 to 18:00 UTC" in shown.text
    )
    assert "hosted 20 time(s)" in shown.text and "costs 78.62 USD less" in shown.text
    assert "Callers outside Lamplighter are not seen here" in shown.text


@pytest.mark.parametrize(
    ("when", "is_idle"),
    [
        (START - 3 * DAY + 4 * HOUR, False),  # Friday noon
        (START - 3 * DAY + timedelta(minutes=50), False),  # in its lead
        (START - 3 * DAY + 11 * HOUR, True),  # Friday evening
        (START - 2 * DAY + 4 * HOUR, True),  # Saturday
    ],
)
def test_one_document_in_it_is_enough(when: object, is_idle: bool) -> None:
    """By when it came or was finished; outside of the window it says nothing of it."""
    assert bool(advised(replace(IDLE, asked=(when,)), Advice.IDLE_WINDOW)) is is_idle  # type: ignore[arg-type]


def test_a_window_is_judged_only_where_the_past_is_known_and_it_was_hosted() -> None:
    """Not from the file alone, not of more documents than were read, not if it never was up."""
    for unknown in (
        replace(IDLE, sessions=None),
        replace(IDLE, asked=None),
        replace(IDLE, sessions=()),
        replace(IDLE, sessions=(session(START - 2 * DAY, HOUR),)),
    ):
        assert advised(unknown, Advice.IDLE_WINDOW) == []


def test_a_window_for_outside_callers_or_until_empty_is_not_judged() -> None:
    """close_grace is for callers that are not seen; a batch window costs nothing while nobody asks."""
    for window in (replace(OFFICE, close_grace=timedelta(minutes=5)), replace(OFFICE, stop_when_empty=True)):
        one = replace(IDLE, config=replace(IDLE.config, windows=(window,)))
        assert advised(one, Advice.IDLE_WINDOW) == []


def test_of_two_windows_only_the_idle_one_is_reported() -> None:
    """Mornings are used; the evenings are not, and cost their own hours only, lead included."""
    windows = on_workdays("09:00", "12:00"), on_workdays("16:00", "18:00")
    asked = tuple(START - day * DAY + 2 * HOUR for day in range(1, 28))
    both = replace(subject(*windows), sessions=hosted_daily(), asked=asked)
    (shown,) = advised(both, Advice.IDLE_WINDOW)
    assert "16:00 to 18:00" in shown.text
    assert shown.saves == pytest.approx(5 * 2.25 * 1.70)


def test_nothing_is_advised_that_saves_nothing() -> None:
    """A deployment that only uploads start, without a past."""
    assert advised(subject(uploads=UploadStart.ON_DEMAND)) == []
