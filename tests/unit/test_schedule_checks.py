"""What is wrong with a schedule: refused for good, or warned of for the next 12 months."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from shared.errors import SettingProblem
from shared.model import ALWAYS, Closure, DeploymentConfig, OneOffWindow, UploadStart, WeeklyWindow
from shared.schedule.leads import Leads
from shared.settings.schedule_checks import schedule_mistakes, schedule_warnings
from tests.fakes.world import config
from tests.unit.schedules import WORKDAYS, at, weekly

NOW = at("2026-11-25T10:00")
CHRISTMAS = date(2026, 12, 25)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


def mistakes(*windows: WeeklyWindow | OneOffWindow, max_session: timedelta = 12 * HOUR) -> list[str]:
    return [str(each) for each in schedule_mistakes(config("desk", *windows, max_session=max_session))]


def warnings(*windows: WeeklyWindow | OneOffWindow, closures: tuple[Closure, ...] = ()) -> list[str]:
    return [str(each) for each in warned(replace(config("desk", *windows), closures=closures))]


def warned(desk: DeploymentConfig) -> list[SettingProblem]:
    """With a lead of a quarter of an hour."""
    return schedule_warnings(desk, Leads(QUARTER), NOW)


# --- mistakes -----------------------------------------------------------------------------------------


def test_ordinary_schedules_have_neither_mistakes_nor_warnings() -> None:
    """Business hours in two parts, a night until empty, and a window once."""
    windows = [
        weekly("09:00", "12:00", "Europe/Berlin", days=WORKDAYS, skip_holidays="DE-BE"),
        weekly("12:00", "18:00", "Europe/Berlin", days=WORKDAYS, skip_holidays="DE-BE"),
        weekly("22:00", "04:00", "Europe/Berlin", stop_when_empty=True),
        OneOffWindow(at("2026-12-05T10:00"), at("2026-12-05T11:00")),
    ]
    assert mistakes(*windows) == []
    assert warnings(*windows) == []


@pytest.mark.parametrize(
    "window",
    [
        weekly("09:00", "18:00", days=[6], starting=date(2026, 12, 1), until=date(2026, 12, 5)),
        weekly("09:00", "18:00", starting=CHRISTMAS, until=date(2026, 12, 26), skip_holidays="DE-BE"),
        weekly("09:00", "18:00", starting=CHRISTMAS, until=CHRISTMAS, skip_dates=frozenset({CHRISTMAS})),
        weekly("02:30", "03:00", "America/New_York", starting=date(2026, 3, 8), until=date(2026, 3, 8)),
    ],
)
def test_a_window_whose_dates_never_occur_is_a_mistake(window: WeeklyWindow) -> None:
    """No such weekday between them, holidays and skipped dates only, or an hour that there is not."""
    (shown,) = mistakes(window)
    assert shown.startswith(f"deployments.desk.schedule.0: opens on no day from {window.starting} to ")


def test_windows_that_follow_each_other_must_fit_into_the_longest_session() -> None:
    """From 09:00 to 20:35 makes 12 hours with lead and margin; the grace at 15:00 does not count."""
    morning = weekly("09:00", "15:00", grace=timedelta(minutes=5))
    assert mistakes(morning, weekly("15:00", "20:35")) == []
    (shown,) = mistakes(morning, weekly("15:00", "20:36"))
    assert shown == (
        "deployments.desk.schedule: has windows that follow each other without a break (from Mon 08:45 UTC "
        "on) and need a session of 12:01:00 with lead, grace and 0:10:00 to end in; max_session is 12:00:00: "
        "raise that, or leave a gap that is longer than lead and grace"
    )
    assert mistakes(morning, weekly("15:00", "20:36"), max_session=13 * HOUR) == []
    assert mistakes(morning, weekly("15:10", "20:36")) != []  # the lead fills the gap
    assert mistakes(morning, weekly("15:21", "20:36")) == []


def test_a_batch_window_after_a_plain_one_is_no_mistake() -> None:
    """It ends as soon as nothing waits, and a generation more loses no document: that is warned of."""
    evening = weekly("18:00", "23:00", stop_when_empty=True)
    assert mistakes(weekly("09:00", "18:00"), evening) == []
    (shown,) = warnings(weekly("09:00", "18:00"), evening)
    assert "follow each other without a break from 2026-11-25 08:45 to 2026-11-25 23:00 UTC" in shown


def test_what_never_closes_fits_into_no_session() -> None:
    """Four windows a day, each short enough."""
    around = [
        weekly(f"{hour:02}:00", f"{(hour + 6) % 24:02}:00" if hour < 18 else "24:00")
        for hour in range(0, 24, 6)
    ]
    (shown,) = mistakes(*around)
    assert "need a session without end" in shown


def test_a_window_that_is_too_long_by_itself_is_reported_once() -> None:
    """Not again for the chain that it is in."""
    (shown,) = mistakes(weekly("06:00", "19:00"), weekly("19:00", "20:00"))
    assert shown.startswith("deployments.desk.schedule.0: needs a session of 13:25:00 ")


def test_dates_do_not_make_a_chain_valid() -> None:
    """A file that is valid today must be valid whenever it is read again."""
    summer = weekly("15:00", "22:00", starting=date(2020, 6, 1), until=date(2020, 8, 31))
    assert len(mistakes(weekly("09:00", "15:00"), summer)) == 1


def test_round_the_clock_is_neither_too_long_nor_warned_of() -> None:
    """Its session has no end; what has no effect beside it, or is deleted by Azure, is a warning."""
    assert mistakes(ALWAYS) == []
    assert warnings(ALWAYS) == []
    desk = replace(config("desk", ALWAYS), start_within=HOUR)
    desk = replace(desk, spec=replace(desk.spec, sku="DeveloperTier"))
    tier, within = (str(each) for each in warned(desk))
    assert tier.startswith("deployments.desk.always: Azure deletes a DeveloperTier deployment after 24 h")
    assert within.startswith("deployments.desk.always: with it uploads.start_within has no effect")


# --- warnings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "shown"),
    [
        (OneOffWindow(NOW - 2 * HOUR, NOW), "is over since 2026-11-25 10:00 UTC: remove it"),
        (weekly("09:00", "10:00", until=date(2026, 11, 25)), "is over since 2026-11-25 10:00 UTC: remove it"),
        (
            weekly("02:10", "02:50", "America/New_York"),
            "on 2027-03-14 the clocks go forward by 1:00:00; 02:10 is skipped and it opens at 03:10; "
            "02:50 is skipped and it closes at 03:50",
        ),
        (
            weekly("22:00", "02:30", "Europe/Berlin", days=[5], starting=date(2027, 5, 1)),
            "on 2027-10-30 the clocks go back by 1:00:00; 02:30 comes twice and it closes at the second; "
            "it is open for 5:30:00 instead of 4:30:00",
        ),
        (
            weekly("09:00", "10:00", skip_holidays="UA"),
            "skips nothing: no public holiday of UA is known in 2026, 2027",
        ),
    ],
)
def test_a_window_is_warned_of(window: WeeklyWindow | OneOffWindow, shown: str) -> None:
    """What is over, what the clocks move, and with the date and what happens."""
    assert warnings(window) == [f"deployments.desk.schedule.0: {shown}"]


@pytest.mark.parametrize(
    ("windows", "closures", "waits"),
    [
        ([OneOffWindow(NOW - 2 * HOUR, NOW)], (), True),
        ([OneOffWindow(NOW - 2 * HOUR, NOW), OneOffWindow(NOW - HOUR, NOW + HOUR)], (), False),
        ([weekly("09:00", "10:00", until=date(2026, 11, 24)), OneOffWindow(NOW - HOUR, NOW)], (), True),
        ([weekly("09:00", "10:00")], (Closure(NOW - HOUR, NOW + 400 * 24 * HOUR, "UTC"),), True),
    ],
    ids=["over", "one is open", "all are over", "closed"],
)
def test_documents_without_a_window_that_can_still_open_are_warned_of(
    windows: list[WeeklyWindow | OneOffWindow], closures: tuple[Closure, ...], waits: bool
) -> None:
    """It is about them, beside what is said of each window; not if documents start the deployment."""
    desk = replace(config("desk", *windows), closures=closures)

    def about_uploads(uploads: UploadStart) -> list[str]:
        return [
            each.remedy
            for each in warned(replace(desk, uploads=uploads))
            if each.key == "deployments.desk.uploads.start"
        ]

    assert about_uploads(UploadStart.ON_DEMAND) == []
    shown = about_uploads(UploadStart.SCHEDULED)
    assert [each.endswith("Add a window, or set uploads.start: on_demand") for each in shown] == [
        True
    ] * waits


def test_a_window_that_closures_cover_is_warned_of() -> None:
    """A one-off window inside one; not a window that starts after it."""
    inside = OneOffWindow(NOW + 2 * HOUR, NOW + 3 * HOUR)
    closure = Closure(NOW, NOW + 400 * 24 * HOUR, "UTC")
    later = weekly("09:00", "10:00", starting=date(2028, 1, 1))
    assert warnings(inside, later, closures=(closure,)) == [
        "deployments.desk.schedule.0: never opens in 12 months: closures and dates leave nothing of it"
    ]


def test_a_session_that_is_too_long_on_one_date_is_warned_of() -> None:
    """A one-off window after business hours, and documents that keep a night open until the morning."""
    office = weekly("09:00", "18:00", days=WORKDAYS)
    party = OneOffWindow(at("2026-12-04T18:00"), at("2026-12-04T22:00"))
    (shown,) = warnings(office, party)
    assert "from 2026-12-04 08:45 to 2026-12-04 22:00 UTC" in shown
    assert "max_session (12:00:00) has the deployment deleted and created again in between" in shown
    (shown,) = warnings(office, weekly("05:00", "09:00", stop_when_empty=True, days=[0]))
    assert "from 2026-11-30 04:45 to 2026-11-30 18:00 UTC" in shown
