"""Forecast what a hold costs or saves until its end. Estimates from the configured prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.model import DeploymentConfig, Hold, Prices
from shared.money.spans import cost, hours, planned, without
from shared.schedule.leads import Leads

AFTER = timedelta(days=2)
"""How far beyond a hold's end the forecast looks, so that hosting that outlasts the hold counts whole."""


@dataclass(frozen=True)
class HoldForecast:
    """The extra cost of holding up, beyond the windows' hosting, or the most that holding down saves."""

    hours: float
    scheduled_hours: float  # hours that windows host within the hold anyway
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
    """Forecast what a hold costs or saves from now to its end, compared with the windows alone.

    Holding down also saves the rest of a hold up that it replaces. It does not save hosting that documents
    would have started: they wait, and start it afterwards.
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
