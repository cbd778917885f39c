"""`status` and `explain`: how deployments stand, and why."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from shared import api
from shared.commands.arguments import Exit, hosting
from shared.commands.terminal import Terminal, clock_time, facts, money, table
from shared.domain import AzureDeployment, Hosting, HostingSession, Observed
from shared.errors import ArmError
from shared.flow import Lamplighter
from shared.hosting.preview import Preview
from shared.planning.adoption import differences, properties_of
from shared.planning.cost import hosting_cost
from shared.planning.plan import DELETE_AFTER_TAG, OWNER_TAG, Decision

_DECISIONS = 20


async def status(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """Every deployment on a line, from the records: Azure is not asked."""
    reply = await api.deployments(app)
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
            each["problem"] or each["reason"],
        )
        for each in reply.body["deployments"]
    ]
    terminal.show(
        reply.body, [*table(headings, rows), "", "Times are UTC; costs are estimates from your prices."]
    )
    return Exit.OK


def _cost_told(session: dict[str, Any] | None) -> str:
    if session is None:
        return "-"
    return money(session["cost_at_least"], session["cost_at_most"], session["currency"])


async def explain(app: Lamplighter, options: argparse.Namespace, terminal: Terminal) -> Exit:
    """One deployment: what a pass would do now and why, and how it came to that. Azure is asked once."""
    chosen = hosting(app, options.deployment)
    entries = (await api.deployments(app)).body["deployments"]
    document = next(each for each in entries if each["deployment"] == chosen.name)
    try:
        seen = await app.preview(app.settings.accounts[chosen.account])
    except ArmError as error:
        document |= {"azure": None, "azure_problem": str(error), "next_step": None}
    else:
        document |= _azure_told(chosen, seen)
    ledger = app.control.ledger
    sessions = await ledger.sessions(chosen.account, chosen.name)
    decisions = await ledger.decisions(chosen.account, chosen.name, _DECISIONS)
    document |= {
        "decisions": [
            {
                "at": each.at.isoformat(),
                "action": each.action,
                "observed": each.observed,
                "wanted": "up" if each.wanted else "down",
                "reason": each.reason,
            }
            for each in decisions
        ],
        "sessions": [_session_told(app, each) for each in sessions],
    }
    document["cost_so_far"] = {
        "sessions": len(sessions),
        "at_least": round(sum(each["cost_at_least"] for each in document["sessions"]), 4),
        "at_most": round(sum(each["cost_at_most"] for each in document["sessions"]), 4),
        "currency": app.settings.prices.currency,
    }
    terminal.show(document, _explained(document))
    return Exit.OK


def _azure_told(chosen: Hosting, seen: Preview) -> dict[str, Any]:
    azure, decision = seen.azure.get(chosen.name), seen.decisions[chosen.name]
    told: dict[str, Any] = {"observed": decision.observed, "azure": None, "next_step": _step_told(decision)}
    if azure is not None:
        told["azure"] = _deployment_told(azure)
        told["differences"] = differences(chosen.spec, properties_of(_without_our_tags(azure)))
    return told


def _deployment_told(azure: AzureDeployment) -> dict[str, Any]:
    return {
        "provisioning_state": azure.provisioning_state,
        "sku": azure.sku,
        "capacity": azure.capacity,
        "model": azure.model_name,
        "created_at": azure.created_at.isoformat() if azure.created_at else None,
        "delete_after": azure.tags.get(DELETE_AFTER_TAG),
    }


def _without_our_tags(azure: AzureDeployment) -> AzureDeployment:
    ours = (OWNER_TAG, DELETE_AFTER_TAG)
    return replace(azure, tags={name: value for name, value in azure.tags.items() if name not in ours})


def _step_told(decision: Decision) -> dict[str, Any]:
    return {
        "action": decision.action,
        "reason": decision.reason,
        "again_at": decision.again_at.isoformat() if decision.again_at else None,
    }


def _session_told(app: Lamplighter, session: HostingSession) -> dict[str, Any]:
    least, most = hosting_cost(session, app.control.clock.now(), app.settings.prices)
    return {
        "generation": session.generation,
        "started_at": session.started_at.isoformat(),
        "ready_at": session.ready_at.isoformat() if session.ready_at else None,
        "ended_after": session.ended_after.isoformat() if session.ended_after else None,
        "ended_by": session.ended_by.isoformat() if session.ended_by else None,
        "cost_at_least": round(least, 4),
        "cost_at_most": round(most, 4),
    }


def _explained(told: dict[str, Any]) -> Iterator[str]:
    hold, step, azure, cost = told["hold"], told["next_step"], told["azure"], told["cost_so_far"]
    paid = money(cost["at_least"], cost["at_most"], cost["currency"])
    yield f"{told['deployment']} on {told['account']}"
    yield from facts(
        [
            ("wanted", f"{told['wanted']}: {told['reason']}"),
            (
                "until",
                clock_time(told["next_change"]) if told["next_change"] else "somebody or something asks",
            ),
            ("observed", told["observed"] + (f" ({azure['provisioning_state']})" if azure else "")),
            ("cannot ask Azure", told.get("azure_problem")),
            ("now", step and f"{step['action']}: {step['reason']}"),
            (
                "looks again",
                step and (clock_time(step["again_at"]) if step["again_at"] else "at the next pass"),
            ),
            ("last problem", told["problem"]),
            ("unfinished", f"{told['unfinished']} document(s)"),
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
            (
                "cost so far",
                f"{paid}, {cost['sessions']} session(s)",
            ),
        ]
    )
    if told["differences"]:
        yield from (
            "",
            "deployments.yaml and what exists or was adopted differ:",
            *(f"  {each}" for each in told["differences"]),
        )
    if told["sessions"]:
        rows = [
            (
                each["generation"],
                clock_time(each["started_at"]),
                clock_time(each["ready_at"]),
                clock_time(each["ended_by"]),
                money(each["cost_at_least"], each["cost_at_most"], cost["currency"]),
            )
            for each in told["sessions"][-_DECISIONS:]
        ]
        yield from ("", *table(("SESSION", "STARTED", "READY", "ENDED", "COST"), rows))
    if told["decisions"]:
        rows_ = [
            (clock_time(each["at"]), each["action"], each["observed"], each["wanted"], each["reason"])
            for each in told["decisions"]
        ]
        yield from ("", *table(("DECIDED", "STEP", "OBSERVED", "WANTED", "REASON"), rows_))
    yield from ("", "Times are UTC; costs are estimates from your prices.")
