"""Schedule, hold and the recent past → what will be hosted, and what that costs beside always-on.

Estimates from the configured prices. What tokens cost is the same either way, and is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.model import DeploymentConfig, Hold, HostingSession, Prices, UploadStart
from shared.money.spans import Planned, Span, cost, hours, merged, planned, without
from shared.schedule.leads import Leads

RECENT = timedelta(days=28)
"""The past from which uploads are forecast."""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Subject:
    """One deployment, with what a forecast of it goes by."""

    config: DeploymentConfig
    account: str  # its name, for people
    leads: Leads
    sku: str  # as it is created
    prices: Prices
    hold: Hold | None = None
    sessions: tuple[HostingSession, ...] | None = None  # those of the recent past; None: they are not known
    asked: tuple[datetime, ...] | None = None  # when documents came and were finished; None: not all known
    kept_until: datetime | None = None  # how long it may be kept that is kept now, as capacity is scarce

    @property
    def price(self) -> float:
        """Hosting, an hour."""
        return self.prices.hosting_per_hour.get(self.sku, 0.0)


@dataclass(frozen=True)
class Figure:
    """Hours of hosting, and what they cost."""

    hours: float = 0.0
    cost: float = 0.0

    def plus(self, other: Figure) -> Figure:
        """Both together."""
        return Figure(self.hours + other.hours, self.cost + other.cost)

    def minus(self, other: Figure) -> Figure:
        """What is left, or missing."""
        return Figure(self.hours - other.hours, self.cost - other.cost)


@dataclass(frozen=True)
class Figures:
    """A deployment's period, or the sum of several deployments'."""

    certain: Figure = Figure()
    possible: Figure = Figure()  # of batch windows, and kept because capacity is scarce: at most
    uploads: Figure = Figure()  # as in the recent past
    always_on: Figure = Figure()

    @property
    def most(self) -> Figure:
        """What is certain, and all of what is not."""
        return self.certain.plus(self.possible).plus(self.uploads)

    def plus(self, other: Figures) -> Figures:
        """Both together."""
        return Figures(
            self.certain.plus(other.certain),
            self.possible.plus(other.possible),
            self.uploads.plus(other.uploads),
            self.always_on.plus(other.always_on),
        )


@dataclass(frozen=True)
class Uploads:
    """Hosting that no window asked for, in the recent past: what documents started, and holds."""

    sessions: int
    hours_a_day: float
    cost_a_day: float


@dataclass(frozen=True)
class Forecast:
    """One deployment in [since, until). `uploads` is None where nothing of the past tells of them."""

    subject: Subject
    since: datetime
    until: datetime
    plan: Planned
    uploads: Uploads | None
    figures: Figures


def forecast(subject: Subject, since: datetime, until: datetime) -> Forecast:
    """What the schedule and the hold will host in [since, until), which begins now."""
    config, price, prices = subject.config, subject.price, subject.prices
    plan = planned(config, subject.leads, since, until, subject.hold, subject.kept_until)
    certain = Figure(hours(plan.certain), cost(plan.certain, price, prices))
    everything = merged((*plan.certain, *plan.possible))
    # Joined by a batch window, two sessions may be charged as one, which is less by the started hour.
    possible = Figure(hours(plan.possible), max(0.0, cost(everything, price, prices) - certain.cost))
    whole = (Span(since, until),)
    always_on = Figure(hours(whole), cost(whole, price, prices))
    uploads = recent_uploads(subject, since)
    days = (until - since) / _DAY
    left = always_on.minus(certain).minus(possible)
    expected = Figure()
    if uploads is not None:
        # At most what the windows leave: uploads start nothing that is up already.
        expected = Figure(
            min(uploads.hours_a_day * days, max(0.0, left.hours)),
            min(uploads.cost_a_day * days, max(0.0, left.cost)),
        )
    figures = Figures(certain, possible, expected, always_on)
    return Forecast(subject, since, until, plan, uploads, figures)


def recent_uploads(subject: Subject, now: datetime) -> Uploads | None:
    """The average day of hosting outside of the windows over the recent past; None if there was none.

    By the windows as they are configured now. A session whose end was not seen counts to when it was missed.
    """
    if subject.config.uploads is not UploadStart.ON_DEMAND or not subject.sessions:
        return None
    since = now - RECENT
    plan = planned(subject.config, subject.leads, since, now)
    scheduled = merged((*plan.certain, *plan.possible))
    found, count = list[Span](), 0
    for each in subject.sessions:
        session = Span(max(each.started_at, since), min(each.likely_end or now, now))
        outside = without([session] if session.start < session.end else [], scheduled)
        found += outside
        count += bool(outside)
    if not found:
        return None
    days = RECENT / _DAY
    return Uploads(count, hours(found) / days, cost(found, subject.price, subject.prices) / days)


def summed(forecasts: Iterable[Forecast]) -> Figures:
    """All of them together."""
    total = Figures()
    for each in forecasts:
        total = total.plus(each.figures)
    return total


@dataclass(frozen=True)
class Change:
    """What another file changes for a deployment; None where it is not in one of the two."""

    deployment: str
    before: Forecast | None
    after: Forecast | None
    appears: Planned
    vanishes: Planned

    @property
    def certain(self) -> Figure:
        """More, or less, of what is certain."""
        return _figures(self.after).certain.minus(_figures(self.before).certain)

    @property
    def most(self) -> Figure:
        """More, or less, of what is hosted at most."""
        return _figures(self.after).most.minus(_figures(self.before).most)


def compare(before: Sequence[Forecast], after: Sequence[Forecast]) -> list[Change]:
    """The changes of every deployment of the two, in the order of the new file; the removed ones follow."""
    old = {each.subject.config.name: each for each in before}
    new = {each.subject.config.name: each for each in after}
    changes = []
    for name in (*new, *(name for name in old if name not in new)):
        was, is_now = old.get(name), new.get(name)
        plan, former = (each.plan if each else Planned() for each in (is_now, was))
        changes.append(Change(name, was, is_now, plan.beyond(former), former.beyond(plan)))
    return changes


def _figures(of: Forecast | None) -> Figures:
    return of.figures if of else Figures()
