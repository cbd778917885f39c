"""`validate`: check whether deployments.yaml can be used, and show its content, without calling Azure."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, clean, table
from shared.errors import InvalidRequest, SettingProblem
from shared.model import ALWAYS, Closure, DeploymentConfig, OneOffWindow, Settings, WeeklyWindow
from shared.schedule.windows import HOUR, every_week, intervals
from shared.settings.blob import PREFIX
from shared.settings.load import load
from shared.settings.training import differences, examples
from shared.settings.warnings import settings_warnings

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_A_WEEK = timedelta(days=7)
_HOURS_A_MONTH = 730  # as Azure counts a month in its prices
_A_MONDAY = datetime(2026, 1, 5, tzinfo=UTC)  # fixed, so that the same file always gives the same hours


def validate(options: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str]) -> Exit:
    """Show the content of the file, with warnings of probable mistakes. The code is 0 with warnings, too.

    Raises SettingsError with every problem, InvalidRequest if no file is named.
    """
    place = str(options.file or environment.get("DEPLOYMENTS_FILE") or "deployments.yaml")
    if place.startswith(PREFIX):
        raise InvalidRequest(f"DEPLOYMENTS_FILE is {place}: name the FILE that you mean to upload")
    settings = load(Path(place), environment, *(["the argument FILE"] if options.file else []))
    deployments = [_document(each, settings) for each in settings.deployments.values()]
    warnings = [*settings_warnings(settings, datetime.now(UTC)), *_training_differences(options, settings)]
    document = {
        "file": place,
        "installation": settings.installation,
        "accounts": {each.name: each.resource_id for each in settings.accounts.values()},
        "deployments": deployments,
        "warnings": [{"key": each.key, "remedy": each.remedy} for each in warnings],
    }
    terminal.show(
        document,
        [
            f"{place} can be used: installation {settings.installation}, "
            f"{len(settings.accounts)} account(s), {len(deployments)} deployment(s).",
            "",
            *table(
                ("DEPLOYMENT", "ACCOUNT", "MODE", "SKU", "UPLOADS", "HOURS A WEEK", "SCHEDULE"),
                (
                    (
                        each["deployment"],
                        each["account"],
                        each["mode"] + (", adopt" if each["adopt"] else ""),
                        f"{each['sku']} {each['capacity']}K",
                        each["uploads"],
                        f"{each['scheduled_hours_a_week']:g}"
                        + ("+" if each["uploads"] == "on_demand" and not each["always"] else ""),
                        "; ".join([*each["schedule"], *each["closures"]]) or "-",
                    )
                    for each in deployments
                ),
            ),
            *_cost_round_the_clock(settings),
            *(["", "Warnings:"] if warnings else []),
            *(f"  {clean(each)}" for each in warnings),
        ],
    )
    return Exit.OK


def _training_differences(options: argparse.Namespace, settings: Settings) -> Iterator[SettingProblem]:
    """Yield how the task of a deployment differs from the file by which its model was trained."""
    if options.training is None:
        return
    names = [options.deployment] if options.deployment else [*settings.deployments]
    if len(names) > 1:
        raise InvalidRequest(f"--training: name one of the deployments with --deployment: {', '.join(names)}")
    config = settings.find(names[0])
    try:
        with options.training.open(encoding="utf-8-sig") as file:
            found = list(examples(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, ValueError) else error.strerror
        raise InvalidRequest(f"--training: {options.training} cannot be read: {reason}") from None
    for difference in differences(config.task, found):
        yield SettingProblem(f"deployments.{config.name}.task", "", f"{difference} ({options.training})")


def _document(config: DeploymentConfig, settings: Settings) -> dict[str, Any]:
    return {
        "deployment": config.name,
        "account": settings.accounts[config.account].name,
        "mode": config.mode,
        "adopt": config.adopt,
        "model": config.spec.model_name,
        "model_version": config.spec.model_version,
        "sku": config.spec.sku,
        "capacity": config.spec.capacity,
        "uploads": config.uploads,
        "always": config.always,
        "schedule": [_window(each) for each in config.windows],
        "closures": [_closure(each) for each in config.closures],
        "scheduled_hours_a_week": round(_hours_a_week(config), 2),
        "price_per_hour": settings.prices.hosting_per_hour[config.spec.sku],
        "cost_center": config.cost_center,
    }


def _cost_round_the_clock(settings: Settings) -> list[str]:
    """Return what deployments cost that are hosted round the clock."""
    prices = settings.prices
    lines = [
        f"{each.name} is hosted round the clock: {_HOURS_A_MONTH} h a month, "
        f"{_HOURS_A_MONTH * prices.hosting_per_hour[each.spec.sku]:,.2f} {prices.currency}"
        for each in settings.deployments.values()
        if each.always
    ]
    return ["", *lines] if lines else []


def _window(window: WeeklyWindow | OneOffWindow) -> str:
    if window == ALWAYS:
        return "round the clock"
    end = " until empty" if window.stop_when_empty else ""
    if isinstance(window, OneOffWindow):
        return f"once {window.start.isoformat()} to {window.end.isoformat()}{end}"
    days = _days_text(window.days)
    closes = f"{window.end:%H:%M}" if window.end else "24:00"
    parts = [f"{days} {window.start:%H:%M}-{closes} {window.time_zone}{end}"]
    parts += [f"from {window.starting}"] if window.starting else []
    parts += [f"until {window.until}"] if window.until else []
    parts += [f"not on holidays of {window.skip_holidays}"] if window.skip_holidays else []
    parts += [f"not on {', '.join(map(str, sorted(window.skip_dates)))}"] if window.skip_dates else []
    parts += [f"also on {', '.join(map(str, sorted(window.also_on)))}"] if window.also_on else []
    return ", ".join(parts)


def _closure(closure: Closure) -> str:
    reason = f" ({closure.reason})" if closure.reason else ""
    return f"closed {closure.start.isoformat()} to {closure.end.isoformat()}{reason}"


def _days_text(days: frozenset[int]) -> str:
    """Return days as the file may write them: daily, mon-fri, or one by one."""
    first, last = min(days), max(days)
    if len(days) == len(_DAYS):
        return "daily"
    if len(days) > 1 and len(days) == last - first + 1:
        return f"{_DAYS[first]}-{_DAYS[last]}"
    return ",".join(_DAYS[day] for day in sorted(days))


def _hours_a_week(config: DeploymentConfig) -> float:
    """Return the hours that weekly windows cover. Overlaps count once; dates and holidays are ignored."""
    if config.always:
        return _A_WEEK / HOUR
    weekly = [every_week(each) for each in config.windows if isinstance(each, WeeklyWindow)]
    covered, reached = timedelta(0), _A_MONDAY
    for each in intervals(weekly, _A_MONDAY, _A_MONDAY + _A_WEEK):
        start, end = max(each.start, reached), min(each.end, _A_MONDAY + _A_WEEK)
        covered += max(end - start, timedelta(0))
        reached = max(reached, end)
    return covered / HOUR
