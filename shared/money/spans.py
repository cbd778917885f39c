"""Compute the half-open UTC spans in which a deployment will be hosted, from its schedule and hold.

Windows and a hold give certain spans. Batch windows add possible spans: they host only while documents wait.
Hosting that uploads start on demand is in no schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.model import DeploymentConfig, Hold, Prices
from shared.money.cost import span_cost
from shared.schedule.leads import Leads
from shared.schedule.windows import intervals


@dataclass(frozen=True, order=True)
class Span:
    """A time of hosting: [start, end)."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """Return its length."""
        return self.end - self.start


@dataclass(frozen=True)
class Planned:
    """Spans in order, of which no two touch; `possible` excludes the certain time."""

    certain: tuple[Span, ...] = ()
    possible: tuple[Span, ...] = ()

    def beyond(self, other: Planned) -> Planned:
        """Return the time that is in this plan and not in the other one."""
        return Planned(without(self.certain, other.certain), without(self.possible, other.possible))


def planned(
    config: DeploymentConfig,
    leads: Leads,
    since: datetime,
    until: datetime,
    hold: Hold | None = None,
    kept_until: datetime | None = None,
) -> Planned:
    """Plan the hosting in [since, until): every window from its lead on, and the hold from `since` on.

    A deployment that is up during a window's grace stays up until the grace ends; within a grace at `since`
    it counts as up. `kept_until`: how long it may stay because capacity is scarce; None: it is not kept now.
    """
    held = hold if hold is not None and since < hold.until else None
    opens = held.until if held is not None and not held.up else since
    certain, possible, graces = list[Span](), list[Span](), list[Span]()
    for interval in intervals(config.windows, since, until + leads.longest, config.closures):
        spans = possible if interval.stop_when_empty else certain
        grace = Span(interval.end, interval.keep_until)
        graces.append(grace)
        spans.append(Span(max(interval.start - leads.before(interval.start), opens), interval.end))
        if grace.start <= since == opens:
            spans.append(Span(since, grace.end))
    if kept_until is not None:
        possible.append(Span(since, kept_until))
    if held is not None and held.up:
        certain.append(Span(since, held.until))
    joined, everything = (_kept(plan, graces, until) for plan in (certain, [*certain, *possible]))
    return Planned(joined, without(everything, joined))


def _kept(spans: Iterable[Span], graces: Iterable[Span], until: datetime) -> tuple[Span, ...]:
    """Extend every span to the end of the graces in which it ends, up to `until`."""
    ahead = sorted((grace for grace in graces if grace.start < grace.end), reverse=True)
    found, reach = list[Span](), None
    for span in merged(spans):
        end = span.end
        while True:
            while ahead and ahead[-1].start <= end:
                grace = ahead.pop()
                reach = max(reach or grace.end, grace.end)
            if reach is None or reach <= end:
                break
            end = reach
        found.append(Span(span.start, min(end, until)))
    return merged(found)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same time in order, every instant once; spans that touch become one."""
    found: list[Span] = []
    for span in sorted(spans):
        if span.end <= span.start:
            continue
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def without(spans: Iterable[Span], cut: Sequence[Span]) -> tuple[Span, ...]:
    """Return the time of `spans` that is not in `cut`. Both must be in order and hold every instant once."""
    left, first = list[Span](), 0
    for span in spans:
        start = span.start
        while first < len(cut) and cut[first].end <= start:
            first += 1
        for number in range(first, len(cut)):
            hole = cut[number]
            if hole.start >= span.end:
                break
            if hole.start > start:
                left.append(Span(start, hole.start))
            start = hole.end
        if start < span.end:
            left.append(Span(start, span.end))
    return tuple(left)


def hours(spans: Iterable[Span]) -> float:
    """Return their total length in hours."""
    return sum((span.length for span in spans), timedelta()) / timedelta(hours=1)


def cost(spans: Iterable[Span], price_per_hour: float, prices: Prices) -> float:
    """Return the cost of hosting them: every span is a session, charged by started billing units."""
    return sum(span_cost(span.start, span.end, price_per_hour, prices) for span in spans)
