"""A pass over one account: observe, plan, act, record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.alerts import Alert, alert
from shared.domain import Account, Action, Hosting, Observed, RecordState
from shared.hosting.act import PROBE_SECONDS, ArmBusy, keep_decision, take
from shared.hosting.leases import account_lease
from shared.hosting.observe import Control, View
from shared.planning.plan import Decision, plan, wanted

PASS_SECONDS = 40.0
"""A pass starts nothing after this, so that its effects end before the account lease of 60 s does."""
ARM_SECONDS = 15.0
"""The longest that a call to Azure Resource Manager may take, and the least that a write must have left."""
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

    outcome: Outcome
    decisions: Mapping[str, Decision]


async def reconcile(control: Control, account: Account, hosted: Mapping[str, Hosting]) -> PassReport:
    """One pass. `hosted`: the configured deployments of this account, by name.

    Raises ArmError when the account cannot be listed, StorageError when records cannot be kept (Changed:
    another pass has overtaken this one, whose lease ran out).
    """
    deadline = control.clock.monotonic() + PASS_SECONDS
    if await _is_idle(control, account, hosted):
        return PassReport(Outcome.IDLE, {})
    async with account_lease(control.blobs, account.resource_id) as held:
        if not held:
            return PassReport(Outcome.HELD, {})
        view = View(control, account, hosted)
        await view.look(timeout=ARM_SECONDS)
        decisions = await _act(view, deadline)
        for decision in decisions:
            await keep_decision(decision, view)
            if decision.observed is Observed.UNKNOWN:
                remedy = f"look at it in the Azure portal: {decision.reason}"
                alert(Alert.UNKNOWN_STATE, remedy, account=account.name, deployment=decision.deployment)
        return PassReport(Outcome.DONE, {each.deployment: each for each in decisions})


async def _is_idle(control: Control, account: Account, hosted: Mapping[str, Hosting]) -> bool:
    known, now = await control.ledger.account(account.resource_id), control.clock.now()
    if known.listed_at is None or now - known.listed_at >= IDLE_LIST:
        return False
    records = await control.ledger.records(account.resource_id)
    if any(record.state is not RecordState.ABSENT for record in records.values()):
        return False
    demand = await control.demand(hosted)
    return not any(wanted(hosting, demand[name], now).up for name, hosting in hosted.items())


async def _act(view: View, deadline: float) -> tuple[Decision, ...]:
    """Take step after step, planning again after each; returns the last plan."""
    taken: set[tuple[str, Action]] = set()
    arm_busy = False
    while True:
        left = deadline - view.control.clock.monotonic()
        decisions = plan(view.now, view.control.installation, view.account, view.hosted, view.observation())
        step = next(
            (
                each
                for each in decisions
                if (each.deployment, each.action) not in taken and _may_start(each, left, arm_busy)
            ),
            None,
        )
        if step is None:
            return decisions
        taken.add((step.deployment, step.action))
        try:
            await take(step, view, timeout=min(ARM_SECONDS, left))
        except ArmBusy:
            arm_busy = True


def _may_start(step: Decision, left: float, arm_busy: bool) -> bool:
    match step.action:
        case Action.CREATE | Action.DELETE:
            return not arm_busy and left >= ARM_SECONDS
        case Action.PROBE:
            return left >= PROBE_SECONDS
        case _:
            return step.action not in _NOT_STEPS and left > 0
