"""A pass over one account: observe, plan, act, record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.alerts import Alert, alert, event
from shared.domain import Account, Action, DeploymentRecord, Hosting, Observed, RecordState
from shared.hosting.act import take
from shared.hosting.arm_writes import ARM_SECONDS, ArmBusy
from shared.hosting.decisions import keep_decision
from shared.hosting.leases import account_lease
from shared.hosting.observe import Control, View
from shared.hosting.probe import PROBE_SECONDS
from shared.planning.desired import outlooks, wanted
from shared.planning.plan import DOUBT, Decision, plan

PASS_SECONDS = 40.0
"""A pass starts nothing after this, so that its effects end before the account lease of 60 s does."""
LONGEST_CREATE = timedelta(hours=1)
"""Creating takes minutes; after this somebody should look."""
IDLE_LIST = timedelta(minutes=15)
"""How often an account with nothing wanted, hosted or in doubt is looked at."""

_NOT_STEPS = (Action.NOTHING, Action.WAIT, Action.SERVE)


class Outcome(StrEnum):
    """How a pass ended."""

    DONE = "done"
    HELD = "held"  # another pass has the account
    IDLE = "idle"  # there was nothing to look for


@dataclass(frozen=True)
class PassReport:
    """How a pass ended, and what it decided last about each deployment of the account."""

    account: str  # its name, for people
    outcome: Outcome
    decisions: Mapping[str, Decision]


async def reconcile(control: Control, account: Account, hosted: Mapping[str, Hosting]) -> PassReport:
    """One pass. `hosted`: the configured deployments of this account, by name.

    Raises ArmError when the account cannot be listed, StorageError when records cannot be kept (Changed:
    another pass has overtaken this one, whose lease ran out).
    """
    deadline = control.clock.monotonic() + PASS_SECONDS
    if await _is_idle(control, account, hosted):
        report = PassReport(account.name, Outcome.IDLE, {})
    else:
        async with account_lease(control.blobs, account.resource_id) as held:
            report = (
                await _pass(View(control, account, hosted), deadline)
                if held
                else PassReport(account.name, Outcome.HELD, {})
            )
    # An alert watches for its absence, so idle passes say it too.
    event("pass_done", account=account.name, outcome=report.outcome)
    return report


async def _pass(view: View, deadline: float) -> PassReport:
    await view.look(timeout=ARM_SECONDS)
    decisions = await _act(view, deadline)
    for decision in decisions:
        changed = await keep_decision(decision, view)
        if changed and decision.observed is Observed.FOREIGN:
            _warn_of_foreign(decision, view)
        _raise_alerts(decision, view)
    for problem in view.problems:
        raise problem
    return PassReport(view.account.name, Outcome.DONE, {each.deployment: each for each in decisions})


def _warn_of_foreign(decision: Decision, view: View) -> None:
    prices, azure = view.control.prices, view.azure[decision.deployment]
    remedy = (
        "it was not created by this installation: it is used as it is, never changed, and costs "
        f"{prices.hosting_per_hour.get(azure.sku, 0.0):.2f} {prices.currency} an hour; say adopt: true in "
        "deployments.yaml to have it hosted only while it is needed"
    )
    alert(Alert.FOREIGN_DEPLOYMENT, remedy, account=view.account.name, deployment=decision.deployment)


def _raise_alerts(decision: Decision, view: View) -> None:
    """What a person should look at, as long as it lasts."""
    fields = {"account": view.account.name, "deployment": decision.deployment}
    opens_at = decision.wanted.opens_at
    if decision.observed is Observed.UNKNOWN:
        alert(Alert.UNKNOWN_STATE, f"look at it in the Azure portal: {decision.reason}", **fields)
    if opens_at is not None and view.now >= opens_at and decision.action is not Action.SERVE:
        alert(Alert.WINDOW_NOT_READY, f"its window began, and it is not ready: {decision.reason}", **fields)
    begun = view.record(decision.deployment).intent_at
    if decision.observed is Observed.CREATING and begun is not None and view.now - begun > LONGEST_CREATE:
        remedy = "Azure has been creating it for over an hour, which may cost money: look at it in the portal"
        alert(Alert.CREATE_LED_NOWHERE, remedy, **fields)
    deadline = view.record(decision.deployment).delete_after
    present = decision.observed not in (Observed.ABSENT, Observed.DELETING)
    if present and deadline is not None and view.now >= deadline:
        alert(Alert.SESSION_PAST_CAP, f"it should be gone by now: {decision.reason}", **fields)


async def _is_idle(control: Control, account: Account, hosted: Mapping[str, Hosting]) -> bool:
    known, now = await control.ledger.account(account.resource_id), control.clock.now()
    if known.listed_at is None or now - known.listed_at >= IDLE_LIST:
        return False
    records = await control.ledger.records(account.resource_id)
    if any(record.state is not RecordState.ABSENT or _in_doubt(record, now) for record in records.values()):
        return False
    demand = await control.demand(hosted)
    holds = await control.ledger.holds(account.resource_id, now)
    ahead = outlooks(hosted, records, control.prices, now)
    return not any(
        wanted(hosting, demand[name], now, holds.get(name), ahead[name]).up
        for name, hosting in hosted.items()
    )


def _in_doubt(record: DeploymentRecord, now: datetime) -> bool:
    return record.doubted_at is not None and now - record.doubted_at < DOUBT


async def _act(view: View, deadline: float) -> tuple[Decision, ...]:
    """Take step after step, planning again after each; returns the last plan."""
    taken: set[tuple[str, Action]] = set()
    arm_busy = False
    while True:
        left = deadline - view.control.clock.monotonic()
        decisions = plan(view.now, view.control.installation, view.account, view.hosted, view.observation())
        steps = [
            each for each in decisions if not _is_taken(each, taken) and _may_start(each, left, arm_busy)
        ]
        if not steps:
            return decisions
        if steps[0].action is not Action.PROBE:
            # One step at a time. Probes come last, and all at once: one that hangs delays nobody else's.
            del steps[1:]
        taken |= {(step.deployment, step.action) for step in steps}
        outcomes = await asyncio.gather(
            *(take(step, view, deadline) for step in steps), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, ArmBusy):
                arm_busy = True
                await view.note_busy(str(outcome.__cause__))
            elif outcome is not None:
                raise outcome


def _is_taken(step: Decision, taken: set[tuple[str, Action]]) -> bool:
    """Whether this pass took the step already, or adopted what it would delete: what differs from the file
    is to be seen before that, so it waits for the next pass."""
    adopted = (step.deployment, Action.ADOPT) in taken
    return (step.deployment, step.action) in taken or (
        adopted and step.action in (Action.CLOSE, Action.DELETE)
    )


def _may_start(step: Decision, left: float, arm_busy: bool) -> bool:
    match step.action:
        case Action.CREATE | Action.DELETE:
            return not arm_busy and left >= ARM_SECONDS
        case Action.PROBE:
            return left >= PROBE_SECONDS
        case _:
            return step.action not in _NOT_STEPS and left > 0
