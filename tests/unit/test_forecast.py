"""The forecast of a period, as stories: hours and dollars against always-on."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.model import (
    ALWAYS,
    BillingUnit,
    DeploymentConfig,
    Hold,
    HostingSession,
    UploadStart,
    WeeklyWindow,
)
from shared.money.forecast import RECENT, Figure, Forecast, Subject, Uploads, compare, forecast, summed
from shared.schedule.leads import Leads
from tests.fakes.clock import START
from tests.fakes.world import ACCOUNT, PRICES, config
from tests.unit.schedules import WORKDAYS, at, weekly

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BY_THE_HOUR = replace(PRICES, billing_unit=BillingUnit.HOUR)
on_workdays = functools.partial(weekly, days=WORKDAYS)
OFFICE = on_workdays("09:00", "18:00")


def subject(
    *windows: WeeklyWindow, name: str = "clauses", uploads: UploadStart = UploadStart.SCHEDULED
) -> Subject:
    """A deployment at 1.70 an hour, with a lead of a quarter of an hour."""
    one = config(name, *windows, uploads=uploads)
    return Subject(one, ACCOUNT.name, Leads(one.lead), one.spec.sku, PRICES)


def a_week(of: Subject) -> Forecast:
    """From Monday, 08:00."""
    return forecast(of, START, START + 7 * DAY)


def session(began: datetime, length: timedelta, generation: int = 1) -> HostingSession:
    return HostingSession(
        ACCOUNT.resource_id, "clauses", generation, began, began, began + length, began + length,
        "GlobalStandard", 120, 1.70,
    )  # fmt: skip


def figure(hours: float) -> Figure:
    """So many hours at 1.70."""
    return Figure(pytest.approx(hours), pytest.approx(hours * 1.70))


def test_round_the_clock_costs_what_always_on_costs() -> None:
    """From the first minute to the last, without a lead."""
    shown = a_week(subject(ALWAYS)).figures
    assert shown.certain == shown.always_on == figure(7 * 24)


def test_office_hours_against_always_on() -> None:
    """Five days of nine hours and a lead, the first of which has begun: 08:45 to 18:00."""
    shown = a_week(subject(OFFICE)).figures
    assert shown.certain == figure(5 * 9.25)
    assert shown.always_on == figure(168)
    assert shown.possible == shown.uploads == Figure()
    assert shown.always_on.minus(shown.most) == figure(168 - 46.25)


def test_a_batch_window_is_forecast_as_up_to() -> None:
    """22:00 to 04:00 with its lead, seven nights: nothing of it is certain."""
    shown = a_week(subject(weekly("22:00", "04:00", stop_when_empty=True))).figures
    assert shown.certain == Figure()
    assert shown.possible == figure(7 * 6.25)


def test_the_lead_is_taken_as_it_was_learned() -> None:
    """Half an hour instead of a quarter: five times more of it."""
    learned = replace(subject(OFFICE), leads=Leads(timedelta(minutes=30)))
    assert a_week(learned).figures.certain == figure(5 * 9.5)


@pytest.mark.parametrize(("day", "hours"), [("2026-10-25", 7.25), ("2026-03-29", 5.25), ("2026-03-28", 6.25)])
def test_the_night_of_a_clock_change_is_as_long_as_it_is(day: str, hours: float) -> None:
    """22:00 to 04:00 in Berlin: an hour more in October, one less in March."""
    night = subject(weekly("22:00", "04:00", "Europe/Berlin"))
    noon = at(f"{day}T12:00") - DAY
    assert forecast(night, noon, noon + DAY).figures.certain == figure(hours)


def test_a_month_of_office_hours_over_a_clock_change() -> None:
    """March 2026 in Berlin: 22 working days of 9 h 15 min, in UTC an hour earlier from the 30th on."""
    shown = forecast(
        subject(on_workdays("09:00", "18:00", "Europe/Berlin")), at("2026-03-01"), at("2026-04-01")
    )
    assert shown.figures.certain == figure(22 * 9.25)
    assert {f"{each.start:%H:%M}" for each in shown.plan.certain} == {"07:45", "06:45"}


def test_by_the_started_hour_each_span_is_rounded_up() -> None:
    """9 h 15 min are charged as ten, five times; always-on as it is."""
    shown = a_week(replace(subject(OFFICE), prices=BY_THE_HOUR)).figures
    assert (shown.certain.hours, shown.certain.cost) == (46.25, pytest.approx(50 * 1.70))
    assert shown.always_on.cost == pytest.approx(168 * 1.70)


def test_a_batch_window_between_two_windows_never_costs_less_than_nothing() -> None:
    """Two started hours apart, one together: up to nothing more, not less."""
    plain = on_workdays("09:00", "09:10"), on_workdays("09:40", "09:50")
    windows = (*plain, on_workdays("09:10", "09:40", stop_when_empty=True))
    shown = a_week(replace(subject(*windows), leads=Leads(timedelta(0)), prices=BY_THE_HOUR)).figures
    assert shown.possible == Figure(pytest.approx(2.5), 0)


def test_on_the_developer_tier_hosting_is_free() -> None:
    """Hours there are, and no dollars on either side."""
    shown = a_week(replace(subject(OFFICE), sku="DeveloperTier")).figures
    assert (shown.certain.hours, shown.most.cost, shown.always_on.cost) == (46.25, 0, 0)


def test_holds_count() -> None:
    """Up until tomorrow noon, or down until then: Tuesday's window begins there."""
    base = subject(OFFICE)
    up, down = (
        a_week(replace(base, hold=Hold("clauses", way, START + 28 * HOUR, "dana", "demo", START)))
        for way in (True, False)
    )
    assert up.figures.certain == figure(28 + 6 + 3 * 9.25)
    assert down.figures.certain == figure(6 + 3 * 9.25)


# --- what uploads start ------------------------------------------------------------------------------


def on_demand(*sessions: HostingSession, windows: tuple[WeeklyWindow, ...] = ()) -> Forecast:
    """The week of a deployment that documents start, after these sessions."""
    return a_week(replace(subject(*windows, uploads=UploadStart.ON_DEMAND), sessions=sessions))


def test_uploads_are_forecast_from_the_recent_past() -> None:
    """14 hours in 28 days are half an hour a day, and so 3.5 hours in a week."""
    shown = on_demand(session(START - 20 * DAY, 10 * HOUR), session(START - 2 * DAY, 4 * HOUR, 2))
    assert shown.uploads == Uploads(2, 0.5, pytest.approx(0.5 * 1.70))
    assert shown.figures.uploads == figure(3.5)


def test_what_windows_hosted_does_not_count_as_uploads() -> None:
    """On Friday it was up from 08:45 to 20:00: two hours more than its window, and the night before three."""
    friday = START - 3 * DAY
    windows = (OFFICE,)
    shown = on_demand(
        session(friday - 11 * HOUR, 3 * HOUR),
        session(friday + timedelta(minutes=45), 11.25 * HOUR, 2),
        session(friday - DAY + timedelta(minutes=45), 9 * HOUR, 3),
        windows=windows,
    )
    assert shown.uploads is not None
    assert (shown.uploads.sessions, shown.uploads.hours_a_day * 28) == (2, pytest.approx(5))


def test_only_the_last_28_days_count() -> None:
    """Of a session that reaches into them, the part inside; what is still hosted, until now."""
    running = replace(session(START - 2 * HOUR, HOUR, 2), ended_after=None, ended_by=None)
    shown = on_demand(session(START - RECENT - 5 * HOUR, 6 * HOUR), running)
    assert shown.uploads is not None
    assert shown.uploads.hours_a_day * 28 == pytest.approx(3)


def test_without_sessions_uploads_are_not_forecast() -> None:
    """Neither from the file alone, nor where nothing was hosted; nor where documents wait for a window."""
    assert on_demand().uploads is None
    assert a_week(subject(uploads=UploadStart.ON_DEMAND)).uploads is None
    waiting = replace(subject(), sessions=(session(START - 2 * DAY, HOUR),))
    assert a_week(waiting).uploads is None


def test_by_the_started_hour_each_upload_of_ten_minutes_costs_an_hour() -> None:
    """28 of them: ten minutes a day, charged as an hour a day."""
    sessions = tuple(session(START - (day + 0.5) * DAY, HOUR / 6, day) for day in range(28))
    base = subject(uploads=UploadStart.ON_DEMAND)
    shown = a_week(replace(base, sessions=sessions, prices=BY_THE_HOUR)).figures.uploads
    assert shown == Figure(pytest.approx(7 / 6), pytest.approx(7 * 1.70))


def test_uploads_never_make_more_than_always_on() -> None:
    """Nearly always up by uploads in the past, and in a window for most of the time ahead."""
    sessions = (session(START - RECENT, RECENT),)
    base = subject(weekly("00:15", "23:59"), uploads=UploadStart.ON_DEMAND)
    shown = a_week(replace(base, sessions=sessions, leads=Leads(timedelta(0)))).figures
    assert shown.most.cost <= shown.always_on.cost + 1e-9
    whole = a_week(replace(subject(uploads=UploadStart.ON_DEMAND), sessions=sessions)).figures
    assert whole.most == whole.always_on == figure(168)


# --- sums and changes --------------------------------------------------------------------------------


def test_figures_are_summed() -> None:
    """Two deployments, each with its own."""
    shown = summed(
        [a_week(subject(OFFICE)), a_week(subject(on_workdays("22:00", "04:00", stop_when_empty=True)))]
    )
    assert (shown.certain, shown.possible, shown.always_on) == (figure(46.25), figure(5 * 6.25), figure(336))
    assert summed([]).always_on == Figure()


def changes(before: DeploymentConfig | None, after: DeploymentConfig | None) -> list[str]:
    """What another file changes in a week, in words."""
    old, new = (
        [a_week(Subject(one, ACCOUNT.name, Leads(one.lead), one.spec.sku, PRICES))] if one else []
        for one in (before, after)
    )
    return [
        f"{each.deployment} {each.certain.hours:+.2f} h, at most {each.most.cost:+.2f}, "
        f"+{len(each.appears.certain)}/{len(each.appears.possible)} "
        f"-{len(each.vanishes.certain)}/{len(each.vanishes.possible)}"
        for each in compare(old, new)
    ]


def test_a_window_that_begins_earlier_appears_for_that_hour_only() -> None:
    """07:45 to 08:45, on four days; of the two Mondays what lies between 08:00 and 08:00."""
    nine, eight = (
        config("clauses", on_workdays(start, "18:00"), uploads=UploadStart.SCHEDULED)
        for start in ("09:00", "08:00")
    )
    assert changes(nine, eight) == ["clauses +5.00 h, at most +8.50, +6/0 -0/0"]
    assert changes(eight, nine) == ["clauses -5.00 h, at most -8.50, +0/0 -6/0"]
    assert changes(nine, nine) == ["clauses +0.00 h, at most +0.00, +0/0 -0/0"]


def test_a_window_that_becomes_a_batch_window_is_not_certain_any_more() -> None:
    """The same five spans vanish here and appear there; at most it costs the same."""
    plain, batch = (
        config("clauses", replace(OFFICE, stop_when_empty=batch), uploads=UploadStart.SCHEDULED)
        for batch in (False, True)
    )
    assert changes(plain, batch) == ["clauses -46.25 h, at most +0.00, +0/5 -5/0"]


def test_a_deployment_may_come_and_go() -> None:
    """With all of its hours."""
    office = config("clauses", OFFICE, uploads=UploadStart.SCHEDULED)
    assert changes(None, office) == ["clauses +46.25 h, at most +78.62, +5/0 -0/0"]
    assert changes(office, config("other")) == [
        "other +0.00 h, at most +0.00, +0/0 -0/0",
        "clauses -46.25 h, at most -78.62, +0/0 -5/0",
    ]
