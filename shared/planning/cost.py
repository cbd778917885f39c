"""Sessions and tokens → money. Estimates until held against a bill."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from shared.domain import BillingStart, BillingUnit, HostingSession, Prices

_UNIT = {BillingUnit.MINUTE: timedelta(minutes=1), BillingUnit.HOUR: timedelta(hours=1)}


def token_cost(prompt_tokens: int, completion_tokens: int, prices: Prices) -> float:
    """What so many tokens cost."""
    return (
        prompt_tokens * prices.input_per_million + completion_tokens * prices.output_per_million
    ) / 1_000_000


def hosting_cost(session: HostingSession, now: datetime, prices: Prices) -> tuple[float, float]:
    """The least and the most that a session has cost by `now`; equal where its end was seen."""
    return (
        _charge(session, session.ended_after or now, prices),
        _charge(session, session.ended_by or now, prices),
    )


def _charge(session: HostingSession, end: datetime, prices: Prices) -> float:
    start = session.started_at if prices.billing_starts is BillingStart.CREATE else session.ready_at
    if start is None or end <= start:
        return 0.0
    unit = _UNIT[prices.billing_unit]
    units = math.ceil((end - start) / unit)
    return units * (unit / timedelta(hours=1)) * session.price_per_hour
