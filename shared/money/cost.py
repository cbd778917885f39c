"""Compute the cost of sessions and tokens, in the prices' currency. Estimates: only the bill is exact."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

from shared.model import BillingStart, BillingUnit, HostingSession, Prices

_UNIT = {BillingUnit.MINUTE: timedelta(minutes=1), BillingUnit.HOUR: timedelta(hours=1)}


def token_cost(prompt_tokens: int, completion_tokens: int, prices: Prices) -> float:
    """Return the cost of these tokens."""
    return (
        prompt_tokens * prices.input_per_million + completion_tokens * prices.output_per_million
    ) / 1_000_000


def embedding_cost(tokens: int, prices: Prices) -> float:
    """Return the cost of the embeddings of these tokens."""
    return tokens * prices.embeddings_per_million / 1_000_000


def hosting_cost(session: HostingSession, now: datetime, prices: Prices) -> tuple[float, float]:
    """Return the least and the most that a session has cost by `now`; equal if its end was observed."""
    return (
        _charge(session, session.ended_after or now, prices),
        _charge(session, session.ended_by or now, prices),
    )


def within(session: HostingSession, since: datetime, until: datetime) -> HostingSession | None:
    """Return the part of a session that lies in [since, until); None if no part can lie there."""
    if session.started_at >= until or (session.ended_by is not None and session.ended_by <= since):
        return None
    ended_by = min(session.ended_by, until) if session.ended_by else None
    ended_after = min(session.ended_after, until) if session.ended_after else None
    return replace(
        session,
        started_at=max(session.started_at, since),
        ready_at=max(session.ready_at, since) if session.ready_at else None,
        ended_after=ended_after,
        ended_by=ended_by,
    )


def span_cost(start: datetime, end: datetime, price_per_hour: float, prices: Prices) -> float:
    """Return the cost of hosting from start to end: for forecasts, and for always-on hosting."""
    if end <= start:
        return 0.0
    unit = _UNIT[prices.billing_unit]
    return math.ceil((end - start) / unit) * (unit / timedelta(hours=1)) * price_per_hour


def always_on_cost(first: HostingSession, since: datetime, until: datetime, prices: Prices) -> float:
    """Return what always-on hosting would have cost in [since, until), from the first session on."""
    return span_cost(max(since, first.started_at), until, first.price_per_hour, prices)


def _charge(session: HostingSession, end: datetime, prices: Prices) -> float:
    start = session.started_at if prices.billing_starts is BillingStart.CREATE else session.ready_at
    return 0.0 if start is None else span_cost(start, end, session.price_per_hour, prices)
