"""What in a valid deployments.yaml is likely a mistake. The file can be used all the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from shared.answer_schema import schema_warnings
from shared.domain import Hosting, Settings
from shared.errors import SettingProblem
from shared.planning.schedule_checks import schedule_warnings


def settings_warnings(settings: Settings, now: datetime) -> list[SettingProblem]:
    """Every warning, each with its key and remedy; those about schedules are for the next 12 months."""
    found: list[SettingProblem] = []
    for hosting in settings.deployments.values():
        found += schedule_warnings(hosting, now)
        found += _of_schema(hosting)
    return found


def _of_schema(hosting: Hosting) -> Iterator[SettingProblem]:
    for remedy in schema_warnings(hosting.task.response_schema or {}):
        yield SettingProblem(f"deployments.{hosting.name}.task.response_schema", "", remedy)
