"""Where the figures say that another configuration costs less: a sentence each, with the figure.

Each piece of advice is a function of one deployment's forecast. Nothing is told that saves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from shared.model import OneOffWindow, UploadStart, WeeklyWindow
from shared.money.forecast import RECENT, Figure, Figures, Forecast, forecast
from shared.money.spans import Span, cost, merged, planned, without
from shared.planning.plan import DEVELOPER_TIER, DEVELOPER_TIER_LIFE
from shared.schedule.windows import Interval, intervals

_CENT = 0.01
_NO_TIME = timedelta(0)
WORTH_WAITING = timedelta(minutes=30)
"""What documents could be let wait, where nobody has said that they may."""


class Advice(StrEnum):
    """The stable names."""

    DEVELOPER_TIER = "developer_tier"
    SHORT_GAP = "short_gap"
    IDLE_WINDOW = "idle_window"
    START_WITHIN = "start_within"


@dataclass(frozen=True)
class Advised:
    """One piece of advice, and what it would save in the forecast's time."""

    name: Advice
    saves: float
    text: str


def advise(of: Forecast) -> Iterator[Advised]:
    """All that the figures support."""
    yield from _developer_tier(of)
    yield from _short_gaps(of)
    yield from _idle_windows(of)
    yield from _waiting(of)


def _developer_tier(of: Forecast) -> Iterator[Advised]:
    """Azure asks no hosting fee for it, gives no SLA and no data residency, and deletes it after 24 hours."""
    subject = of.subject
    if subject.sku == DEVELOPER_TIER or _longest(of) >= DEVELOPER_TIER_LIFE:
        return
    there = forecast(replace(subject, sku=DEVELOPER_TIER), of.since, of.until).figures
    least, most = (one.cost - two.cost for one, two in zip(_bounds(of.figures), _bounds(there), strict=True))
    if most < _CENT:
        return
    up_to = "up to " if most - least >= _CENT else ""
    yield Advised(
        Advice.DEVELOPER_TIER,
        most,
        f"on the SKU {DEVELOPER_TIER} it would cost {up_to}{_money(of, most)} less. Only for evaluation, "
        "where neither data residency nor an SLA is needed: Azure deletes such a deployment after 24 hours, "
        f"and its longest stay here is {_told(_longest(of))}",
    )


def _bounds(figures: Figures) -> tuple[Figure, Figure]:
    return figures.certain, figures.most


def _longest(of: Forecast) -> timedelta:
    """The longest that it stays up: ahead, and in the recent past as far as that is known."""
    ahead = [each.length for each in merged((*of.plan.certain, *of.plan.possible))]
    past = [(each.likely_end or of.since) - each.started_at for each in of.subject.sessions or ()]
    return max([*ahead, *past], default=timedelta(0))


def _short_gaps(of: Forecast) -> Iterator[Advised]:
    """Between two windows, closing and opening again costs another lead and what a started unit rounds up.

    By the minute the lead alone decides, and a gap shorter than it is kept open anyway.
    """
    subject = of.subject
    plan = planned(subject.config, subject.leads, of.since, of.until)  # windows can be joined, holds end
    saves, gaps = 0.0, list[Span]()
    first: Span | None = None
    for other in plan.certain:
        if first is not None and (found := _kept_open(of, first, other)) >= _CENT:
            gap = Span(first.end, other.start)
            if without([gap], plan.possible) == (gap,):
                saves += found
                gaps.append(gap)
                first = Span(first.start, other.end)  # the session that the next window may go on with
                continue
        first = other
    if not gaps:
        return
    shortest, longest = (edge(each.length for each in gaps) for edge in (min, max))
    length = _told(shortest) if shortest == longest else f"{_told(shortest)} to {_told(longest)}"
    yield Advised(
        Advice.SHORT_GAP,
        saves,
        f"it closes {len(gaps)} time(s) between two windows for {length} only: keeping it open costs "
        f"{_money(of, saves)} less, as hosting is charged by the started {subject.prices.billing_unit} and "
        f"reopening takes a lead of {_told(subject.leads.alone)}. Make one window of the two",
    )


def _kept_open(of: Forecast, one: Span, other: Span) -> float:
    """What is saved by keeping it open from one to the other; nothing if no session may last so long."""
    subject, whole = of.subject, Span(one.start, other.end)
    if whole.length > subject.config.max_session:
        return 0.0
    apart, kept = (cost(each, subject.price, subject.prices) for each in ((one, other), (whole,)))
    return apart - kept


def _idle_windows(of: Forecast) -> Iterator[Advised]:
    """Hosted in the recent past, and no document came or was answered in it.

    Who calls from outside is not seen: a window with a close_grace is for such callers.
    """
    subject = of.subject
    if subject.sessions is None or subject.asked is None:
        return
    for number, window in enumerate(subject.config.windows):
        if window.stop_when_empty or window.close_grace or isinstance(window, OneOffWindow):
            continue
        past = intervals([window], of.since - RECENT, of.since, subject.config.closures)
        hosted = [each for each in past if _was_hosted(of, each)]
        if not hosted or any(_asked_in(of, each) for each in past):
            continue
        others = (*subject.config.windows[:number], *subject.config.windows[number + 1 :])
        without_it = replace(subject, config=replace(subject.config, windows=others), hold=None)
        with_it = forecast(replace(subject, hold=None), of.since, of.until)
        saves = with_it.figures.certain.cost - forecast(without_it, of.since, of.until).figures.certain.cost
        if saves < _CENT:
            continue
        yield Advised(
            Advice.IDLE_WINDOW,
            saves,
            f"in the last {RECENT.days} days no document came or was answered in its window "
            f"{_named(window)}, which was hosted {len(hosted)} time(s): without it, hosting costs "
            f"{_money(of, saves)} less. Callers outside Lamplighter are not seen here: ask them first",
        )


def _waiting(of: Forecast) -> Iterator[Advised]:
    """Sessions of the recent past that fewer deployments would have done for, had documents waited."""
    subject, config = of.subject, of.subject.config
    if config.uploads is UploadStart.SCHEDULED or config.start_within or not subject.sessions:
        return
    windows = [
        Span(each.start - subject.leads.before(each.start), each.keep_until)
        for each in intervals(config.windows, of.since - RECENT, of.since, config.closures)
    ]
    sessions = sorted(
        (Span(each.started_at, each.likely_end) for each in subject.sessions if each.likely_end is not None),
        key=lambda each: each.start,
    )
    alone = [each for each in sessions if not any(w.start <= each.start < w.end for w in windows)]
    shared: list[Span] = []
    for each in alone:
        if shared and each.start < shared[-1].start + WORTH_WAITING:
            more = max(each.length - subject.leads.alone, _NO_TIME)
            shared[-1] = Span(shared[-1].start, shared[-1].end + more)
        else:
            shared.append(each)
    recently = cost(alone, subject.price, subject.prices) - cost(shared, subject.price, subject.prices)
    saves = recently * ((of.until - of.since) / RECENT)
    if saves < _CENT:
        return
    yield Advised(
        Advice.START_WITHIN,
        saves,
        f"in the last {RECENT.days} days documents started it {len(alone)} time(s); with start_within: "
        f"{_told(WORTH_WAITING)} about {len(shared)} would have done, which costs {_money(of, saves)} less",
    )


def _was_hosted(of: Forecast, window: Interval) -> bool:
    return any(
        each.started_at < window.end and (each.likely_end is None or each.likely_end > window.start)
        for each in of.subject.sessions or ()
    )


def _asked_in(of: Forecast, window: Interval) -> bool:
    start = window.start - of.subject.leads.before(window.start)
    return any(start <= at < window.keep_until for at in of.subject.asked or ())


def _named(window: WeeklyWindow) -> str:
    end = f"{window.end:%H:%M}" if window.end else "24:00"
    return f"{window.start:%H:%M} to {end} {window.time_zone}"


def _money(of: Forecast, amount: float) -> str:
    return f"{amount:,.2f} {of.subject.prices.currency}"


def _told(length: timedelta) -> str:
    """15 min, 3 h, 3 h 20 min."""
    whole, rest = divmod(round(length / timedelta(minutes=1)), 60)
    told = [f"{whole} h"] if whole else []
    return " ".join([*told, f"{rest} min"] if rest or not whole else told)
