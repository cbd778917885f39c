"""Report the state of deployments with the reason: for the API and for `status`.

From the records, so that frequent requests cause no calls to Azure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from shared.app import Lamplighter
from shared.documents.identity import UNKNOWN_DEPLOYMENT
from shared.documents.sweep_position import LastSweep
from shared.model import (
    AccountRecord,
    Action,
    DeploymentConfig,
    DeploymentRecord,
    Hold,
    HostingSession,
    Mode,
    Observed,
    Prices,
    UploadStart,
)
from shared.money.cost import hosting_cost
from shared.planning.adoption import differences
from shared.planning.desired import Wanted
from shared.planning.estimates import CreateTime
from shared.planning.picture import Picture
from shared.planning.uploads import LATE_SHARE
from shared.reports.as_json import FLAT

_FAILED_LATELY = timedelta(days=7)
_FOLDERS = 50  # folders of no deployment whose failures are counted


@dataclass(frozen=True)
class LastSeen:
    """The observation of the last pass that could read the account."""

    observed: Observed
    at: datetime


@dataclass(frozen=True)
class AccountProblem:
    """The reason why the last pass could not read the account, and its time."""

    problem: str
    at: datetime | None


@dataclass(frozen=True)
class Seen:
    """The last known state in Azure. A deployment that was not or cannot be read is unknown, not absent."""

    observed: Observed
    observed_reason: str | None  # why the state in Azure is unknown
    observed_at: datetime | None
    last_seen: LastSeen | None
    account_problem: AccountProblem | None


@dataclass(frozen=True)
class WantReport:
    """The desired state and its reason, and when the schedule or a hold next changes it."""

    wanted: Literal["up", "down"]
    reason: str
    next_change: datetime | None


@dataclass(frozen=True)
class StartWithin:
    """How long documents may wait for a start, and the share of creates that alone take longer."""

    seconds: float
    create_takes_longer: float
    feasible: bool


@dataclass(frozen=True)
class HoldReport:
    """The hold of a deployment: its direction, end, owner and reason."""

    way: Literal["up", "down"]
    until: datetime
    owner: str
    reason: str
    made_at: datetime


@dataclass(frozen=True)
class LatestSession:
    """The latest session and an estimate of its cost; the bounds differ if its end was not observed."""

    started_at: datetime
    ready_at: datetime | None
    ended_at: datetime | None
    cost_at_least: float
    cost_at_most: float
    currency: str


@dataclass(frozen=True)
class DeploymentStatus:
    """One deployment: its observed and desired state, the reason, and the next change."""

    deployment: str
    account: str
    model: str
    seen: Seen = field(metadata=FLAT)
    want: WantReport = field(metadata=FLAT)
    step: Action
    step_reason: str
    problem: str | None
    unfinished: int
    start_within: StartWithin | None
    mode: Mode
    hold: HoldReport | None
    adopted: bool
    differences: Sequence[str]  # from deployments.yaml
    session: LatestSession | None


@dataclass(frozen=True)
class Failed:
    """The number of failed documents that arrived since then; `more`: there are more than are counted."""

    since: datetime
    count: int
    more: bool


@dataclass(frozen=True)
class ListedDeployment:
    """One deployment in the list of all deployments."""

    status: DeploymentStatus = field(metadata=FLAT)
    failed: Failed


@dataclass(frozen=True)
class AccountStatus:
    """The time when an account was last read, and why it cannot be read now."""

    account: str
    read_at: datetime | None
    account_problem: AccountProblem | None


@dataclass(frozen=True)
class SweepStatus:
    """The last sweep of the inbox."""

    began_at: datetime
    age_seconds: float
    unaccounted: int  # uploads that could not be recorded; target 0
    walked_at: datetime | None  # every upload before this time is accounted for
    resting: int  # empty uploads that may still be written


@dataclass(frozen=True)
class StatusReport:
    """Every deployment, every account, and the last sweep (None: there was none)."""

    deployments: Sequence[ListedDeployment]
    accounts: Sequence[AccountStatus]
    sweep: SweepStatus | None
    failed_elsewhere: Failed  # in folders that are no deployment's


def unreadable(account: AccountRecord) -> str | None:
    """Return why the account's state is unknown, with Azure's error and its remedy; None if it was read."""
    read_since = account.listed_at and account.problem_at and account.problem_at < account.listed_at
    return f"the account cannot be read: {account.problem}" if account.problem and not read_since else None


async def listed(app: Lamplighter) -> StatusReport:
    """Return the state of every deployment and account, and the last sweep.

    Accounts that are no longer configured are included while they host something.
    """
    now = app.context.clock.now()
    names = {each.resource_id: each.name for each in await app.accounts()}
    found = await asyncio.gather(*(app.context.ledger.account(key) for key in names))
    accounts = dict(zip(names, found, strict=True))
    pictures = {key: await app.picture(key) for key in app.settings.accounts}
    failed = await failed_lately(app, list(app.settings.deployments), now)
    deployments = []
    for name, config in app.settings.deployments.items():
        picture = pictures[config.account]
        session = await app.context.ledger.session(picture.record(name))
        status = entry(app, config, picture, accounts[config.account], session)
        deployments.append(ListedDeployment(status, failed[name]))
    sweep = await app.intake.last_sweep()
    return StatusReport(
        deployments=deployments,
        accounts=[
            AccountStatus(names[key], each.listed_at, _account_problem(each))
            for key, each in accounts.items()
        ],
        sweep=_sweep(sweep, now) if sweep else None,
        failed_elsewhere=await _failed_elsewhere(app, now),
    )


def _sweep(sweep: LastSweep, now: datetime) -> SweepStatus:
    return SweepStatus(
        began_at=sweep.began_at,
        # It may have begun since this listing did.
        age_seconds=max(0.0, (now - sweep.began_at).total_seconds()),
        unaccounted=sweep.unaccounted,
        walked_at=sweep.walked_at,
        resting=sweep.resting,
    )


async def failed_lately(app: Lamplighter, names: Sequence[str], now: datetime) -> dict[str, Failed]:
    """Return how many recently arrived documents failed, by deployment; at most two hundred are counted."""
    since = _lately(now)
    counts = await asyncio.gather(*(app.documents.failed_since(name, since) for name in names))
    return {name: Failed(since, count, more) for name, (count, more) in zip(names, counts, strict=True)}


async def _failed_elsewhere(app: Lamplighter, now: datetime) -> Failed:
    """Return the number of failed uploads to folders that are no deployment's."""
    folders, more = await app.documents.folders(_FOLDERS)
    names = [each for each in folders if each not in app.settings.deployments]
    counts = (await failed_lately(app, [UNKNOWN_DEPLOYMENT, *names], now)).values()
    more |= any(each.more for each in counts)
    return Failed(_lately(now), sum(each.count for each in counts), more)


def _lately(now: datetime) -> datetime:
    """Return a midnight in UTC, so that `documents --since DATE` lists the same documents."""
    return (now.astimezone(UTC) - _FAILED_LATELY).replace(hour=0, minute=0, second=0, microsecond=0)


def entry(
    app: Lamplighter,
    config: DeploymentConfig,
    picture: Picture,
    account: AccountRecord,
    session: HostingSession | None,
) -> DeploymentStatus:
    """Return the status of one deployment from the data that was read."""
    name = config.name
    record, hold = picture.record(name), picture.holds.get(name)
    return DeploymentStatus(
        deployment=name,
        account=app.settings.accounts[config.account].name,
        model=config.spec.model_name,
        seen=seen(record, account),
        want=want_report(picture.wanted(name)),
        step=record.decision.action,
        step_reason=record.decision.reason,
        problem=record.generation.trouble or record.backoff.problem or None,
        unfinished=picture.demand[name].unfinished,
        start_within=_promise(config, picture.outlooks[name].create),
        mode=config.mode,
        hold=hold_report(hold) if hold else None,
        adopted=record.history.adopted is not None,
        differences=differences(config.spec, record.history.adopted) if record.history.adopted else [],
        session=_session(session, picture.now, app.settings.prices) if session else None,
    )


def want_report(want: Wanted) -> WantReport:
    """Return the desired state with its reason and next change."""
    return WantReport(up_or_down(want.up), want.reason, want.changes_at)


def up_or_down(up: bool) -> Literal["up", "down"]:
    """Return the desired state in one word."""
    return "up" if up else "down"


def seen(record: DeploymentRecord, account: AccountRecord) -> Seen:
    """Return the state in Azure as the last pass observed it."""
    reason = unreadable(account) or (None if account.listed_at else "no pass has looked at it yet")
    last = LastSeen(record.decision.observed, account.listed_at) if account.listed_at else None
    return Seen(
        observed=Observed.UNKNOWN if reason else record.decision.observed,
        observed_reason=reason,
        observed_at=account.listed_at,
        last_seen=last if reason else None,
        account_problem=_account_problem(account),
    )


def _account_problem(account: AccountRecord) -> AccountProblem | None:
    return AccountProblem(account.problem, account.problem_at) if unreadable(account) else None


def _promise(config: DeploymentConfig, create: CreateTime) -> StartWithin | None:
    if config.uploads is UploadStart.SCHEDULED or not config.start_within:
        return None
    broken = create.longer_than(config.start_within)
    return StartWithin(config.start_within.total_seconds(), round(broken, 3), broken <= LATE_SHARE)


def hold_report(hold: Hold) -> HoldReport:
    """Return the report of a hold."""
    return HoldReport(up_or_down(hold.up), hold.until, hold.owner, hold.reason, hold.made_at)


def _session(session: HostingSession, now: datetime, prices: Prices) -> LatestSession:
    least, most = hosting_cost(session, now, prices)
    return LatestSession(
        started_at=session.started_at,
        ready_at=session.ready_at,
        ended_at=session.ended_by,
        cost_at_least=round(least, 4),
        cost_at_most=round(most, 4),
        currency=prices.currency,
    )
