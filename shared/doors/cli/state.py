"""`status` and `explain`: show the state of deployments and the reasons."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from shared.app import Lamplighter
from shared.documents.sweep import REST
from shared.doors.cli.arguments import as_typed
from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, clean, clock_time, facts, money, table
from shared.model import Mode, Observed
from shared.reports.explain import LiveExplanation, MonthReport, explained_live
from shared.reports.status import (
    AccountProblem,
    AccountStatus,
    DeploymentStatus,
    Failed,
    LatestSession,
    Seen,
    StartWithin,
    StatusReport,
    SweepStatus,
    listed,
)


async def status(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Show every deployment on a line, from the records: Azure is not asked.

    Returns FAILED if the last pass could not read an account, so that its state is unknown.
    """
    report = await listed(app)
    headings = ("DEPLOYMENT", "OBSERVED", "WANTED", "NEXT CHANGE", "UNFINISHED", "HOLD", "SESSION", "REASON")
    rows = [_row(each.status) for each in report.deployments]
    problems = [_unread(each, each.account_problem) for each in report.accounts if each.account_problem]
    closing = [*_failed_lines(report, options.settings), _swept(report.sweep)]
    closing += ["Times are UTC; costs are estimates from your prices."]
    terminal.show(report, [*table(headings, rows), "", *problems, *closing])
    return Exit.FAILED if problems else Exit.OK


def _row(of: DeploymentStatus) -> tuple[object, ...]:
    return (
        of.deployment,
        of.seen.observed,
        of.want.wanted + (" (observe)" if of.mode is Mode.OBSERVE else ""),
        clock_time(of.want.next_change),
        of.unfinished,
        of.hold.way if of.hold else "-",
        _cost(of.session) if of.session else "-",
        _why(of),
    )


def _swept(sweep: SweepStatus | None) -> str:
    if sweep is None:
        return "The inbox was never swept."
    age = _age(sweep.age_seconds)
    text = f"The inbox was swept {age} ago; {sweep.unaccounted} upload(s) could not be recorded."
    if sweep.resting:
        minutes = REST // timedelta(minutes=1)
        text += f" {sweep.resting} empty upload(s) rest for {minutes} minutes, as they may still be written."
    return text


def _failed_lines(report: StatusReport, settings: Path | None) -> Iterator[str]:
    """Yield how many documents failed lately, if any, and the command that lists them."""
    counts = {each.status.deployment: each.failed for each in report.deployments}
    counts["folders of no deployment"] = elsewhere = report.failed_elsewhere
    named = [f"{name}: {_counted(each)}" for name, each in counts.items() if each.count or each.more]
    if named:
        since = clock_time(elsewhere.since)[:10]
        listing = as_typed(f"documents --state failed --since {since}", settings)
        yield f"Documents failed since {since} ({', '.join(named)}): {listing}"


def _counted(failed: Failed) -> str:
    return f"{failed.count}{'+' if failed.more else ''}"


def _why(of: DeploymentStatus) -> str:
    """Return the reason on one line, a missing observation first. Azure's own words are below the table."""
    if of.seen.account_problem:
        last = _last_seen(of.seen)
        return "its account cannot be read" + (f"; last seen: {last}" if last else "")
    reasons = (of.seen.observed_reason, of.problem or of.want.reason)
    return "; ".join(each for each in reasons if each)


def _last_seen(seen: Seen) -> str:
    return f"{seen.last_seen.observed} at {clock_time(seen.last_seen.at)}" if seen.last_seen else ""


def _unread(account: AccountStatus, problem: AccountProblem) -> str:
    """Return why an account cannot be read, with Azure's error and its remedy."""
    read_at = account.read_at
    last = f"It was last read at {clock_time(read_at)}." if read_at else "It was never read."
    text = f"The account {account.account} could not be read at {clock_time(problem.at)}: "
    return clean(f"{text}{problem.problem.rstrip('. ')}. {last}")


def _cost(of: LatestSession | MonthReport) -> str:
    return money(of.cost_at_least, of.cost_at_most, of.currency)


async def explain(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Show what a pass would do with a deployment now and why, and its last decisions. Azure is asked once.

    Returns FAILED if the account cannot be read in Azure.
    """
    report = await explained_live(app, app.settings.find(options.deployment))
    terminal.show(report, _explained(report, options.settings))
    return Exit.FAILED if report.azure_problem else Exit.OK


def _explained(live: LiveExplanation, settings: Path | None) -> Iterator[str]:
    report, azure = live.explanation, live.azure
    of, step, blocked = report.status, report.step.next_step, report.step.blocked
    seen, want, hold = of.seen, of.want, of.hold
    month, oldest = report.this_month, report.oldest_unfinished
    yield f"{of.deployment} on {of.account}"
    yield from facts(
        [
            ("wanted", f"{want.wanted}: {want.reason}"),
            (
                "until",
                clock_time(want.next_change) if want.next_change else "no known time",
            ),
            ("observed", seen.observed + (f" ({azure.provisioning_state})" if azure else "")),
            ("because", seen.observed_reason),
            ("last seen", _last_seen(seen)),
            ("looked at", clock_time(seen.observed_at) if seen.observed_at else "never"),
            ("last pass", None if live.azure_problem else _not_read(seen.account_problem)),
            ("now", step.action + (f": {step.reason}" if step.reason else "")),
            ("blocked", blocked if blocked != step.reason else None),
            ("looks again", clock_time(step.again_at) if step.again_at else "at the next pass"),
            ("last problem", of.problem),
            (
                "unfinished",
                f"{of.unfinished}{'+' if report.unfinished_more else ''} document(s)"
                + (f", the oldest for {_age(oldest.age_seconds)}" if oldest else ""),
            ),
            ("failed", _failed(report.failed, of.deployment, settings)),
            ("start within", of.start_within and _promise(of.start_within)),
            ("mode", of.mode),
            (
                "hold",
                hold and f"{hold.way} until {clock_time(hold.until)} by {hold.owner}: {hold.reason}",
            ),
            ("adopted", "yes: it is recreated as it was found" if of.adopted else None),
            (
                "foreign",
                "it was not created by this installation" if seen.observed is Observed.FOREIGN else None,
            ),
            ("deleted after", azure and azure.delete_after),
            ("session", of.session and _session(of.session)),
            (
                "this month",
                f"{_cost(month)} in {month.sessions} session(s); always on "
                f"{money(month.always_on_cost, month.always_on_cost, month.currency)}",
            ),
        ]
    )
    if of.differences:
        yield from (
            "",
            "deployments.yaml and what exists or was adopted differ:",
            *(f"  {each}" for each in of.differences),
        )
    if report.decisions:
        rows = [
            (clock_time(each.at), each.action, each.observed, each.wanted, each.reason)
            for each in report.decisions
        ]
        yield from ("", *table(("DECIDED", "STEP", "OBSERVED", "WANTED", "REASON"), rows))
    yield from ("", "Times are UTC; costs are estimates from your prices.")


def _failed(failed: Failed, deployment: str, settings: Path | None) -> str | None:
    if not failed.count:
        return None
    since = clock_time(failed.since)[:10]
    listing = as_typed(f"documents --state failed --deployment {deployment}", settings)
    return f"{_counted(failed)} document(s) since {since}: {listing}"


def _not_read(problem: AccountProblem | None) -> str:
    if problem is None:
        return ""
    return f"it could not read the account at {clock_time(problem.at)}: {problem.problem}"


def _promise(promise: StartWithin) -> str:
    length = timedelta(seconds=promise.seconds)
    text = f"{length}; {promise.create_takes_longer:.0%} of creates take longer"
    return text if promise.feasible else f"{text}, so documents start it at once and some wait longer"


def _session(session: LatestSession) -> str:
    ended = session.ended_at
    until = f" to {clock_time(ended)}" if ended else ""
    return f"{_cost(session)}, {'' if ended else 'since '}{clock_time(session.started_at)}{until}"


def _age(seconds: float) -> timedelta:
    return timedelta(seconds=round(seconds))
