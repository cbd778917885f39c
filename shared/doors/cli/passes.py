"""`reconcile` and `wait`: make passes on request, under the same leases as the timers."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal

from shared.app import OUTCOMES, Lamplighter, PartFailed
from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, table
from shared.hosting.reconcile import PassReport
from shared.model import DeploymentConfig, Observed, RecordState
from shared.operations import batches
from shared.serve import SLICE_SECONDS

Target = Literal["ready", "gone", "empty"]


async def reconcile(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Sweep once, and make a pass over every account; if asked, drain one slice; then the sources and events.

    Show the decisions.
    """
    problems: list[str] = []
    reports: Iterable[PassReport]
    try:
        reports = await app.reconcile()
    except PartFailed as failure:
        reports = failure.reports
        problems += failure.problems
    if options.drain:
        with terminal.progress() as show:
            show("answering what waits on ready deployments")
            await batches.take_in_all(app)
            try:
                await app.drain_backlog(SLICE_SECONDS)
            except PartFailed as failure:
                problems += failure.problems
    for rest in (app.sync_sources, app.deliver_events):
        try:
            await rest()
        except PartFailed as failure:
            problems += failure.problems
    passes = [_document(report) for report in reports]
    terminal.show({"passes": passes, "problems": problems}, _lines(passes))
    for problem in problems:
        terminal.tell(f"failed: {problem}")
    return Exit.FAILED if problems else Exit.OK


def _document(report: PassReport) -> dict[str, Any]:
    return {
        "account": report.account,
        "outcome": report.outcome,
        "decisions": [
            {
                "deployment": each.deployment,
                "action": each.action,
                "observed": each.observed,
                "wanted": "up" if each.wanted.up else "down",
                "reason": each.reason,
                "again_at": each.again_at.isoformat() if each.again_at else None,
            }
            for each in report.decisions.values()
        ],
    }


def _lines(passes: list[dict[str, Any]]) -> list[str]:
    rows = [
        (made["account"], one["deployment"], one["action"], one["observed"], one["wanted"], one["reason"])
        for made in passes
        for one in made["decisions"]
    ]
    lines = [f"{made['account']}: {OUTCOMES[made['outcome']]}" for made in passes]
    return lines + (
        ["", *table(("ACCOUNT", "DEPLOYMENT", "STEP", "OBSERVED", "WANTED", "REASON"), rows)] if rows else []
    )


async def wait(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Make passes until the deployment is ready or gone, or none of its documents is unfinished."""
    config = app.settings.find(options.deployment)
    came, reason = await wait_for(app, config, options.target, options.timeout, terminal)
    document = {"deployment": config.name, "target": options.target, "reached": came, "reason": reason}
    terminal.show(document, [f"{config.name} is {options.target}" if came else f"time-out: {reason}"])
    return Exit.OK if came else Exit.FAILED


async def wait_for(
    app: Lamplighter, config: DeploymentConfig, target: Target, timeout: timedelta, terminal: Terminal
) -> tuple[bool, str]:
    """Return whether the target was reached in time, and the last reason. Raises ProviderRefused at once."""
    clock, pause = app.context.clock, app.context.timing.poll_seconds
    until = clock.monotonic() + timeout.total_seconds()
    with terminal.progress() as show:
        while True:
            reason = await app.step(config)
            if await _holds(app, config, target):
                return True, reason
            if clock.monotonic() + pause > until:
                return False, f"{config.name} is not {target} after {timeout}: {reason}"
            show(f"waiting for {config.name} to be {target}: {reason}")
            await clock.sleep(pause)


async def _holds(app: Lamplighter, config: DeploymentConfig, target: Target) -> bool:
    if target == "empty":
        return not await app.documents.has_unfinished(config.name)
    record = await app.context.ledger.record(config.hosted_id)
    if target == "ready":
        return record.state is RecordState.OPEN
    return record.state is RecordState.ABSENT and record.decision.observed is Observed.ABSENT
