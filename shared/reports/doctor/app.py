"""Check the app's own settings: its environment, host.json, the event subscription and the sweep."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from shared.documents.intake import Intake
from shared.errors import SettingsError, StorageError
from shared.reports.doctor.findings import Finding, failed, minutes, ok, unchecked, warning
from shared.serve import SLICE_SECONDS
from shared.settings.bindings import BLOB_SOURCES, read_bindings
from shared.timing import TIMING

SWEPT_WITHIN = timedelta(minutes=15)
"""The reconcile timer sweeps every minute by default; a longer pause is a fault."""

_HOST_JSON = Path(__file__).parents[3] / "host.json"
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", re.ASCII)


def findings_of(error: SettingsError, check: str) -> Iterator[Finding]:
    """Yield every problem of a configuration as a finding."""
    for problem in error.problems:
        found = f" (found: {problem.value})" if problem.value else ""
        places = [each for each in dict.fromkeys((error.source, problem.key)) if each != check]
        yield failed(check, f"{', '.join(places) or 'cannot be used'}{found}", problem.remedy)


def trigger_settings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check BLOB_SOURCE and RECONCILE_SCHEDULE: if they are not usable, the app uses the defaults."""
    bindings = read_bindings(environment)
    for problem in bindings.problems:
        yield warning("app settings", f"{problem.partition(';')[0]}; the default is used", problem)
    if not bindings.problems:
        yield ok("app settings", f"blob source {bindings.blob_source}, timers at {bindings.ticks!r}")


def function_timeout(host_json: Path = _HOST_JSON) -> Finding:
    """Check that a slice of draining and the longest request after its end fit into the host's time limit.

    If an invocation exceeds the limit, Azure restarts the worker, which cuts off all its invocations.
    """
    check, needed = "host.json", timedelta(seconds=SLICE_SECONDS + TIMING.request_seconds)
    try:
        given = json.loads(host_json.read_text(encoding="utf-8")).get("functionTimeout")
    except (OSError, ValueError, AttributeError) as error:
        remedy = f"check {host_json.name} beside function_app.py, in the app as it is deployed"
        return unchecked(check, f"cannot be read here ({type(error).__name__})", remedy)
    remedy = f'write "functionTimeout": "00:10:00"; a slice and its last request take up to {needed}'
    if given is None:
        return warning(check, "names no functionTimeout, and Azure's default depends on the plan", remedy)
    if str(given) == "-1":
        return ok(check, "functionTimeout is unlimited")
    match = _TIME_SPAN.fullmatch(str(given))
    if match is None:
        return failed(check, f"functionTimeout is {given!r}, which is not hh:mm:ss", remedy)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    limit = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if limit < needed:
        return failed(check, f"functionTimeout is {given}, shorter than a slice", remedy)
    return ok(check, f"functionTimeout is {given}")


def event_subscription(environment: Mapping[str, str]) -> Finding:
    """Name the command that shows whether uploads raise events. On purpose the app may not read that."""
    check = "event subscription"
    if read_bindings(environment).blob_source != BLOB_SOURCES[0]:
        return ok(check, "not needed: BLOB_SOURCE has the host poll the container")
    remedy = (
        "az eventgrid system-topic event-subscription list --resource-group GROUP --system-topic-name TOPIC "
        "must show a webhook for Microsoft.Storage.BlobCreated in state Succeeded; without it uploads wait "
        "for the sweep, a minute or so"
    )
    return unchecked(check, "the app's own rights do not show it", remedy)


async def last_sweep(intake: Intake, now: datetime) -> Finding:
    """Check whether the timers run: when the inbox was last swept, and how many uploads were not recorded."""
    check = "sweep"
    alive = "is the function app deployed, started and not disabled? Its log says more"
    try:
        sweep = await intake.last_sweep()
    except StorageError as error:
        return unchecked(check, str(error), "correct the storage first")
    if sweep is None:
        return warning(check, "the inbox was never swept", alive)
    age = now - sweep.began_at
    if age > SWEPT_WITHIN:
        return failed(check, f"the inbox was last swept {minutes(age)} ago", alive)
    if sweep.unaccounted:
        remedy = "the next sweep tries again; look for unaccounted_documents in the log"
        return failed(check, f"{sweep.unaccounted} upload(s) could not be recorded", remedy)
    return ok(check, f"swept {minutes(age)} ago, every upload accounted for")
