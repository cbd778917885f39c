"""Report past hosting for finance: its sessions with hours and cost.

Hours and costs of a session are rounded once, to four decimals, and so are their sums. So text, JSON and CSV
show the same figures, and sessions add up to the total.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.app import Lamplighter
from shared.errors import InvalidRequest
from shared.model import HostedId, HostingSession
from shared.money.cost import always_on_cost, hosting_cost, within

DIGITS = 4
"""Decimals of hours and costs: a started minute costs less than a cent, or a few."""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class SessionReport:
    """The part of a hosting session that lies in the period. An end that was not observed has two bounds."""

    account: str
    deployment: str
    cost_center: str | None
    sku: str
    capacity: int  # thousands of tokens per minute
    generation: int
    started_at: datetime
    ready_at: datetime | None
    ended_after: datetime | None
    ended_by: datetime | None
    hours_at_least: float
    hours_at_most: float
    price_per_hour: float
    cost_at_least: float
    cost_at_most: float
    currency: str


@dataclass(frozen=True)
class SessionTotals:
    """The sums. `always_on_cost`: the cost of hosting without a break since each one's first session."""

    hours_at_least: float
    hours_at_most: float
    cost_at_least: float
    cost_at_most: float
    always_on_cost: float
    saving_at_least: float
    saving_at_most: float
    currency: str


@dataclass(frozen=True)
class SessionsReport:
    """All sessions in [since, until), and their sums."""

    since: datetime
    until: datetime
    sessions: list[SessionReport]
    totals: SessionTotals


async def sessions(
    app: Lamplighter, since: datetime, until: datetime, only: str | None = None
) -> SessionsReport:
    """Return the sessions in [since, until) of all deployments, also those no longer configured, or of one.

    A session that has not ended counts until now. Raises InvalidRequest for a name that never was a
    deployment's, StorageError.
    """
    counted_to = min(until, app.context.clock.now())
    found = [(account, each) async for account, each in _found(app, only)]
    parts = [(account, part) for account, each in found if (part := within(each, since, until)) is not None]
    reports = [_report(app, account, part, counted_to) for account, part in parts]
    return SessionsReport(since, until, reports, _totals(app, found, reports, since, counted_to))


async def _found(app: Lamplighter, only: str | None) -> AsyncIterator[tuple[str, HostingSession]]:
    """Yield every session with its account's name."""
    known = False
    for account in await app.accounts():
        configured = [
            each.name for each in app.settings.deployments.values() if each.account == account.resource_id
        ]
        names = {*configured, *await app.context.ledger.records(account.resource_id)}
        for name in sorted(names):
            if only is None or name.lower() == only.lower():
                known = True
                for session in await app.context.ledger.sessions(HostedId(account.resource_id, name)):
                    yield account.name, session
    if only is not None and not known:
        raise InvalidRequest(f"no deployment is or was called {only[:64]!r}")


def _report(app: Lamplighter, account: str, part: HostingSession, counted_to: datetime) -> SessionReport:
    least, most = hosting_cost(part, counted_to, app.settings.prices)
    configured = app.settings.deployments.get(part.deployment)
    return SessionReport(
        account=account,
        deployment=part.deployment,
        cost_center=configured.cost_center if configured else None,
        sku=part.sku,
        capacity=part.capacity,
        generation=part.generation,
        started_at=part.started_at.replace(microsecond=0),
        ready_at=_second(part.ready_at),
        ended_after=_second(part.ended_after),
        ended_by=_second(part.ended_by),
        hours_at_least=_hours(part, part.ended_after or counted_to),
        hours_at_most=_hours(part, part.ended_by or counted_to),
        price_per_hour=part.price_per_hour,
        cost_at_least=_rounded(least),
        cost_at_most=_rounded(most),
        currency=app.settings.prices.currency,
    )


def _totals(
    app: Lamplighter,
    found: Sequence[tuple[str, HostingSession]],
    reports: Sequence[SessionReport],
    since: datetime,
    until: datetime,
) -> SessionTotals:
    first: dict[tuple[str, str], HostingSession] = {}
    for account, session in found:
        first.setdefault((account, session.deployment), session)
    prices = app.settings.prices
    always_on = _rounded(sum(always_on_cost(each, since, until, prices) for each in first.values()))
    least = _rounded(sum(each.cost_at_least for each in reports))
    most = _rounded(sum(each.cost_at_most for each in reports))
    return SessionTotals(
        hours_at_least=_rounded(sum(each.hours_at_least for each in reports)),
        hours_at_most=_rounded(sum(each.hours_at_most for each in reports)),
        cost_at_least=least,
        cost_at_most=most,
        always_on_cost=always_on,
        saving_at_least=_rounded(always_on - most),
        saving_at_most=_rounded(always_on - least),
        currency=prices.currency,
    )


def _hours(part: HostingSession, end: datetime) -> float:
    return _rounded(max(end - part.started_at, timedelta(0)) / _HOUR)


def _rounded(figure: float) -> float:
    return round(figure, DIGITS) + 0.0  # never -0.0


def _second(at: datetime | None) -> datetime | None:
    return at.replace(microsecond=0) if at else None
