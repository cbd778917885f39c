"""A pass over one account: observe, plan, act, record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.alerts import Alert, alert, event
from shared.errors import ProviderError, StorageError
from shared.hosting.act import take
from shared.hosting.decisions import keep_decision
from shared.hosting.leases import account_lease
from shared.hosting.observe import HostingContext, View
from shared.hosting.writes import NoMoreWrites
from shared.model import (
    ALWAYS,
    Account,
    Action,
    Configs,
    DeploymentRecord,
    Hosted,
    Mode,
    Observed,
    RecordState,
    UploadStart,
)
from shared.planning.decision import Decision
from shared.planning.desired import span
from shared.planning.observed import STORAGE_TAG, is_twin
from shared.planning.plan import plan
from shared.planning.unanswered import unanswered_for
from shared.schedule.windows import intervals
from shared.timing import Timing

LONGEST_CREATE = timedelta(hours=1)
"""A create takes minutes; after this time an alert asks a person to look."""
LONGEST_DELETE = timedelta(minutes=30)
"""The same limit for a delete."""
LONGEST_WAIT = timedelta(hours=1)
"""The time beyond `start_within` that a document may wait before an alert asks a person to look."""
IDLE_LIST = timedelta(minutes=15)
"""The time between two LISTs of an account on which nothing is wanted, hosted or in doubt."""

_NOT_STEPS = (Action.NOTHING, Action.WAIT, Action.SERVE)


class Outcome(StrEnum):
    """The outcome of a pass."""

    DONE = "done"
    HELD = "held"  # another pass has the account
    IDLE = "idle"  # nothing was wanted, hosted or in doubt


@dataclass(frozen=True)
class PassReport:
    """The outcome of a pass, and its last decision about each deployment of the account."""

    account: str  # its name, for people
    outcome: Outcome
    decisions: Mapping[str, Decision]


async def reconcile(context: HostingContext, account: Account, configured: Configs) -> PassReport:
    """Run one pass. `configured`: the deployments of this account.

    Raises ProviderError if the account cannot be listed. Raises StorageError if records cannot be saved, or
    if the pass takes longer than its limit. Changed means that the lease expired and another pass overtook
    this one.
    """
    limit = context.timing.pass_limit_seconds
    try:
        async with asyncio.timeout(limit):
            report = await _reconcile(context, account, configured)
    except TimeoutError as error:
        raise StorageError(
            f"the pass was given up after {limit:.0f} s: storage or Azure did not answer in time"
        ) from error
    # An alert fires if this event is missing, so idle passes log it too.
    event("pass_done", account=account.name, outcome=report.outcome)
    return report


async def _reconcile(context: HostingContext, account: Account, configured: Configs) -> PassReport:
    deadline = context.clock.monotonic() + context.timing.pass_seconds
    if await _is_idle(context, account, configured):
        return PassReport(account.name, Outcome.IDLE, {})
    async with account_lease(context.blobs, context.timing, account.resource_id) as held:
        if not held:
            return PassReport(account.name, Outcome.HELD, {})
        return await _pass(View(context, account, configured), deadline)


async def _pass(view: View, deadline: float) -> PassReport:
    try:
        await view.look(timeout=view.context.timing.arm_seconds)
    except ProviderError as error:
        await view.note_problem(error)
        raise
    decisions = await _act(view, deadline)
    for decision in decisions:
        changed = await keep_decision(decision, view)
        azure = view.azure.get(decision.deployment)
        if azure is not None and is_twin(view.context.owner, azure.spec.tags):
            _warn_of_twin(decision, azure, view)
        elif changed and decision.observed is Observed.FOREIGN:
            _warn_of_foreign(decision, view)
        _raise_alerts(decision, view)
    for problem in view.problems:
        raise problem
    by_name = {decision.deployment: decision for decision in decisions}
    return PassReport(view.account.name, Outcome.DONE, by_name)


def _warn_of_foreign(decision: Decision, view: View) -> None:
    prices, spec = view.context.prices, view.azure[decision.deployment].spec
    remedy = (
        "it was not created by this installation: it is used as it is, never changed, and costs "
        f"{prices.hosting_per_hour.get(spec.sku, 0.0):.2f} {prices.currency} an hour; say adopt: true in "
        "deployments.yaml to have it hosted only while it is needed"
    )
    alert(Alert.FOREIGN_DEPLOYMENT, remedy, account=view.account.name, deployment=decision.deployment)


def _warn_of_twin(decision: Decision, azure: Hosted, view: View) -> None:
    remedy = (
        f"a copy of this app, whose storage account is {azure.spec.tags[STORAGE_TAG][:64]}, hosts it: it is "
        "neither touched nor used, as the copy would delete it under our requests. Stop the copy, or "
        "give it an installation name and deployments of its own in deployments.yaml"
    )
    alert(Alert.TWIN_INSTALLATION, remedy, account=view.account.name, deployment=decision.deployment)


def _raise_alerts(decision: Decision, view: View) -> None:
    """Raise an alert for each condition that a person should look at, as long as it lasts.

    In observe mode nothing has to be hosted, so nothing is late for a window or for documents. But a
    deployment from before that is stuck or past its cap costs money in either mode.
    """
    timing, fields = view.context.timing, {"account": view.account.name, "deployment": decision.deployment}
    record = view.record(decision.deployment)
    if decision.observed is Observed.UNKNOWN:
        alert(Alert.UNKNOWN_STATE, f"look at it in the Azure portal: {decision.reason}", **fields)
    if _is_late(decision, view) and not _only_observed(decision, view):
        alert(Alert.WINDOW_NOT_READY, f"its window began, and it is not ready: {decision.reason}", **fields)
    intent_at = record.generation.intent_at
    creating = decision.observed is Observed.CREATING
    if creating and intent_at is not None and view.now - intent_at > LONGEST_CREATE:
        remedy = "Azure has been creating it for over an hour, which may cost money: look at it in the portal"
        alert(Alert.CREATE_FAILED, remedy, **fields)
    if decision.wanted.scarce and decision.action in (Action.SERVE, Action.PROBE):
        remedy = (
            f"{decision.reason}; take another SKU or region, or hold it down to have it deleted all the same"
        )
        alert(Alert.CAPACITY_SCARCE, remedy, **fields)
    changed_at = record.changed_at
    if decision.observed is Observed.DELETING and changed_at and view.now - changed_at > LONGEST_DELETE:
        remedy = "Azure has been deleting it for over half an hour: look at it in the portal"
        alert(Alert.DELETE_WITHOUT_EFFECT, remedy, **fields)
    if (unanswered := unanswered_for(record.generation, view.now)) > timing.answer_limit:
        remedy = f"nobody has been answered for {span(unanswered)}: {record.generation.trouble}"
        alert(Alert.NOT_ANSWERING, remedy, **fields)
    accepted_at = record.delete_accepted_at if record.state is RecordState.DELETING else None
    # This pass may have repeated the delete, and then sees it as being deleted.
    repeated = record.generation.deleted_again_at if decision.observed is Observed.DELETING else None
    stood_at = view.now if decision.observed in (Observed.READY, Observed.FAILED) else repeated
    if accepted_at is not None and stood_at is not None and stood_at - accepted_at > timing.list_lag:
        remedy = (
            f"Azure accepted its delete at {accepted_at:%H:%M:%S} UTC, and it still stands and costs money: "
            "delete it in the Azure portal, or ask Azure's support"
        )
        alert(Alert.DELETE_WITHOUT_EFFECT, remedy, **fields)
    if (cause := _documents_wait(decision, view)) is not None:
        alert(Alert.DOCUMENTS_WAIT, cause, **fields)
    deadline = record.generation.delete_after
    present = decision.observed not in (Observed.ABSENT, Observed.DELETING)
    if present and deadline is not None and view.now >= deadline:
        alert(Alert.SESSION_PAST_CAP, f"it should be gone by now: {decision.reason}", **fields)


def _only_observed(decision: Decision, view: View) -> bool:
    config = view.configured.get(decision.deployment)
    return config is not None and config.mode is Mode.OBSERVE


def _is_late(decision: Decision, view: View) -> bool:
    """Return whether a window has begun and its deployment is not ready.

    A deployment that is hosted round the clock has no such time. It is late if something prevents its
    create, but not while it is being created.
    """
    opens_at = decision.wanted.opens_at
    if opens_at is None or view.now < opens_at or decision.action is Action.SERVE:
        return False
    is_gone = view.record(decision.deployment).state is RecordState.ABSENT
    soon = decision.again_at is not None and decision.again_at - view.now <= view.context.timing.after_delete
    waits = decision.observed is Observed.ABSENT and decision.action is Action.WAIT and not soon
    return opens_at > ALWAYS.start or (is_gone and waits)


def _documents_wait(decision: Decision, view: View) -> str | None:
    """Return why documents wait longer than expected, and what to do; None if they do not."""
    config, demand = view.configured.get(decision.deployment), view.demand(decision.deployment)
    if config is None or not demand.unfinished or _only_observed(decision, view):
        return None
    if config.uploads is UploadStart.SCHEDULED:
        if decision.wanted.up or decision.wanted.changes_at is not None:
            return None
        if intervals(config.windows, view.now, view.now + timedelta(days=366), config.closures):
            return None
        remedy = "add a window, or set uploads.start: on_demand"
        return f"documents wait, and no window is left to answer them in: {remedy}"
    waited = view.now - demand.arrivals[0] if demand.arrivals else timedelta(0)
    if waited > config.start_within + LONGEST_WAIT:
        return f"the oldest document has waited for {span(waited)}: {decision.reason}"
    # A batch that was begun in time may take many hours.
    begins = demand.latest_start if decision.action is not Action.SERVE else None
    if begins is not None and view.now > begins + LONGEST_WAIT:
        return f"a batch should have begun {span(view.now - begins)} ago: {decision.reason}"
    return None


async def _is_idle(context: HostingContext, account: Account, configured: Configs) -> bool:
    records, now = await context.ledger.records(account.resource_id), context.clock.now()
    if any(
        record.state is not RecordState.ABSENT or _in_doubt(record, now, context.timing)
        for record in records.values()
    ):
        return False
    known = await context.ledger.account(account.resource_id)
    if known.problem or known.listed_at is None or now - known.listed_at >= IDLE_LIST:
        return False
    picture = await context.picture(account.resource_id, configured, now, records=records)
    return not any(picture.wanted(name).up for name in configured)


def _in_doubt(record: DeploymentRecord, now: datetime, timing: Timing) -> bool:
    """Return whether a write of ours may still become visible: LISTs lag, and effects come late."""
    times = (record.doubted_at, record.changed_at, record.generation.last_deleted_at)
    return any(at is not None and now - at < timing.doubt for at in times)


async def _act(view: View, deadline: float) -> tuple[Decision, ...]:
    """Take one step after another, and plan again after each. Return the last plan."""
    taken: set[tuple[str, Action]] = set()
    arm_busy = False
    while True:
        left = deadline - view.context.clock.monotonic()
        decisions = plan(view.context.owner, view.account, view.observation())
        steps = [
            decision
            for decision in decisions
            if not _is_taken(decision, taken)
            and _may_start(decision, left, view.context.timing, arm_busy=arm_busy)
        ]
        if not steps:
            return decisions
        if steps[0].action is not Action.PROBE:
            # Take one step at a time. Probes come last and run together, so that none delays the others.
            del steps[1:]
        taken |= {(step.deployment, step.action) for step in steps}
        outcomes = await asyncio.gather(
            *(take(step, view, deadline) for step in steps), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, NoMoreWrites):
                arm_busy = True
                await view.note_busy(str(outcome.__cause__))
            elif outcome is not None:
                raise outcome


def _is_taken(step: Decision, taken: set[tuple[str, Action]]) -> bool:
    """Return whether this pass already took the step, or adopted the deployment that the step would delete.

    People must first see how an adopted deployment differs from the file, so its delete waits for the next
    pass.
    """
    adopted = (step.deployment, Action.ADOPT) in taken
    return (step.deployment, step.action) in taken or (
        adopted and step.action in (Action.CLOSE, Action.DELETE)
    )


def _may_start(step: Decision, left: float, timing: Timing, *, arm_busy: bool) -> bool:
    match step.action:
        case Action.CREATE | Action.DELETE:
            return not arm_busy and left >= timing.arm_seconds
        case Action.PROBE:
            return left >= timing.probe_seconds
        case _:
            return step.action not in _NOT_STEPS and left > 0
