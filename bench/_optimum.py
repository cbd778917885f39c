"""Lowest possible hosting cost when all arrivals are known in advance: the baseline for every policy."""

from __future__ import annotations

import math

from bench._traces import Arrival, Trace


def session_seconds(group: Trace, limit: float, create: float) -> float:
    """Return the hosted seconds of one session that starts each document within `limit` of its arrival.

    The session is ready as late as the first document allows. Documents that arrived before then start at
    that moment, later ones on arrival.
    """
    ready = group[0].at + limit
    return create + max(max(document.at, ready) + document.seconds for document in group) - ready


def optimum(trace: Trace, limit: float, create: float, unit: float) -> float:
    """Return the fewest seconds that must be paid for, in started billing units of `unit` seconds.

    Exact if `limit` is longer than a create. It assumes that a create takes `create` seconds and that any
    number of documents is answered at once. Each session answers consecutive documents, so dynamic
    programming finds the best split. A session that lasts more than `longest` after it was ready is never
    better than two: the second could let its documents wait, and save more than its create costs.
    """
    longest = create + 2 * max((document.seconds for document in trace), default=0.0) + 2 * unit
    best = [0.0] + [math.inf] * len(trace)
    for first in range(len(trace)):
        ready = trace[first].at + limit
        ends = ready
        for last in range(first, len(trace)):
            document: Arrival = trace[last]
            ends = max(ends, max(document.at, ready) + document.seconds)
            if ends - ready > longest:
                break
            paid = math.ceil((create + ends - ready) / unit - 1e-9) * unit
            best[last + 1] = min(best[last + 1], best[first] + paid)
    return best[-1]
