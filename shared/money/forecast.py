"""Forecast hosting and its cost from the schedule, the hold and the recent past, beside always-on.

Estimates from the configured prices. Token costs are the same either way, and are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.model import DeploymentConfig, Hold, HostingSession, Prices, UploadStart
from shared.money.spans import Planned, Span, cost, hours, merged, planned, without
from shared.schedule.leads import Leads

RECENT = timedelta(days=28)
"""The part of the past from which uploads are forecast."""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Subject:
    """One deployment, with the data for its forecast."""

    config: DeploymentConfig
    account: str  # the account's name, for people
    leads: Leads
    sku: str  # the SKU with which it is created
    prices: Prices
    hold: Hold | None = None
    sessions: tuple[HostingSession, ...] | None = None  # of the recent past; None: not known
    asked: tuple[datetime, ...] | None = None  # times of documents' arrival and finish; None: not all known
    kept_until: datetime | None = None  # how long it may stay, if it is kept now because capacity is scarce

    @property
    def price(self) -> float:
        """Return the price of an hour of hosting."""
        return self.prices.hosting_per_hour.get(self.sku, 0.0)


@dataclass(frozen=True)
class Figure:
    """Hours of hosting, and their cost."""

    hours: float = 0.0
    cost: float = 0.0

    def plus(self, other: Figure) -> Figure:
        """Return the sum."""
        return Figure(self.hours + other.hours, self.cost + other.cost)

    def minus(self, other: Figure) -> Figure:
        """Return the difference; it may be negative."""
        return Figure(self.hours - other.hours, self.cost - other.cost)


@dataclass(frozen=True)
class Figures:
    """The figures of one deployment for a period, or the sum of several."""

    certain: Figure = Figure()
    possible: Figure = Figure()  # at most: batch windows, and hosting kept because capacity is scarce
    uploads: Figure = Figure()  # if documents arrive as in the recent past
    always_on: Figure = Figure()

    @property
    def most(self) -> Figure:
        """Return the sum of certain and uncertain hosting."""
        return self.certain.plus(self.possible).plus(self.uploads)

    def plus(self, other: Figures) -> Figures:
        """Return the sum."""
        return Figures(
            self.certain.plus(other.certain),
            self.possible.plus(other.possible),
            self.uploads.plus(other.uploads),
            self.always_on.plus(other.always_on),
        )


@dataclass(frozen=True)
class Uploads:
    """Hosting outside of windows in the recent past: its sessions, and hours and cost of an average day."""

    sessions: int
    hours_a_day: float
    cost_a_day: float


@dataclass(frozen=True)
class Forecast:
    """The forecast of one deployment for [since, until). `uploads`: None if the past has no such hosting."""

    subject: Subject
    since: datetime
    until: datetime
    plan: Planned
    uploads: Uploads | None
    figures: Figures


def forecast(subject: Subject, since: datetime, until: datetime) -> Forecast:
    """Forecast the hosting of [since, until) by schedule, hold and past uploads. `since` is now."""
    config, price, prices = subject.config, subject.price, subject.prices
    plan = planned(config, subject.leads, since, until, subject.hold, subject.kept_until)
    certain = Figure(hours(plan.certain), cost(plan.certain, price, prices))
    everything = merged((*plan.certain, *plan.possible))
    # A batch window may join two sessions into one, which saves the rounding up of a started hour.
    possible = Figure(hours(plan.possible), max(0.0, cost(everything, price, prices) - certain.cost))
    whole = (Span(since, until),)
    always_on = Figure(hours(whole), cost(whole, price, prices))
    uploads = recent_uploads(subject, since)
    days = (until - since) / _DAY
    left = always_on.minus(certain).minus(possible)
    expected = Figure()
    if uploads is not None:
        # At most the time outside of windows: uploads start nothing that is up already.
        expected = Figure(
            min(uploads.hours_a_day * days, max(0.0, left.hours)),
            min(uploads.cost_a_day * days, max(0.0, left.cost)),
        )
    figures = Figures(certain, possible, expected, always_on)
    return Forecast(subject, since, until, plan, uploads, figures)


def recent_uploads(subject: Subject, now: datetime) -> Uploads | None:
    """Return the daily average of hosting outside of windows in the recent past; None if there was none.

    The windows are those configured now. A session without an observed end ends when it was missed.
    """
    if subject.config.uploads is not UploadStart.ON_DEMAND or not subject.sessions:
        return None
    since = now - RECENT
    plan = planned(subject.config, subject.leads, since, now)
    scheduled = merged((*plan.certain, *plan.possible))
    found, count = list[Span](), 0
    for hosted in subject.sessions:
        session = Span(max(hosted.started_at, since), min(hosted.likely_end or now, now))
        outside = without([session] if session.start < session.end else [], scheduled)
        found += outside
        count += bool(outside)
    if not found:
        return None
    days = RECENT / _DAY
    return Uploads(count, hours(found) / days, cost(found, subject.price, subject.prices) / days)


def summed(forecasts: Iterable[Forecast]) -> Figures:
    """Return the sum of all forecasts."""
    total = Figures()
    for entry in forecasts:
        total = total.plus(entry.figures)
    return total


@dataclass(frozen=True)
class Change:
    """The change of a deployment between two files; None where a file does not have the deployment."""

    deployment: str
    before: Forecast | None
    after: Forecast | None
    appears: Planned
    vanishes: Planned

    @property
    def certain(self) -> Figure:
        """Return the change of certain hosting."""
        return _figures(self.after).certain.minus(_figures(self.before).certain)

    @property
    def most(self) -> Figure:
        """Return the change of the most that may be hosted."""
        return _figures(self.after).most.minus(_figures(self.before).most)


def compare(before: Sequence[Forecast], after: Sequence[Forecast]) -> list[Change]:
    """Return the changes of all deployments, in the order of the new file; removed ones come last."""
    old = {entry.subject.config.name: entry for entry in before}
    new = {entry.subject.config.name: entry for entry in after}
    changes = []
    for name in (*new, *(name for name in old if name not in new)):
        was, is_now = old.get(name), new.get(name)
        plan, former = (entry.plan if entry else Planned() for entry in (is_now, was))
        changes.append(Change(name, was, is_now, plan.beyond(former), former.beyond(plan)))
    return changes


def _figures(of: Forecast | None) -> Figures:
    return of.figures if of else Figures()
