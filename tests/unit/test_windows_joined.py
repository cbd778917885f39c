"""Windows that touch or overlap are one interval, and what closures leave of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.model import Closure, Demand, OneOffWindow
from shared.planning.desired import wanted
from shared.schedule.leads import Leads
from shared.schedule.windows import Interval, hosted_spans, intervals
from tests.fakes.world import config
from tests.unit.schedules import DAY, at, shown, weekly

MORNING, AFTERNOON = weekly("09:00", "12:00"), weekly("12:00", "18:00")
NOON = "2026-11-25T12:00"
MINUTE = timedelta(minutes=1)


# --- joined -------------------------------------------------------------------------------------------


def test_windows_that_touch_are_one() -> None:
    """09:00 to 12:00 and 12:00 to 18:00 are one, in whatever order and however little is asked for."""
    for windows in ([MORNING, AFTERNOON], [AFTERNOON, MORNING]):
        for since, until in (("2026-11-25", "2026-11-26"), (NOON, "2026-11-25T12:01")):
            assert shown(intervals(windows, at(since), at(until))) == ["11-25 09:00 to 11-25 18:00"]


def test_nothing_closes_or_opens_where_windows_touch() -> None:
    """At noon neither grace nor lead begins: the reason and the next change are those of the whole."""
    morning = weekly("09:00", "12:00", grace=timedelta(minutes=5))
    desk = config("desk", morning, AFTERNOON)
    before, after = (wanted(desk, Demand(), at(NOON) + each) for each in (-MINUTE, MINUTE))
    assert before == after
    assert before.reason == "window, 2026-11-25 09:00 UTC to 2026-11-25 18:00 UTC"
    assert before.changes_at == at("2026-11-25T18:00")


def test_the_longest_grace_of_joined_windows_counts() -> None:
    """A grace of eight hours after noon outlasts the afternoon."""
    morning = weekly("09:00", "12:00", grace=timedelta(hours=8))
    (found,) = intervals([morning, AFTERNOON], at("2026-11-25"), at("2026-11-26"))
    assert found == Interval(
        at("2026-11-25T09:00"), at("2026-11-25T18:00"), at("2026-11-25T20:00"), stop_when_empty=False
    )


def test_what_never_closes_has_its_ends_out_of_sight() -> None:
    """Every day around the clock: one interval, weeks before and after what is asked for."""
    (found,) = intervals([weekly("00:00", "24:00")], at(NOON), at(NOON) + DAY)
    assert found.start <= at(NOON) - 30 * DAY
    assert found.end >= at(NOON) + 30 * DAY


def test_a_batch_window_keeps_its_meaning_outside_a_plain_one() -> None:
    """17:00 to 22:00 until empty, beside 09:00 to 18:00: with nothing to do it ends at 18:00."""
    batch = weekly("17:00", "22:00", stop_when_empty=True)
    desk = config("desk", weekly("09:00", "18:00"), batch)
    empty, waiting = Demand(), Demand(unfinished=1)
    assert wanted(desk, empty, at("2026-11-25T17:30")).up
    assert not wanted(desk, empty, at("2026-11-25T18:00")).up
    assert wanted(desk, waiting, at("2026-11-25T18:00")).up
    assert wanted(desk, waiting, at("2026-11-25T18:00")).opens_at == at("2026-11-25T17:00")


def test_a_span_includes_lead_and_grace() -> None:
    """A gap that the lead fills is none: the deployment is created anew before it was deleted."""
    windows = [MORNING, weekly("12:10", "18:00", grace=timedelta(minutes=5))]
    spans = hosted_spans(windows, Leads(timedelta(minutes=15)), at("2026-11-25"), at("2026-11-26"))
    assert spans == [(at("2026-11-25T08:45"), at("2026-11-25T18:05"))]
    apart = hosted_spans(windows, Leads(timedelta(minutes=5)), at("2026-11-25"), at("2026-11-26"))
    assert [(end - start) // MINUTE for start, end in apart] == [185, 360]


# --- closures -----------------------------------------------------------------------------------------


def closure(start: str, end: str) -> Closure:
    return Closure(at(start), at(end), "UTC", "inventory")


def test_a_closure_cuts_out_its_time() -> None:
    """Of every window, one-off ones too, and across the point at which two touch."""
    noon = [closure("2026-11-25T11:00", "2026-11-25T13:00")]
    once = OneOffWindow(at("2026-11-25T12:30"), at("2026-11-25T19:00"))
    found = intervals([MORNING, AFTERNOON, once], at("2026-11-25"), at("2026-11-26"), noon)
    assert shown(found) == ["11-25 09:00 to 11-25 11:00", "11-25 13:00 to 11-25 19:00"]


def test_callers_have_their_grace_when_a_closure_begins() -> None:
    """A closure closes as the end of the window does."""
    office = weekly("09:00", "18:00", grace=timedelta(minutes=5))
    found = intervals(
        [office], at("2026-11-25"), at("2026-11-26"), [closure("2026-11-25T12:00", "2026-11-25T13:00")]
    )
    assert [each.keep_until for each in found] == [at("2026-11-25T12:05"), at("2026-11-25T18:05")]


def test_a_closed_deployment_is_down_and_documents_start_it_all_the_same() -> None:
    """A closure is of windows: documents of an on-demand deployment do not wait for it to end."""
    desk = config("desk", weekly("09:00", "18:00"))
    closed = replace(desk, closures=(closure("2026-11-25T08:00", "2026-11-25T20:00"),))
    assert not wanted(closed, Demand(), at(NOON)).up
    assert wanted(closed, Demand(), at(NOON)).changes_at == at("2026-11-26T08:45")
    assert wanted(closed, Demand(unfinished=1), at(NOON)).up
