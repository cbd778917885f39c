"""`status` and `explain`: how deployments stand, and why."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from shared.app import Lamplighter
from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, clean, clock_time, facts, money, table
from shared.model import Observed
from shared.reports.status import explained, listed

_LIST_FAILED = "python -m shared documents --state failed"


async def status(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Every deployment on a line, from the records: Azure is not asked.

    FAILED if an account could not be read by the last pass, so that nobody knows what it has.
    """
    document = await listed(app)
    headings = ("DEPLOYMENT", "OBSERVED", "WANTED", "NEXT CHANGE", "UNFINISHED", "HOLD", "SESSION", "REASON")
    rows = [
        (
            each["deployment"],
            each["observed"],
            each["wanted"] + (" (observe)" if each["mode"] == "observe" else ""),
            clock_time(each["next_change"]),
            each["unfinished"],
            each["hold"]["way"] if each["hold"] else "-",
            _cost_told(each["session"]),
            _why(each),
        )
        for each in document["deployments"]
    ]
    problems = [_unread(each) for each in document["accounts"] if each["account_problem"]]
    sweep = document["sweep"]
    swept = (
        f"The inbox was swept {_age(sweep)} ago; {sweep['unaccounted']} upload(s) could not be recorded."
        if sweep
        else "The inbox was never swept."
    )
    closing = [*_failed_lines(document), swept, "Times are UTC; costs are estimates from your prices."]
    terminal.show(document, [*table(headings, rows), "", *problems, *closing])
    return Exit.FAILED if problems else Exit.OK


def _failed_lines(document: dict[str, Any]) -> Iterator[str]:
    """What failed lately, if anything did, and the command that lists it."""
    counts = {each["deployment"]: each["failed"] for each in document["deployments"]}
    counts["folders of no deployment"] = elsewhere = document["failed_elsewhere"]
    named = [f"{name}: {_counted(each)}" for name, each in counts.items() if each["count"] or each["more"]]
    if named:
        since = clock_time(elsewhere["since"])[:10]
        yield f"Documents failed since {since} ({', '.join(named)}): {_LIST_FAILED} --since {since}"


def _counted(failed: dict[str, Any]) -> str:
    return f"{failed['count']}{'+' if failed['more'] else ''}"


def _why(told: dict[str, Any]) -> str:
    """On one line: what cannot be known comes first. Azure's own words are below the table."""
    if told["account_problem"]:
        seen = _last_seen(told)
        return "its account cannot be read" + (f"; last seen: {seen}" if seen else "")
    reasons = (told["observed_reason"], told["problem"] or told["reason"])
    return "; ".join(each for each in reasons if each)


def _last_seen(told: dict[str, Any]) -> str:
    last = told["last_seen"]
    return f"{last['observed']} at {clock_time(last['at'])}" if last else ""


def _unread(account: dict[str, Any]) -> str:
    """An account that cannot be read, with Azure's error and its remedy."""
    problem, read_at = account["account_problem"], account["read_at"]
    last = f"It was last read at {clock_time(read_at)}." if read_at else "It was never read."
    text = f"The account {account['account']} could not be read at {clock_time(problem['at'])}: "
    return clean(f"{text}{problem['problem'].rstrip('. ')}. {last}")


def _cost_told(session: dict[str, Any] | None) -> str:
    if session is None:
        return "-"
    return money(session["cost_at_least"], session["cost_at_most"], session["currency"])


async def explain(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """One deployment: what a pass would do now and why, and how it came to that. Azure is asked once.

    FAILED if Azure does not let the account be read.
    """
    document = await explained(app, app.settings.find(options.deployment), ask_azure=True)
    terminal.show(document, _explained(document))
    return Exit.FAILED if document["azure_problem"] else Exit.OK


def _explained(told: dict[str, Any]) -> Iterator[str]:
    hold, step, azure, session = told["hold"], told["next_step"], told["azure"], told["session"]
    month, oldest, looked_at = told["this_month"], told["oldest_unfinished"], told["observed_at"]
    yield f"{told['deployment']} on {told['account']}"
    yield from facts(
        [
            ("wanted", f"{told['wanted']}: {told['reason']}"),
            (
                "until",
                clock_time(told["next_change"]) if told["next_change"] else "somebody or something asks",
            ),
            ("observed", told["observed"] + (f" ({azure['provisioning_state']})" if azure else "")),
            ("because", told["observed_reason"]),
            ("last seen", _last_seen(told)),
            ("looked at", clock_time(looked_at) if looked_at else "never"),
            ("last pass", None if told["azure_problem"] else _not_read(told["account_problem"])),
            ("now", step["action"] + (f": {step['reason']}" if step["reason"] else "")),
            ("blocked", told["blocked"] if told["blocked"] != step["reason"] else None),
            ("looks again", clock_time(step["again_at"]) if step["again_at"] else "at the next pass"),
            ("last problem", told["problem"]),
            (
                "unfinished",
                f"{told['unfinished']}{'+' if told['unfinished_more'] else ''} document(s)"
                + (f", the oldest for {_age(oldest)}" if oldest else ""),
            ),
            ("failed", _failed_told(told)),
            ("start within", told["start_within"] and _promise_told(told["start_within"])),
            ("mode", told["mode"]),
            (
                "hold",
                hold
                and f"{hold['way']} until {clock_time(hold['until'])} by {hold['owner']}: {hold['reason']}",
            ),
            ("adopted", "yes: it is recreated as it was found" if told["adopted"] else None),
            (
                "foreign",
                "it was not created by this installation" if told["observed"] == Observed.FOREIGN else None,
            ),
            ("deleted after", azure and azure["delete_after"]),
            ("session", session and _session_told(session)),
            (
                "this month",
                f"{_cost_told(month)} in {month['sessions']} session(s); always on "
                f"{money(month['always_on_cost'], month['always_on_cost'], month['currency'])}",
            ),
        ]
    )
    if told["differences"]:
        yield from (
            "",
            "deployments.yaml and what exists or was adopted differ:",
            *(f"  {each}" for each in told["differences"]),
        )
    if told["decisions"]:
        rows = [
            (clock_time(each["at"]), each["action"], each["observed"], each["wanted"], each["reason"])
            for each in told["decisions"]
        ]
        yield from ("", *table(("DECIDED", "STEP", "OBSERVED", "WANTED", "REASON"), rows))
    yield from ("", "Times are UTC; costs are estimates from your prices.")


def _failed_told(told: dict[str, Any]) -> str | None:
    failed = told["failed"]
    if not failed["count"]:
        return None
    since = clock_time(failed["since"])[:10]
    return f"{_counted(failed)} document(s) since {since}: {_LIST_FAILED} --deployment {told['deployment']}"


def _not_read(problem: dict[str, Any] | None) -> str:
    if problem is None:
        return ""
    return f"it could not read the account at {clock_time(problem['at'])}: {problem['problem']}"


def _promise_told(promise: dict[str, Any]) -> str:
    length, share = timedelta(seconds=promise["seconds"]), promise["create_takes_longer"]
    told = f"{length}; {share:.0%} of creates take longer"
    return told if promise["feasible"] else f"{told}, so documents start it at once and some wait longer"


def _session_told(session: dict[str, Any]) -> str:
    ended = session["ended_at"]
    until = f" to {clock_time(ended)}" if ended else ""
    return f"{_cost_told(session)}, {'' if ended else 'since '}{clock_time(session['started_at'])}{until}"


def _age(told: dict[str, Any]) -> timedelta:
    return timedelta(seconds=round(told["age_seconds"]))
