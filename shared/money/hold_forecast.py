"""A hold → what it costs or saves until its end. Estimates from the configured prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.model import DeploymentConfig, Hold, Prices
from shared.money.spans import cost, hours, planned, without
from shared.schedule.leads import Leads

AFTER = timedelta(days=2)
"""What begins in a hold and goes on after it is looked at so much further, so that it counts whole."""


@dataclass(frozen=True)
class HoldForecast:
    """Held up: what that costs beyond what the windows host anyway. Held down: what it saves at most."""

    hours: float
    scheduled_hours: float  # which windows host within the hold, whether it is held up or not
    price_per_hour: float
    cost: float
    currency: str


def forecast_hold(
    config: DeploymentConfig,
    leads: Leads,
    now: datetime,
    hold: Hold,
    replaced: Hold | None,
    *,
    sku: str,
    prices: Prices,
) -> HoldForecast:
    """What a hold costs or saves from now to its end, compared with the windows alone.

    Held down, it saves what is left of a hold up that it replaces, too. What documents would have started is
    not saved: they wait, and start it afterwards.
    """
    price = prices.hosting_per_hour.get(sku, 0.0)
    until = hold.until + AFTER
    scheduled = planned(config, leads, now, hold.until).certain
    without_it = planned(config, leads, now, until, None if hold.up else replaced).certain
    with_it = planned(config, leads, now, until, hold).certain
    more, less = (with_it, without_it) if hold.up else (without_it, with_it)
    return HoldForecast(
        hours=hours(without(more, less)),
        scheduled_hours=hours(scheduled),
        price_per_hour=price,
        cost=max(0.0, cost(more, price, prices) - cost(less, price, prices)),
        currency=prices.currency,
    )
