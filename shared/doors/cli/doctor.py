"""`doctor`: check an installation from this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, clean
from shared.errors import SettingsError, StorageError
from shared.reports.doctor import app as app_checks
from shared.reports.doctor import storage
from shared.reports.doctor.accounts import AccountCheck
from shared.reports.doctor.events import events
from shared.reports.doctor.findings import DoctorReport, Finding, Status, failed, ok, unchecked
from shared.reports.doctor.sources import sources

if TYPE_CHECKING:
    from shared.app import Lamplighter
    from shared.wiring import App

_MARKS = {Status.OK: "ok", Status.WARNING: "WARN", Status.FAILED: "FAIL", Status.UNCHECKED: "?"}
_ABOVE = "correct the findings above, then run doctor again"


async def doctor(terminal: Terminal, environment: Mapping[str, str]) -> Exit:
    """Run every check and show the findings; FAILED if any check failed."""
    from shared.wiring import App

    found = [*app_checks.trigger_settings(environment), app_checks.function_timeout()]
    try:
        app = App(environment)
    except SettingsError as error:
        found += app_checks.findings_of(error, "app settings")
        found += [
            unchecked(check, "the app settings are not usable", _ABOVE) for check in ("storage", "accounts")
        ]
    else:
        with terminal.progress() as show:
            try:
                show("asking the storage")
                found += await storage.blobs(app.blobs)
                found += await storage.tables(app.tables, app.clock)
                show("asking the accounts")
                found += await _configured(app)
            finally:
                await app.close()
    found.append(app_checks.event_subscription(environment))
    counts = {status: sum(each.status is status for each in found) for status in Status}
    summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    terminal.show(
        DoctorReport(found, counts), [*(line for each in found for line in _lines(each)), "", summary]
    )
    return Exit.FAILED if counts[Status.FAILED] else Exit.OK


async def _configured(app: App) -> list[Finding]:
    """Return the findings about the deployments and accounts that deployments.yaml names."""
    check = "deployments.yaml"
    try:
        lamplighter: Lamplighter = await app.current()
    except (SettingsError, StorageError) as error:
        return [*_unusable(error, check), unchecked("accounts", "none is known", _ABOVE)]
    settings, context = lamplighter.settings, lamplighter.context
    modes = ", ".join(sorted({str(each.mode) for each in settings.deployments.values()}))
    content = (
        f"{len(settings.deployments)} deployment(s) on {len(settings.accounts)} account(s), mode {modes}"
    )
    problem = app.settings_problem
    found = [
        *(_unusable(problem, check) if problem else ()),
        ok(check, f"the last good version is in force: {content}" if problem else content),
        await app_checks.last_sweep(lamplighter.intake, context.clock.now()),
        *await events(lamplighter, app.tables, context.clock.now()),
        *await sources(lamplighter),
    ]
    for account in settings.accounts.values():
        checks = AccountCheck(
            account,
            settings,
            context.owner,
            context.provider,
            app.provider,
            context.ledger,
            context.timing,
            context.clock.now(),
        )
        found += [finding async for finding in checks.findings()]
    return found


def _unusable(error: SettingsError | StorageError, check: str) -> list[Finding]:
    if isinstance(error, SettingsError):
        return [*app_checks.findings_of(error, check)]
    return [failed(check, str(error), _ABOVE)]


def _lines(finding: Finding) -> list[str]:
    line = f"{_MARKS[finding.status]:4}  {finding.check}: {clean(finding.what)}"
    return [line, f"      remedy: {clean(finding.remedy)}"] if finding.remedy else [line]
