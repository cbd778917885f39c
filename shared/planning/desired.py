"""The wanted state at an instant: a hold, or else schedule windows ∪ unfinished documents."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.model import (
    ALWAYS,
    Batch,
    BillingStart,
    BillingUnit,
    Closure,
    Demand,
    DeploymentConfig,
    DeploymentRecord,
    Hold,
    OneOffWindow,
    Prices,
    UploadStart,
    WeeklyWindow,
)
from shared.planning.estimates import LEAD_SHARE, PRIOR, CreateTime
from shared.planning.uploads import PAID_MARGIN, paid_until, start_at
from shared.schedule.windows import Interval, intervals

UNITS = {BillingUnit.MINUTE: timedelta(minutes=1), BillingUnit.HOUR: timedelta(hours=1)}
_HALF_TICK = timedelta(seconds=30)
"""Passes run every minute: a create that is due between two passes starts in the nearer one."""


@dataclass(frozen=True)
class Wanted:
    """The wanted state of a deployment at an instant."""

    up: bool
    reason: str
    keep: bool = False  # not wanted up, but if it is open it may stay
    changes_at: datetime | None = None  # when the schedule next changes this
    opens_at: datetime | None = None  # the start of the window that wants it
    paid_until: datetime | None = None  # it may stay only because it is paid for until then
    for_documents: bool = False  # only documents want it: if it answers none, delete it
    scarce: bool = False  # it may stay, even without an answer yet: its capacity could be lost


@dataclass(frozen=True)
class Outlook:
    """The expectations for a deployment, from its history, its account's plans and its prices."""

    lead: timedelta  # time to create it before a window, with the account's creates one after another
    create: CreateTime = PRIOR
    batches: tuple[Batch, ...] = ()
    up: bool = False  # it is being created, or exists and is not yet being deleted
    unit: timedelta = UNITS[BillingUnit.MINUTE]  # of billing
    billed_from: datetime | None = None  # the start of its bill, if it is up and ours
    free: bool = False  # hosting costs nothing
    kept: str = ""  # why it may stay although nothing needs it: its capacity could be lost


def billed_from(record: DeploymentRecord, prices: Prices) -> datetime | None:
    """Return when the bill of this generation starts; None if it has not started or is not ours."""
    if not record.generation.owned:
        return None
    return record.started_at if prices.billing_starts is BillingStart.CREATE else record.generation.opened_at


def planned_lead(config: DeploymentConfig, create: CreateTime = PRIOR) -> timedelta:
    """Return how long before a window the create begins, for this deployment alone."""
    return create.quantile(LEAD_SHARE) if config.lead is None else config.lead


def windows_ahead(
    windows: tuple[WeeklyWindow | OneOffWindow, ...], closures: tuple[Closure, ...], now: datetime
) -> tuple[Interval, ...]:
    """Return the windows of the next eight days, and those of yesterday, which may still be open.

    Those of an hour more on both sides may be among them.
    """
    if not windows:
        return ()
    return _windows_around(windows, closures, now.replace(minute=0, second=0, microsecond=0))


@functools.lru_cache(maxsize=1024)
def _windows_around(
    windows: tuple[WeeklyWindow | OneOffWindow, ...], closures: tuple[Closure, ...], hour: datetime
) -> tuple[Interval, ...]:
    since, until = hour - timedelta(days=1), hour + timedelta(days=8, hours=1)
    return tuple(intervals(windows, since, until, closures))


def wanted(
    config: DeploymentConfig | None,
    demand: Demand,
    now: datetime,
    hold: Hold | None = None,
    outlook: Outlook | None = None,
) -> Wanted:
    """Return the wanted state of a deployment.

    `config`: None if it is no longer configured. `outlook`: None if only the configuration is known.
    """
    if config is None:
        return Wanted(False, "it is no longer in deployments.yaml")
    if hold is not None and now < hold.until:
        way = "up" if hold.up else "down"
        reason = f"held {way} by {hold.owner} until {clock_time(hold.until)}: {hold.reason}"
        return Wanted(hold.up, reason, changes_at=hold.until)
    outlook = outlook or Outlook(planned_lead(config))
    ahead = windows_ahead(config.windows, config.closures, now)
    waiting = (
        f"{demand.unfinished}{'+' if demand.more else ''} unfinished document{plural(demand.unfinished)}"
    )
    edges = [
        edge
        for window in ahead
        for edge in (window.start - outlook.lead, window.end)
        if now < edge < ALWAYS.end
    ]
    changes_at = min(edges, default=None)
    for window in ahead:
        if not _is_on(window, demand, now, outlook):
            continue
        what = f"batch window with {waiting}" if window.stop_when_empty else "window"
        times = f"{what}, {clock_time(window.start)} to {clock_time(window.end)}"
        return Wanted(
            True,
            "round the clock (always: true)" if config.always else times,
            changes_at=changes_at,
            opens_at=window.start,
            for_documents=window.stop_when_empty,
        )
    later = Wanted(False, f"{waiting} to wait for the next window", changes_at=changes_at)
    if demand.unfinished and config.uploads is UploadStart.ON_DEMAND:
        later = _for_documents(config, demand, waiting, now, outlook, ahead, changes_at)
        if later.up or not outlook.up:
            return later
    if outlook.kept:
        return Wanted(False, outlook.kept, keep=True, changes_at=changes_at, scarce=True)
    for window in ahead:
        if window.end <= now < window.keep_until:
            return Wanted(False, "close grace for outside callers", keep=True, changes_at=window.keep_until)
    if outlook.billed_from is not None and outlook.unit > PAID_MARGIN and not outlook.free:
        stays_until = paid_until(outlook.billed_from, now, outlook.unit) - PAID_MARGIN
        if now < stays_until:
            paid = stays_until + PAID_MARGIN
            reason = f"nothing needs it, and its hour is paid until {clock_time(paid)}"
            return Wanted(False, reason, keep=True, changes_at=stays_until, paid_until=paid)
    if demand.unfinished:
        return later
    return Wanted(False, "no window and no unfinished document", changes_at=changes_at)


def _is_on(window: Interval, demand: Demand, now: datetime, outlook: Outlook) -> bool:
    """Return whether a window wants the deployment now: not if nine in ten creates would end too late."""
    if not window.start - outlook.lead <= now < window.end:
        return False
    if window.stop_when_empty and not demand.unfinished:
        return False
    least = min(outlook.lead, outlook.create.quantile(0.1))
    return outlook.up or window.end - now > least


def _for_documents(
    config: DeploymentConfig,
    demand: Demand,
    waiting: str,
    now: datetime,
    outlook: Outlook,
    ahead: tuple[Interval, ...],
    changes_at: datetime | None,
) -> Wanted:
    """Return the state that waiting documents want: up at once, or as late as their promises allow.

    A document's own promise counts instead of `start_within`, and its deployment need not stay up for it
    if a window within that promise is ahead.
    """
    latest, within = demand.latest_start, config.start_within
    arrivals = demand.arrivals or (() if latest else (now,))
    up = Wanted(True, waiting, changes_at=changes_at, for_documents=True)
    if outlook.free or (arrivals and (outlook.up or within <= timedelta(0))):
        return up
    promised = min(filter(None, (arrivals[0] + within if arrivals else None, latest)))
    joined = next((window for window in ahead if now < window.start <= promised), None)
    if joined is not None:
        reason = f"{waiting} to be answered in the window from {clock_time(joined.start)}"
        return Wanted(False, reason, changes_at=changes_at)
    at, when = _latest_create(arrivals, latest, within, outlook)
    if outlook.up or at <= now + _HALF_TICK:
        return up
    reason = f"{waiting} to be {when}: others may share the deployment"
    return Wanted(False, reason, changes_at=min(at, changes_at or at))


def _latest_create(
    arrivals: tuple[datetime, ...], latest: datetime | None, within: timedelta, outlook: Outlook
) -> tuple[datetime, str]:
    """Return when to create at the latest, and what that keeps."""
    found = list[tuple[datetime, str]]()
    if arrivals:
        at = start_at(arrivals, within, outlook.create, outlook.batches, outlook.unit)
        found.append((at, f"answered within {span(within)}"))
    if latest is not None:
        at = latest - outlook.create.quantile(LEAD_SHARE)
        found.append((at, f"begun by {clock_time(latest)}"))
    return min(found)


@functools.lru_cache(maxsize=1024)
def clock_time(at: datetime) -> str:
    """Format a time for a reason."""
    return f"{at:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + " UTC"


def plural(count: int) -> str:
    """Return the ending of a noun after a count."""
    return "" if count == 1 else "s"


def span(length: timedelta) -> str:
    """Format a length of time for a reason."""
    return f"{round(length.total_seconds() / 60)} min"
