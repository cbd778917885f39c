"""Check a schedule: mistakes, for which the file is refused, and warnings, for what may be intended.

Mistakes never depend on the current time: a valid file stays valid.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from shared.errors import SettingProblem
from shared.model import DeploymentConfig, OneOffWindow, UploadStart, WeeklyWindow
from shared.model.azure_openai import DEVELOPER_TIER, DEVELOPER_TIER_LIFE
from shared.planning.desired import planned_lead
from shared.planning.estimates import PRIOR
from shared.planning.uploads import LATE_SHARE
from shared.schedule.leads import Leads
from shared.schedule.marks import marks
from shared.schedule.public_holidays import public_holidays
from shared.schedule.windows import DAY, HOUR, every_week, hosted_spans, intervals, local_times, on_day
from shared.timing import TIMING

_A_MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
_MARGIN = TIMING.session_margin
_NO_END = timedelta(days=31)  # longer than any session may be
AHEAD = timedelta(days=366)
"""Warnings concern the next 12 months."""


def schedule_mistakes(config: DeploymentConfig) -> list[SettingProblem]:
    """Find windows that open on no day, and windows that max_session would cut short every time.

    The lead is the deployment's own; waiting for others of the account is only a warning.
    """
    if config.always:
        return []
    key = f"deployments.{config.name}.schedule"
    found = [
        SettingProblem(f"{key}.{number}", "", remedy)
        for number, window in enumerate(config.windows)
        for remedy in (*_no_day(window), *_too_long(window, config))
    ]
    return found or [SettingProblem(key, "", remedy) for remedy in _too_long_together(config)]


def _no_day(window: WeeklyWindow | OneOffWindow) -> Iterator[str]:
    if isinstance(window, OneOffWindow) or window.starting is None or window.until is None:
        return
    first, last = (datetime.combine(day, time(0), UTC) for day in (window.starting, window.until))
    if not intervals([window], first - DAY, last + 3 * DAY):
        yield (
            f"opens on no day from {window.starting} to {window.until}: change days, starting or until, or "
            "what it skips"
        )


def _too_long(window: WeeklyWindow | OneOffWindow, config: DeploymentConfig) -> Iterator[str]:
    """Check a window's own length, on a day without a change of the clocks."""
    match window:
        case OneOffWindow():
            start, end = window.start, window.end
        case WeeklyWindow():
            start, end = local_times(window, _A_MONDAY.date())
    needed = planned_lead(config) + (end - start) + window.close_grace + _MARGIN
    if needed > config.max_session:
        yield (
            f"needs a session of {needed} with lead, grace and {_MARGIN} to end in, and max_session "
            f"is {config.max_session}: raise that, or split the window"
        )


def _too_long_together(config: DeploymentConfig) -> Iterator[str]:
    """Check windows that follow each other every week; those with stop_when_empty do not count."""
    windows = [
        every_week(window)
        for window in config.windows
        if isinstance(window, WeeklyWindow) and not window.stop_when_empty
    ]
    spans = hosted_spans(windows, Leads(planned_lead(config)), _A_MONDAY, _A_MONDAY + 14 * DAY)
    start, end = max(spans, key=lambda span: span[1] - span[0], default=(_A_MONDAY, _A_MONDAY))
    needed = end - start + _MARGIN
    if needed > config.max_session:
        length = f"of {needed}" if needed < _NO_END else "without end"
        yield (
            f"has windows that follow each other without a break (from {start:%a %H:%M} UTC on) and need a "
            f"session {length} with lead, grace and {_MARGIN} to end in; max_session is "
            f"{config.max_session}: raise that, or leave a gap that is longer than lead and grace"
        )


def schedule_warnings(config: DeploymentConfig, leads: Leads, now: datetime) -> list[SettingProblem]:
    """Find windows that are over, never open, are moved by the clocks, or form too long a session once.

    `leads`: those of the next 12 months, including the wait for other creates of the account.
    """
    if config.always:
        return [
            SettingProblem(f"deployments.{config.name}.always", "", remedy) for remedy in _of_always(config)
        ]
    key = f"deployments.{config.name}.schedule"
    found = [
        SettingProblem(f"{key}.{number}", "", remedy)
        for number, window in enumerate(config.windows)
        for remedy in _of_window(window, config, now)
    ]
    found += [SettingProblem(key, "", remedy) for remedy in _of_session(config, leads, now)]
    uploads = f"deployments.{config.name}.uploads"
    found += [SettingProblem(f"{uploads}.start", "", remedy) for remedy in _of_uploads(config, now)]
    return found + [SettingProblem(f"{uploads}.start_within", "", remedy) for remedy in _of_waiting(config)]


def _of_always(config: DeploymentConfig) -> Iterator[str]:
    """Warn of the limits of `always`, and of keys that have no effect beside it."""
    if config.spec.sku == DEVELOPER_TIER:
        yield (
            f"Azure deletes a {DEVELOPER_TIER} deployment after {DEVELOPER_TIER_LIFE // HOUR} h: it is "
            "deleted and created again every day, and gone for some minutes. Another SKU stays"
        )
    if config.start_within:
        yield "with it uploads.start_within has no effect, as the deployment is up: remove one of them"


def _of_uploads(config: DeploymentConfig, now: datetime) -> Iterator[str]:
    """Warn if documents wait for a window and none opens soon. Without any window the file is refused."""
    if config.uploads is UploadStart.SCHEDULED and not intervals(
        config.windows, now, now + AHEAD, config.closures
    ):
        yield (
            "is scheduled, and no window of the schedule opens in the next 12 months: documents wait without "
            f"an answer. Add a window, or set uploads.start: {UploadStart.ON_DEMAND}"
        )


def _of_waiting(config: DeploymentConfig) -> Iterator[str]:
    """Warn of a start_within that cannot be kept, or has no effect."""
    promised = config.start_within
    if not promised:
        return
    if config.uploads is UploadStart.SCHEDULED:
        yield "has no effect with start: scheduled, as documents wait for a window: remove one of them"
    elif (broken := PRIOR.longer_than(promised)) > LATE_SHARE:
        yield (
            f"is {promised}, and creating takes longer than that in about {broken:.0%} of cases, as long as "
            "nothing else was measured: documents start it at once, and some wait longer than promised"
        )


def _of_window(window: WeeklyWindow | OneOffWindow, config: DeploymentConfig, now: datetime) -> Iterator[str]:
    starts, ended = now, None
    if isinstance(window, OneOffWindow):
        starts, ended = window.start, window.end
    else:
        if window.starting is not None:
            starts = on_day(window, window.starting).start
        if window.until is not None:
            ended = on_day(window, window.until).end
    if ended is not None and ended <= now:
        yield f"is over since {ended:%Y-%m-%d %H:%M} UTC: remove it"
        return
    ahead = max(now, starts)
    if not intervals([window], ahead, ahead + AHEAD, config.closures):
        yield "never opens in 12 months: closures and dates leave nothing of it"
    if isinstance(window, WeeklyWindow) and window.skip_holidays:
        region, years = window.skip_holidays, (ahead.year, ahead.year + 1)
        if unknown := [str(year) for year in years if not public_holidays(region, year)]:
            yield f"skips nothing: no public holiday of {region} is known in {', '.join(unknown)}"
    for mark in marks([window], now, now + AHEAD):
        if mark.moved:
            yield f"on {mark.day} {mark.what}"


def _of_session(config: DeploymentConfig, leads: Leads, now: datetime) -> Iterator[str]:
    """Warn of the first session that would be too long if documents waited all the time."""
    for start, end in hosted_spans(config.windows, leads, now, now + AHEAD, config.closures):
        if end - start + _MARGIN > config.max_session:
            yield (
                f"windows follow each other without a break from {start:%Y-%m-%d %H:%M} to "
                f"{end:%Y-%m-%d %H:%M} UTC, lead and grace included: if all of it is needed, max_session "
                f"({config.max_session}) has the deployment deleted and created again in between"
            )
            return
