"""Schedule and hold → what is hosted for certain, and what batch windows add at most."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from shared.model import Demand, Hold, OneOffWindow, UploadStart
from shared.money.spans import Planned, Span, merged, planned, without
from shared.planning.desired import wanted
from shared.schedule.leads import Leads
from tests.fakes.clock import START
from tests.fakes.world import config

HOUR = timedelta(hours=1)
LEAD = timedelta(minutes=15)
DAY = 24 * HOUR


def span(start: float, end: float) -> Span:
    """Hours after 08:00."""
    return Span(START + start * HOUR, START + end * HOUR)


def window(start: float, end: float, grace: float = 0, *, batch: bool = False) -> OneOffWindow:
    return OneOffWindow(START + start * HOUR, START + end * HOUR, batch, grace * HOUR)


def plan(*windows: OneOffWindow, held: str = "", until: float = 0) -> Planned:
    """The next day's plan, held up or down until so many hours from now."""
    hold = Hold("clauses", held == "up", START + until * HOUR, "dana", "a demo", START) if held else None
    return planned(config("clauses", *windows), Leads(LEAD), START, START + DAY, hold)


def test_a_window_is_hosted_from_its_lead_to_the_end_of_its_grace() -> None:
    """10:00 to 12:00 with 30 minutes for outside callers: 09:45 to 12:30."""
    assert plan(window(2, 4, 0.5)) == Planned((span(1.75, 4.5),))


def test_windows_so_close_that_the_lead_reaches_the_first_are_one_span() -> None:
    """Nothing is deleted in between."""
    assert plan(window(2, 4), window(4.25, 6)) == Planned((span(1.75, 6),))
    assert plan(window(2, 4), window(4.5, 6)) == Planned((span(1.75, 4), span(4.25, 6)))


def test_a_batch_window_is_possible_where_nothing_is_certain() -> None:
    """08:45 to 14:00 with a plain window in the middle, whose lead is certain too."""
    assert plan(window(1, 6, batch=True), window(2, 4)) == Planned(
        (span(1.75, 4),), (span(0.75, 1.75), span(4, 6))
    )


def test_what_lies_outside_the_time_is_cut_off() -> None:
    """A window that is open now counts from now on, one that goes on beyond the end to the end; leads too."""
    assert plan(window(-2, 1), window(23, 30)) == Planned((span(0, 1), span(22.75, 24)))
    assert plan(window(24.1, 30)) == Planned((span(23.85, 24),))
    assert plan(window(24.25, 30)) == plan(window(-3, -1)) == Planned()


def test_a_hold_up_is_certain() -> None:
    """And takes what a batch window could have hosted."""
    assert plan(window(1, 4, batch=True), held="up", until=2) == Planned((span(0, 2),), (span(2, 4),))
    assert plan(held="up", until=48) == Planned((span(0, 24),))


def test_a_hold_down_takes_windows_until_it_ends() -> None:
    """In the middle of one it comes back at once, without a lead."""
    assert plan(window(1, 4), window(6, 8), held="down", until=2) == Planned((span(2, 4), span(5.75, 8)))
    assert plan(window(1, 4, batch=True), held="down", until=2) == Planned((), (span(2, 4),))
    assert plan(window(1, 4), held="down", until=0.9) == Planned((span(0.9, 4),))


def test_after_a_hold_down_to_its_end_no_window_is_kept_for_its_grace() -> None:
    """Nothing is open that could be kept."""
    assert plan(window(1, 2, 1), held="down", until=2) == Planned()
    assert plan(window(1, 2, 1), held="down", until=1.5) == Planned((span(1.5, 3),))


def test_a_hold_that_is_over_bends_nothing() -> None:
    """It has expired at this instant."""
    assert plan(window(1, 2), held="down", until=0) == plan(window(1, 2))


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        ([], [(0, 4), (6, 8)]),
        ([(1, 2)], [(0, 1), (2, 4), (6, 8)]),
        ([(-1, 1), (3, 7)], [(1, 3), (7, 8)]),
        ([(4, 6)], [(0, 4), (6, 8)]),
        ([(0, 4)], [(6, 8)]),
        ([(-9, 9)], []),
    ],
)
def test_time_is_taken_out_of_spans(cut: list[tuple[float, float]], left: list[tuple[float, float]]) -> None:
    """Half-open: what touches takes nothing."""
    spans = (span(0, 4), span(6, 8))
    assert without(spans, [span(*each) for each in cut]) == tuple(span(*each) for each in left)


@pytest.mark.parametrize("seed", range(60))
def test_the_plan_is_what_a_pass_wants_at_each_instant(seed: int) -> None:
    """Random windows and holds, walked through: without documents what is certain, with them all of it.

    What is only kept for outside callers stays if it is up.
    """
    dice, step = random.Random(seed), timedelta(minutes=5)
    starts = [dice.randrange(-4 * 12, 30 * 12) / 12 for _ in range(dice.randrange(1, 5))]
    windows = [
        window(each, each + dice.randrange(1, 96) / 12, dice.choice([0, 0, 0.5]), batch=dice.random() < 0.4)
        for each in starts
    ]
    hold = Hold("clauses", dice.random() < 0.5, START + dice.randrange(1, 200) * step, "dana", "demo", START)
    held = hold if dice.random() < 0.6 else None
    one = config("clauses", *windows, uploads=UploadStart.SCHEDULED)
    told = planned(one, Leads(LEAD), START, START + DAY, held)
    for demand, expected in ((Demand(), told.certain), (Demand(1), merged((*told.certain, *told.possible)))):
        found, now = list[Span](), START
        up = any(each.start <= START < each.end for each in expected)  # what was up before is up
        while now < START + DAY:
            want = wanted(one, demand, now, held)
            up = want.up or (want.keep and up)
            found += [Span(now, now + step)] if up else []
            now += step
        assert merged(found) == expected


def test_spans_that_touch_are_one_and_empty_ones_are_none() -> None:
    """In order, whatever order they came in."""
    assert merged([span(3, 4), span(1, 2), span(2, 3), span(5, 5), span(1, 1.5)]) == (span(1, 4),)
