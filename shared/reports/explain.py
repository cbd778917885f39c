"""Explain one deployment: its state, what blocks its next step, its last decisions and its cost.

For the API and for `explain`. From the records; `explained_live` also asks Azure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from shared.app import Lamplighter
from shared.errors import ProviderError
from shared.hosting.ledger import DecisionRow
from shared.model import (
    AccountRecord,
    Action,
    Demand,
    DeploymentConfig,
    DeploymentRecord,
    Hosted,
    HostingSession,
    Observed,
    Prices,
)
from shared.money.cost import always_on_cost, hosting_cost, within
from shared.planning.adoption import differences
from shared.planning.observed import DELETE_AFTER_TAG, OUR_TAGS
from shared.reports.as_json import FLAT
from shared.reports.status import (
    DeploymentStatus,
    Failed,
    entry,
    failed_lately,
    seen,
    unreadable,
    up_or_down,
    want_report,
)

_DECISIONS = 20
_UNREADABLE = "no step is taken while the account cannot be read"


@dataclass(frozen=True)
class NextStep:
    """What a pass does next. If `again_at` is None, the next pass looks at the deployment again."""

    action: Action
    reason: str | None
    again_at: datetime | None


@dataclass(frozen=True)
class Step:
    """The next step, and what blocks it."""

    next_step: NextStep
    blocked: str | None


@dataclass(frozen=True)
class Oldest:
    """The oldest unfinished document."""

    arrived_at: datetime
    age_seconds: float


@dataclass(frozen=True)
class MonthReport:
    """The cost of hosting in this calendar month (UTC), and what always-on hosting would have cost."""

    since: datetime
    sessions: int
    cost_at_least: float
    cost_at_most: float
    always_on_cost: float
    currency: str


@dataclass(frozen=True)
class DecisionReport:
    """A decision as it was taken."""

    at: datetime
    action: Action
    observed: Observed
    wanted: Literal["up", "down"]
    reason: str


@dataclass(frozen=True)
class Explanation:
    """The explanation of one deployment from the records: step and observation are the last pass's."""

    status: DeploymentStatus = field(metadata=FLAT)
    step: Step = field(metadata=FLAT)
    unfinished_more: bool
    failed: Failed
    oldest_unfinished: Oldest | None
    this_month: MonthReport
    decisions: Sequence[DecisionReport]


@dataclass(frozen=True)
class AzureReport:
    """The deployment as Azure shows it."""

    provisioning_state: str
    sku: str
    capacity: int
    model: str
    created_at: datetime | None
    delete_after: str | None


@dataclass(frozen=True)
class LiveExplanation:
    """The explanation of one deployment: step and observation are those of a pass now that writes nothing."""

    explanation: Explanation = field(metadata=FLAT)
    azure: AzureReport | None
    azure_problem: str | None  # why Azure could not be read: its state is then unknown


async def explained(app: Lamplighter, config: DeploymentConfig) -> Explanation:
    """Return the explanation of one deployment. Raises StorageError."""
    return (await _explained(app, config))[0]


async def _explained(
    app: Lamplighter, config: DeploymentConfig
) -> tuple[Explanation, DeploymentRecord, AccountRecord]:
    ledger, now = app.context.ledger, app.context.clock.now()
    picture, account, decisions, failed = await asyncio.gather(
        app.picture(config.account, demand_of=[config.name]),
        ledger.account(config.account),
        ledger.decisions(config.hosted_id, _DECISIONS),
        failed_lately(app, [config.name], now),
    )
    record, demand = picture.record(config.name), picture.demand[config.name]
    last = record.decision
    month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    session, sessions = await asyncio.gather(ledger.session(record), ledger.sessions_since(record, month))
    explanation = Explanation(
        status=entry(app, config, picture, account, session),
        step=_step(last.action, last.reason, last.again_at, record, account, now),
        unfinished_more=demand.more,
        failed=failed[config.name],
        oldest_unfinished=_oldest(demand, now),
        this_month=_spent(sessions, month, now, app.settings.prices),
        decisions=[_decision(each) for each in decisions],
    )
    return explanation, record, account


async def explained_live(app: Lamplighter, config: DeploymentConfig) -> LiveExplanation:
    """Return the explanation with the state that Azure shows now: it is asked once. Raises StorageError."""
    explanation, record, account = await _explained(app, config)
    try:
        found = await app.dry_run(app.settings.accounts[config.account])
    except ProviderError as error:
        failed = replace(account, problem=str(error), problem_at=app.context.clock.now())
        status = replace(explanation.status, seen=seen(record, failed))
        step = replace(explanation.step, blocked=_UNREADABLE)
        return LiveExplanation(replace(explanation, status=status, step=step), None, str(error))
    azure, decision = found.azure.get(config.name), found.decisions[config.name]
    status = replace(
        explanation.status,
        # A problem of the last pass remains there as account_problem.
        seen=replace(
            explanation.status.seen,
            observed=decision.observed,
            observed_reason=None,
            observed_at=found.at,
            last_seen=None,
        ),
        want=want_report(decision.wanted),  # keep_if_scarce depends on Azure's state now
    )
    if azure is not None:
        status = replace(status, differences=_differences(config, azure))
    read = replace(account, problem="")
    step = _step(decision.action, decision.reason, decision.again_at, record, read, found.at)
    explanation = replace(explanation, status=status, step=step)
    return LiveExplanation(explanation, _azure(azure) if azure else None, None)


def _step(
    action: Action,
    reason: str,
    again_at: datetime | None,
    record: DeploymentRecord,
    account: AccountRecord,
    now: datetime,
) -> Step:
    blocked, backoff = None, record.backoff
    if unreadable(account):
        blocked = _UNREADABLE
    elif action is Action.WAIT:
        blocked = reason
    elif action in (Action.CREATE, Action.DELETE) and account.busy:
        blocked = f"Azure takes no write on the account now: {account.busy}"
    elif action is Action.CREATE and backoff.not_before is not None and now < backoff.not_before:
        blocked = backoff.problem
    return Step(NextStep(action, reason or None, again_at), blocked)


def _oldest(demand: Demand, now: datetime) -> Oldest | None:
    if demand.oldest is None:
        return None
    return Oldest(demand.oldest, (now - demand.oldest).total_seconds())


def _decision(row: DecisionRow) -> DecisionReport:
    return DecisionReport(row.at, row.action, row.observed, up_or_down(row.wanted), row.reason)


def _spent(
    sessions: Sequence[HostingSession], since: datetime, until: datetime, prices: Prices
) -> MonthReport:
    parts = [part for each in sessions if (part := within(each, since, until)) is not None]
    costs = [hosting_cost(part, until, prices) for part in parts]
    always_on = always_on_cost(sessions[0], since, until, prices) if sessions else 0.0
    return MonthReport(
        since=since,
        sessions=len(parts),
        cost_at_least=round(sum(least for least, _ in costs), 4),
        cost_at_most=round(sum(most for _, most in costs), 4),
        always_on_cost=round(always_on, 4),
        currency=prices.currency,
    )


def _azure(azure: Hosted) -> AzureReport:
    return AzureReport(
        provisioning_state=azure.said,
        sku=azure.spec.sku,
        capacity=azure.spec.capacity,
        model=azure.spec.model_name,
        created_at=azure.created_at,
        delete_after=azure.spec.tags.get(DELETE_AFTER_TAG),
    )


def _differences(config: DeploymentConfig, azure: Hosted) -> list[str]:
    """Return the differences from the file, without our own tags."""
    theirs = {name: value for name, value in azure.spec.tags.items() if name not in OUR_TAGS}
    return differences(config.spec, replace(azure.spec, tags=theirs))
