"""Schedule and hold → the half-open UTC spans in which a deployment will be hosted.

Certain is what windows and a hold host whatever comes. Batch windows add at most what is possible: they host
only while documents wait. What uploads start on demand is in no schedule.
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
    """Hosted in [start, end)."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True)
class Planned:
    """Spans in order, of which no two touch; `possible` is beyond what is certain."""

    certain: tuple[Span, ...] = ()
    possible: tuple[Span, ...] = ()

    def beyond(self, other: Planned) -> Planned:
        """What is in this plan and not in the other one."""
        return Planned(without(self.certain, other.certain), without(self.possible, other.possible))


def planned(
    config: DeploymentConfig,
    leads: Leads,
    since: datetime,
    until: datetime,
    hold: Hold | None = None,
    kept_until: datetime | None = None,
) -> Planned:
    """What is hosted in [since, until): each window from its lead on; and the hold, from `since` on.

    What is up when a window's grace runs is kept until that ends; what a grace keeps now is taken to be up.
    `kept_until`: how long it may stay, if it is kept now as capacity is scarce; None: it is not.
    """
    held = hold if hold is not None and since < hold.until else None
    opens = held.until if held is not None and not held.up else since
    certain, possible, graces = list[Span](), list[Span](), list[Span]()
    for each in intervals(config.windows, since, until + leads.longest, config.closures):
        spans, grace = possible if each.stop_when_empty else certain, Span(each.end, each.keep_until)
        graces.append(grace)
        spans.append(Span(max(each.start - leads.before(each.start), opens), each.end))
        if grace.start <= since == opens:
            spans.append(Span(since, grace.end))
    if kept_until is not None:
        possible.append(Span(since, kept_until))
    if held is not None and held.up:
        certain.append(Span(since, held.until))
    joined, everything = (_kept(each, graces, until) for each in (certain, [*certain, *possible]))
    return Planned(joined, without(everything, joined))


def _kept(spans: Iterable[Span], graces: Iterable[Span], until: datetime) -> tuple[Span, ...]:
    """The spans, each to the end of the graces that it ends in, as far as `until`."""
    ahead = sorted((each for each in graces if each.start < each.end), reverse=True)
    found, reach = list[Span](), None
    for each in merged(spans):
        end = each.end
        while True:
            while ahead and ahead[-1].start <= end:
                grace = ahead.pop()
                reach = max(reach or grace.end, grace.end)
            if reach is None or reach <= end:
                break
            end = reach
        found.append(Span(each.start, min(end, until)))
    return merged(found)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in order, each instant once; spans that touch are one."""
    found: list[Span] = []
    for each in sorted(spans):
        if each.end <= each.start:
            continue
        if found and each.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, each.end))
        else:
            found.append(each)
    return tuple(found)


def without(spans: Iterable[Span], cut: Sequence[Span]) -> tuple[Span, ...]:
    """The time of `spans` that is not in `cut`. Both are in order and hold each instant once."""
    left, first = list[Span](), 0
    for each in spans:
        start = each.start
        while first < len(cut) and cut[first].end <= start:
            first += 1
        for number in range(first, len(cut)):
            hole = cut[number]
            if hole.start >= each.end:
                break
            if hole.start > start:
                left.append(Span(start, hole.start))
            start = hole.end
        if start < each.end:
            left.append(Span(start, each.end))
    return tuple(left)


def hours(spans: Iterable[Span]) -> float:
    """How long they last together."""
    return sum((each.length for each in spans), timedelta()) / timedelta(hours=1)


def cost(spans: Iterable[Span], price_per_hour: float, prices: Prices) -> float:
    """What hosting them costs, each a session of its own, whose units that began are charged."""
    return sum(span_cost(each.start, each.end, price_per_hour, prices) for each in spans)
