"""Advise where another configuration would cost less: one sentence each, with the figure.

Every piece of advice is a function of one deployment's forecast. Advice that saves nothing is not given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from shared.model import OneOffWindow, UploadStart, WeeklyWindow
from shared.model.azure_openai import DEVELOPER_TIER, DEVELOPER_TIER_LIFE
from shared.money.forecast import RECENT, Figure, Figures, Forecast, forecast
from shared.money.spans import Span, cost, merged, planned, without
from shared.schedule.windows import Interval, intervals

_CENT = 0.01
_NO_TIME = timedelta(0)
WORTH_WAITING = timedelta(minutes=30)
"""The waiting time to suggest for documents if start_within is not configured."""


class Advice(StrEnum):
    """List the stable names."""

    DEVELOPER_TIER = "developer_tier"
    SHORT_GAP = "short_gap"
    IDLE_WINDOW = "idle_window"
    START_WITHIN = "start_within"


@dataclass(frozen=True)
class Advised:
    """One piece of advice, and what it would save in the forecast's period."""

    name: Advice
    saves: float
    text: str


def advise(of: Forecast) -> Iterator[Advised]:
    """Yield all advice that the figures support."""
    yield from _developer_tier(of)
    yield from _short_gaps(of)
    yield from _idle_windows(of)
    yield from _waiting(of)


def _developer_tier(of: Forecast) -> Iterator[Advised]:
    """Suggest the developer tier: no hosting fee, no SLA, no data residency, deleted after 24 hours."""
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
        f"and its longest stay here is {_text_of(_longest(of))}",
    )


def _bounds(figures: Figures) -> tuple[Figure, Figure]:
    return figures.certain, figures.most


def _longest(of: Forecast) -> timedelta:
    """Return the longest session: planned, and in the recent past as far as that is known."""
    ahead = [span.length for span in merged((*of.plan.certain, *of.plan.possible))]
    past = [(session.likely_end or of.since) - session.started_at for session in of.subject.sessions or ()]
    return max([*ahead, *past], default=timedelta(0))


def _short_gaps(of: Forecast) -> Iterator[Advised]:
    """Suggest joining two windows if closing between them costs more: a lead, and started billing units.

    If billed by the minute only the lead matters, and a gap shorter than the lead is kept open anyway.
    """
    subject = of.subject
    plan = planned(subject.config, subject.leads, of.since, of.until)  # windows only: a hold ends by itself
    saves, gaps = 0.0, list[Span]()
    first: Span | None = None
    for other in plan.certain:
        if first is not None and (found := _kept_open(of, first, other)) >= _CENT:
            gap = Span(first.end, other.start)
            if without([gap], plan.possible) == (gap,):
                saves += found
                gaps.append(gap)
                first = Span(first.start, other.end)  # the session that the next window may continue
                continue
        first = other
    if not gaps:
        return
    shortest, longest = (edge(gap.length for gap in gaps) for edge in (min, max))
    length = _text_of(shortest) if shortest == longest else f"{_text_of(shortest)} to {_text_of(longest)}"
    yield Advised(
        Advice.SHORT_GAP,
        saves,
        f"it closes {len(gaps)} time(s) between two windows for {length} only: keeping it open costs "
        f"{_money(of, saves)} less, as hosting is charged by the started {subject.prices.billing_unit} and "
        f"reopening takes a lead of {_text_of(subject.leads.alone)}. Make one window of the two",
    )


def _kept_open(of: Forecast, one: Span, other: Span) -> float:
    """Return what keeping it open from one to the other saves; 0 if max_session forbids such a session."""
    subject, whole = of.subject, Span(one.start, other.end)
    if whole.length > subject.config.max_session:
        return 0.0
    apart, kept = (cost(spans, subject.price, subject.prices) for spans in ((one, other), (whole,)))
    return apart - kept


def _idle_windows(of: Forecast) -> Iterator[Advised]:
    """Suggest removing windows that were hosted in the recent past without any document.

    Callers from outside are not seen: a window with a close_grace is for such callers.
    """
    subject = of.subject
    if subject.sessions is None or subject.asked is None:
        return
    for number, window in enumerate(subject.config.windows):
        if window.stop_when_empty or window.close_grace or isinstance(window, OneOffWindow):
            continue
        past = intervals([window], of.since - RECENT, of.since, subject.config.closures)
        hosted = [interval for interval in past if _was_hosted(of, interval)]
        if not hosted or any(_asked_in(of, interval) for interval in past):
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
    """Suggest start_within if fewer sessions would have sufficed in the recent past, had documents waited."""
    subject, config = of.subject, of.subject.config
    if config.uploads is UploadStart.SCHEDULED or config.start_within or not subject.sessions:
        return
    windows = [
        Span(interval.start - subject.leads.before(interval.start), interval.keep_until)
        for interval in intervals(config.windows, of.since - RECENT, of.since, config.closures)
    ]
    sessions = sorted(
        (
            Span(session.started_at, session.likely_end)
            for session in subject.sessions
            if session.likely_end is not None
        ),
        key=lambda span: span.start,
    )
    alone = [session for session in sessions if not any(w.start <= session.start < w.end for w in windows)]
    shared: list[Span] = []
    for session in alone:
        if shared and session.start < shared[-1].start + WORTH_WAITING:
            more = max(session.length - subject.leads.alone, _NO_TIME)
            shared[-1] = Span(shared[-1].start, shared[-1].end + more)
        else:
            shared.append(session)
    recently = cost(alone, subject.price, subject.prices) - cost(shared, subject.price, subject.prices)
    saves = recently * ((of.until - of.since) / RECENT)
    if saves < _CENT:
        return
    yield Advised(
        Advice.START_WITHIN,
        saves,
        f"in the last {RECENT.days} days documents started it {len(alone)} time(s); with start_within: "
        f"{_text_of(WORTH_WAITING)} about {len(shared)} would have done, "
        f"which costs {_money(of, saves)} less",
    )


def _was_hosted(of: Forecast, window: Interval) -> bool:
    return any(
        session.started_at < window.end and (session.likely_end is None or session.likely_end > window.start)
        for session in of.subject.sessions or ()
    )


def _asked_in(of: Forecast, window: Interval) -> bool:
    start = window.start - of.subject.leads.before(window.start)
    return any(start <= at < window.keep_until for at in of.subject.asked or ())


def _named(window: WeeklyWindow) -> str:
    end = f"{window.end:%H:%M}" if window.end else "24:00"
    return f"{window.start:%H:%M} to {end} {window.time_zone}"


def _money(of: Forecast, amount: float) -> str:
    return f"{amount:,.2f} {of.subject.prices.currency}"


def _text_of(length: timedelta) -> str:
    """Write a duration as 15 min, 3 h or 3 h 20 min."""
    whole, rest = divmod(round(length / timedelta(minutes=1)), 60)
    parts = [f"{whole} h"] if whole else []
    return " ".join([*parts, f"{rest} min"] if rest or not whole else parts)
