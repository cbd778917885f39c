"""The least that hosting can cost when the future is known: the measure for every policy."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Arrival:
    """A document: seconds from the start, and how many seconds it takes to answer."""

    at: float
    seconds: float


Trace = tuple[Arrival, ...]


def session_seconds(group: Trace, limit: float, create: float) -> float:
    """Hosted seconds of one session that answers these documents, each started within `limit` of its arrival.

    It is ready as late as the first of them allows; whatever came before starts then, the others on arrival.
    """
    ready = group[0].at + limit
    return create + max(max(each.at, ready) + each.seconds for each in group) - ready


def optimum(trace: Trace, limit: float, create: float, unit: float) -> float:
    """The least seconds that have to be paid, in started units of so many seconds.

    Exact where `limit` is longer than a create: creates take `create` seconds, any number of documents is
    answered at once. Sessions answer neighbours, so the best way to split the row is found by dynamic
    programming. A session that goes on for longer than `longest` after it was ready is never better than
    two: the second could let its documents wait, and save more than its create.
    """
    longest = create + 2 * max((each.seconds for each in trace), default=0.0) + 2 * unit
    best = [0.0] + [math.inf] * len(trace)
    for first in range(len(trace)):
        ready = trace[first].at + limit
        ends = ready
        for last in range(first, len(trace)):
            document = trace[last]
            ends = max(ends, max(document.at, ready) + document.seconds)
            if ends - ready > longest:
                break
            paid = math.ceil((create + ends - ready) / unit - 1e-9) * unit
            best[last + 1] = min(best[last + 1], best[first] + paid)
    return best[-1]
