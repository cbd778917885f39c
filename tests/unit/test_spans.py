"""Schedule and hold → what is hosted for certain, and what batch windows add at most."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

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


def test_a_batch_window_is_possible_where_nothing_is_certain() -> None:
    """08:45 to 14:00 with a plain window in the middle, whose lead is certain too."""
    assert plan(window(1, 6, batch=True), window(2, 4)) == Planned(
        (span(1.75, 4),), (span(0.75, 1.75), span(4, 6))
    )


def test_a_hold_down_takes_windows_until_it_ends() -> None:
    """In the middle of one it comes back at once, without a lead."""
    assert plan(window(1, 4), window(6, 8), held="down", until=2) == Planned((span(2, 4), span(5.75, 8)))
    assert plan(window(1, 4, batch=True), held="down", until=2) == Planned((), (span(2, 4),))
    assert plan(window(1, 4), held="down", until=0.9) == Planned((span(0.9, 4),))


def test_after_a_hold_down_to_its_end_no_window_is_kept_for_its_grace() -> None:
    """Nothing is open that could be kept."""
    assert plan(window(1, 2, 1), held="down", until=2) == Planned()
    assert plan(window(1, 2, 1), held="down", until=1.5) == Planned((span(1.5, 3),))


HOURS = st.lists(
    st.tuples(st.integers(-4, 20), st.integers(-2, 9)).map(lambda drawn: (drawn[0], sum(drawn))), max_size=6
)


def hours_in(spans: Iterable[Span]) -> set[int]:
    """Which hours lie in the spans; theirs are whole."""
    return {hour for one in spans for hour in range((one.start - START) // HOUR, (one.end - START) // HOUR)}


@given(HOURS, HOURS)
def test_spans_are_sets_of_instants(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    """Merged and cut as such: in order, none empty, no two touching. Some are given the wrong way round."""
    spans, cut = (merged(span(*each) for each in given_) for given_ in (some, others))
    left = without(spans, cut)
    assert hours_in(spans) == hours_in(span(*each) for each in some)
    assert hours_in(left) == hours_in(spans) - hours_in(cut)
    assert all(each.start < each.end for each in (*spans, *left))
    assert all(one.end < other.start for one, other in pairwise(spans))
    assert all(one.end < other.start for one, other in pairwise(left))


@given(st.integers(0, 2**32).map(random.Random))
def test_the_plan_is_what_a_pass_wants_at_each_instant(dice: random.Random) -> None:
    """Windows and a hold, walked through: without documents what is certain, with them all of it.

    What is only kept for outside callers stays if it is up.
    """
    step = timedelta(minutes=5)
    starts = [dice.randrange(-4 * 12, 30 * 12) / 12 for _ in range(dice.randrange(1, 5))]
    windows = [
        window(each, each + dice.randrange(1, 96) / 12, dice.choice([0, 0, 0.5]), batch=dice.random() < 0.4)
        for each in starts
    ]
    hold = Hold("clauses", dice.random() < 0.5, START + dice.randrange(200) * step, "dana", "demo", START)
    held = hold if dice.random() < 0.6 else None
    one = config("clauses", *windows, uploads=UploadStart.SCHEDULED)
    shown = planned(one, Leads(LEAD), START, START + DAY, held)
    for demand, expected in (
        (Demand(), shown.certain),
        (Demand(1), merged((*shown.certain, *shown.possible))),
    ):
        found, now = list[Span](), START
        up = any(each.start <= START < each.end for each in expected)  # what was up before is up
        while now < START + DAY:
            want = wanted(one, demand, now, held)
            up = want.up or (want.keep and up)
            found += [Span(now, now + step)] if up else []
            now += step
        assert merged(found) == expected
