"""Holds: somebody wants a deployment up or down until a time, whatever schedule and documents say.

A hold ends by itself. One that holds down loses no document: they wait, and work in flight ends first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from shared.app import Lamplighter
from shared.model import DeploymentConfig, Hold, Mode
from shared.money.hold_forecast import AFTER, HoldForecast, forecast_hold
from shared.planning.adoption import to_create

LONGEST = timedelta(days=30)


@dataclass(frozen=True)
class HoldRequest:
    """A hold that somebody asks for, checked."""

    up: bool
    until: datetime
    owner: str
    reason: str


def end_of(now: datetime, until: datetime | None, length: timedelta | None) -> datetime:
    """When a hold ends that is asked for until a time, or for so long. Raises ValueError."""
    end = until or (now + length if length else now)
    last = now + LONGEST
    if now < end <= last:
        return end
    what, instead = ("is past", "") if end <= now else ("is too far away", ", and hold it again later")
    raise ValueError(
        f"{_shown(end)} {what}: a hold ends after {_shown(now)}, and by {_shown(last)} "
        f"({LONGEST.days} days) at the latest{instead}"
    )


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Held:
    """A hold that was written, with what it is forecast to cost (up) or to save (down)."""

    deployment: str
    hold: Literal["up", "down"]
    until: datetime
    owner: str
    reason: str
    replaced_hold_of: str | None  # whose hold it took the place of
    forecast: HoldForecast  # hours and money rounded to four decimals
    mode: Mode


@dataclass(frozen=True)
class Released:
    """That a deployment is not held any more, and whether it was."""

    deployment: str
    released: bool


async def hold(app: Lamplighter, config: DeploymentConfig, request: HoldRequest) -> Held:
    """Write the hold in the place of the former one.

    Safe to repeat. The next pass heeds it. Raises StorageError.
    """
    picture = await app.picture(config.account, demand_of=())
    now, before = picture.now, picture.holds.get(config.name)
    made = Hold(config.name, request.up, request.until, request.owner, request.reason, made_at=now)
    record = picture.record(config.name)
    sku = to_create(config.spec, adopt=config.adopt, adopted=record.history.adopted).sku
    leads = picture.leads(now, made.until + AFTER)[config.name]
    forecast = forecast_hold(config, leads, now, made, before, sku=sku, prices=app.settings.prices)
    await app.context.ledger.save_hold(config.account, made)
    return Held(
        deployment=config.name,
        hold="up" if made.up else "down",
        until=made.until,
        owner=made.owner,
        reason=made.reason,
        replaced_hold_of=before.owner if before else None,
        forecast=_rounded(forecast),
        mode=config.mode,
    )


async def release(app: Lamplighter, config: DeploymentConfig) -> Released:
    """End the deployment's hold; that there was none is no error.

    Safe to repeat. Raises Changed if somebody replaced the hold meanwhile, StorageError.
    """
    return Released(config.name, await app.context.ledger.release_hold(config.hosted_id))


def _rounded(forecast: HoldForecast) -> HoldForecast:
    return replace(
        forecast,
        hours=round(forecast.hours, 4),
        scheduled_hours=round(forecast.scheduled_hours, 4),
        price_per_hour=round(forecast.price_per_hour, 4),
        cost=round(forecast.cost, 4),
    )
