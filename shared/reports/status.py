"""How deployments stand, and why: what the API answers and what `status` and `explain` show.

From the records, so that asking often costs no call to Azure; `explained` may look at Azure besides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.app import Lamplighter
from shared.documents.backlog import UNKNOWN_DEPLOYMENT
from shared.errors import ArmError
from shared.hosting.ledger import DecisionRow
from shared.model import (
    AccountRecord,
    Action,
    AzureDeployment,
    DeploymentConfig,
    DeploymentRecord,
    Hold,
    HostingSession,
    Observed,
    Prices,
    UploadStart,
)
from shared.money.cost import always_on_cost, hosting_cost, within
from shared.planning.adoption import differences, from_text, properties_of
from shared.planning.desired import Wanted
from shared.planning.estimates import CreateTime
from shared.planning.observed import DELETE_AFTER_TAG, OUR_TAGS
from shared.planning.picture import Picture
from shared.planning.uploads import LATE_SHARE

_DECISIONS = 20
_FAILED_LATELY = timedelta(days=7)
_FOLDERS = 50  # folders of no deployment whose failures are counted
_UNREADABLE = "no step is taken while the account cannot be read"


def unreadable(account: AccountRecord) -> str | None:
    """Why nobody can say what the account has now, with Azure's error and its remedy; None if it was read."""
    read_since = account.listed_at and account.problem_at and account.problem_at < account.listed_at
    return f"the account cannot be read: {account.problem}" if account.problem and not read_since else None


async def listed(app: Lamplighter) -> dict[str, Any]:
    """Every deployment: what is observed and wanted, why, and when that next changes; and the last sweep.

    Also the accounts, those included that are no longer configured and still host something.
    """
    now = app.context.clock.now()
    names = {each.resource_id: each.name for each in await app.accounts()}
    found = await asyncio.gather(*(app.context.ledger.account(key) for key in names))
    accounts = dict(zip(names, found, strict=True))
    pictures = {key: await app.picture(key) for key in app.settings.accounts}
    failed = await _failed(app, list(app.settings.deployments), now)
    told = []
    for name, config in app.settings.deployments.items():
        picture = pictures[config.account]
        session = await app.context.ledger.session(picture.record(name))
        entry = _entry(app, config, picture, accounts[config.account], session)
        told.append(entry | {"failed": failed[name]})
    sweep = await app.intake.last_sweep()
    swept = sweep and {
        "began_at": iso(sweep.began_at),
        # It may have begun since this listing did.
        "age_seconds": max(0.0, (now - sweep.began_at).total_seconds()),
        "unaccounted": sweep.unaccounted,
        "walked_at": iso(sweep.walked_at),
    }
    read = [
        {"account": names[key], "read_at": iso(each.listed_at), "account_problem": _account_problem(each)}
        for key, each in accounts.items()
    ]
    elsewhere = await _failed_elsewhere(app, now)
    return {"deployments": told, "accounts": read, "sweep": swept, "failed_elsewhere": elsewhere}


async def _failed(app: Lamplighter, names: Sequence[str], now: datetime) -> dict[str, dict[str, Any]]:
    """How many documents failed, by deployment, of those that arrived lately; two hundred are counted."""
    since = _lately(now)
    counts = await asyncio.gather(*(app.documents.failed_since(name, since) for name in names))
    return {
        name: {"since": iso(since), "count": count, "more": more}
        for name, (count, more) in zip(names, counts, strict=True)
    }


async def _failed_elsewhere(app: Lamplighter, now: datetime) -> dict[str, Any]:
    """The same of uploads to folders that are no deployment's, in sum."""
    folders, more = await app.documents.folders(_FOLDERS)
    names = [each for each in folders if each not in app.settings.deployments]
    counts = (await _failed(app, [UNKNOWN_DEPLOYMENT, *names], now)).values()
    total = sum(each["count"] for each in counts)
    more |= any(each["more"] for each in counts)
    return {"since": iso(_lately(now)), "count": total, "more": more}


def _lately(now: datetime) -> datetime:
    """Midnight in UTC, so that a date names the same documents to the command that lists them."""
    return (now.astimezone(UTC) - _FAILED_LATELY).replace(hour=0, minute=0, second=0, microsecond=0)


async def explained(app: Lamplighter, config: DeploymentConfig, *, ask_azure: bool = False) -> dict[str, Any]:
    """One deployment: also what blocks its next step and until when, its last decisions, and what it costs.

    Step and observation are those of the last pass; if Azure is asked, those of a pass made now. If it does
    not answer, what it has is unknown, and `azure_problem` says why. Raises StorageError.
    """
    ledger, now = app.context.ledger, app.context.clock.now()
    picture, account, decisions, failed = await asyncio.gather(
        app.picture(config.account, demand_of=[config.name]),
        ledger.account(config.account),
        ledger.decisions(config.account, config.name, _DECISIONS),
        _failed(app, [config.name], now),
    )
    record, demand = picture.record(config.name), picture.demand[config.name]
    month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    session, sessions = await asyncio.gather(ledger.session(record), ledger.sessions_since(record, month))
    told = _entry(app, config, picture, account, session)
    told |= _step(record.action, record.reason, record.again_at, record, account, now)
    told |= {
        "unfinished_more": demand.more,
        "failed": failed[config.name],
        "oldest_unfinished": demand.oldest
        and {
            "arrived_at": iso(demand.oldest),
            "age_seconds": (now - demand.oldest).total_seconds(),
        },
        "this_month": _spent(sessions, month, now, app.settings.prices),
        "decisions": [_decision(each) for each in decisions],
    }
    return told | await _live(app, config, record, account) if ask_azure else told


async def _live(
    app: Lamplighter, config: DeploymentConfig, record: DeploymentRecord, account: AccountRecord
) -> dict[str, Any]:
    try:
        seen = await app.dry_run(app.settings.accounts[config.account])
    except ArmError as error:
        failed = replace(account, problem=str(error), problem_at=app.context.clock.now())
        told = _seen(record, failed) | {"blocked": _UNREADABLE}
        return told | {"azure": None, "azure_problem": str(error)}
    azure, decision = seen.azure.get(config.name), seen.decisions[config.name]
    read = replace(account, problem="")
    told = {"observed": decision.observed, "observed_reason": None, "observed_at": iso(seen.at)}
    told |= {"last_seen": None}  # what the last pass could not read is still told as account_problem
    told |= _wanted(decision.wanted)  # what is kept because scarce depends on what Azure has left now
    told |= _step(decision.action, decision.reason, decision.again_at, record, read, seen.at)
    if azure is not None:
        told["differences"] = differences(config.spec, properties_of(_without_our_tags(azure)))
    return told | {"azure": azure and _deployment(azure), "azure_problem": None}


def _entry(
    app: Lamplighter,
    config: DeploymentConfig,
    picture: Picture,
    account: AccountRecord,
    session: HostingSession | None,
) -> dict[str, Any]:
    name, now, want = config.name, picture.now, picture.wanted(config.name)
    record, hold = picture.record(name), picture.holds.get(name)
    return {
        "deployment": config.name,
        "account": app.settings.accounts[config.account].name,
        "model": config.spec.model_name,
        **_seen(record, account),
        **_wanted(want),
        "step": record.action,
        "step_reason": record.reason,
        "problem": record.trouble or record.problem or None,
        "unfinished": picture.demand[name].unfinished,
        "start_within": _promise(config, picture.outlooks[name].create),
        "mode": config.mode,
        "hold": hold and hold_told(hold),
        "adopted": bool(record.adopted),
        "differences": differences(config.spec, from_text(record.adopted)) if record.adopted else [],
        "session": session and _session(session, now, app.settings.prices),
    }


def _wanted(want: Wanted) -> dict[str, Any]:
    """What is wanted, why, and when the schedule next changes that."""
    return {"wanted": "up" if want.up else "down", "reason": want.reason, "next_change": iso(want.changes_at)}


def _seen(record: DeploymentRecord, account: AccountRecord) -> dict[str, Any]:
    """What Azure has, as far as is known: what cannot be read, or was not looked at yet, is not absent."""
    reason = unreadable(account) or (None if account.listed_at else "no pass has looked at it yet")
    last = {"observed": record.observed, "at": iso(account.listed_at)} if account.listed_at else None
    return {
        "observed": Observed.UNKNOWN if reason else record.observed,
        "observed_reason": reason,
        "observed_at": iso(account.listed_at),
        "last_seen": last if reason else None,
        "account_problem": _account_problem(account),
    }


def _account_problem(account: AccountRecord) -> dict[str, Any] | None:
    """Why the last pass could not read the account, and when that was."""
    return {"problem": account.problem, "at": iso(account.problem_at)} if unreadable(account) else None


def _promise(config: DeploymentConfig, create: CreateTime) -> dict[str, Any] | None:
    """How long documents may wait for a start, and in what share of cases creating alone takes longer."""
    if config.uploads is UploadStart.SCHEDULED or not config.start_within:
        return None
    broken = create.longer_than(config.start_within)
    return {
        "seconds": config.start_within.total_seconds(),
        "create_takes_longer": round(broken, 3),
        "feasible": broken <= LATE_SHARE,
    }


def _step(
    action: Action,
    reason: str,
    again_at: datetime | None,
    record: DeploymentRecord,
    account: AccountRecord,
    now: datetime,
) -> dict[str, Any]:
    """The next step, and what stands in its way. Without a time it is looked at again by the next pass."""
    blocked = None
    if unreadable(account):
        blocked = _UNREADABLE
    elif action is Action.WAIT:
        blocked = reason
    elif action in (Action.CREATE, Action.DELETE) and account.busy:
        blocked = f"Azure takes no write on the account now: {account.busy}"
    elif action is Action.CREATE and record.not_before is not None and now < record.not_before:
        blocked = record.problem
    step = {"action": action, "reason": reason or None, "again_at": iso(again_at)}
    return {"next_step": step, "blocked": blocked}


def _decision(row: DecisionRow) -> dict[str, Any]:
    return {
        "at": iso(row.at),
        "action": row.action,
        "observed": row.observed,
        "wanted": "up" if row.wanted else "down",
        "reason": row.reason,
    }


def hold_told(hold: Hold) -> dict[str, Any]:
    """Who holds it, which way, until when and what for."""
    return {
        "way": "up" if hold.up else "down",
        "until": iso(hold.until),
        "owner": hold.owner,
        "reason": hold.reason,
        "made_at": iso(hold.made_at),
    }


def _session(session: HostingSession, now: datetime, prices: Prices) -> dict[str, Any]:
    """The latest session and an estimate of its cost; the two bounds differ where its end was not seen."""
    least, most = hosting_cost(session, now, prices)
    return {
        "started_at": iso(session.started_at),
        "ready_at": iso(session.ready_at),
        "ended_at": iso(session.ended_by),
        "cost_at_least": round(least, 4),
        "cost_at_most": round(most, 4),
        "currency": prices.currency,
    }


def _spent(
    sessions: Sequence[HostingSession], since: datetime, until: datetime, prices: Prices
) -> dict[str, Any]:
    """What hosting has cost since then, and what it had cost without a break."""
    parts = [part for each in sessions if (part := within(each, since, until)) is not None]
    costs = [hosting_cost(part, until, prices) for part in parts]
    always_on = always_on_cost(sessions[0], since, until, prices) if sessions else 0.0
    return {
        "since": iso(since),
        "sessions": len(parts),
        "cost_at_least": round(sum(least for least, _ in costs), 4),
        "cost_at_most": round(sum(most for _, most in costs), 4),
        "always_on_cost": round(always_on, 4),
        "currency": prices.currency,
    }


def _deployment(azure: AzureDeployment) -> dict[str, Any]:
    return {
        "provisioning_state": azure.provisioning_state,
        "sku": azure.sku,
        "capacity": azure.capacity,
        "model": azure.model_name,
        "created_at": iso(azure.created_at),
        "delete_after": azure.tags.get(DELETE_AFTER_TAG),
    }


def _without_our_tags(azure: AzureDeployment) -> AzureDeployment:
    return replace(azure, tags={name: value for name, value in azure.tags.items() if name not in OUR_TAGS})


def iso(at: datetime | None) -> str | None:
    """A time as JSON has it."""
    return at.isoformat() if at else None
