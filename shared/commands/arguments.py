"""What commands have in common: their exit codes, and how times, durations and names are given to them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path

from shared.domain import Hosting
from shared.errors import SettingProblem, SettingsError
from shared.flow import Lamplighter

LONGEST_NOTE = 200
"""Characters of a hold's owner and of its reason."""


class Exit(IntEnum):
    """What a script may rely on."""

    OK = 0
    FAILED = 1  # what was asked for did not come to hold, or not whole
    UNUSABLE = 2  # wrong use, or a configuration that cannot be used


class WrongUse(Exception):
    """The arguments do not fit the configuration; the message says what to write."""


def duration(text: str) -> timedelta:
    """A duration as deployments.yaml writes it: 90s, 15m, 12h, 1h30m."""
    from pydantic import TypeAdapter, ValidationError

    from shared.scalars import Duration

    try:
        length: timedelta = TypeAdapter(Duration).validate_python(text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(str(error.errors()[0]["ctx"]["error"])) from None
    if not length:
        raise argparse.ArgumentTypeError("must be more than nothing")
    return length


def instant(text: str) -> datetime:
    """An ISO time with its zone, or a date, which begins at midnight UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            "write a date, or an ISO time such as 2026-11-22T18:00:00+01:00"
        ) from None
    if at.tzinfo is None:
        if len(text) > len("2026-11-22"):
            raise argparse.ArgumentTypeError(f"names no zone: write {text}Z for UTC, or an offset")
        at = at.replace(tzinfo=UTC)
    return at.astimezone(UTC)


def note(text: str) -> str:
    """A few words for people."""
    if not text.strip() or len(text) > LONGEST_NOTE:
        raise argparse.ArgumentTypeError(f"write 1 to {LONGEST_NOTE} characters")
    return text.strip()


def hosting(app: Lamplighter, name: str) -> Hosting:
    """The deployment of that name, in whatever case. Raises WrongUse."""
    found = app.intake.hosting(name)
    if found is None:
        raise WrongUse(app.intake.no_such_deployment(name))
    return found


def read_values(path: Path) -> Mapping[str, str]:
    """The app settings in a file like local.settings.json. Raises SettingsError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        values = content["Values"]
        if content.get("IsEncrypted"):
            raise SettingsError(
                path.name, [SettingProblem("IsEncrypted", "true", "decrypt it: func settings decrypt")]
            )
        if not all(isinstance(value, str) for value in values.values()):
            raise TypeError
    except OSError as error:
        problem = SettingProblem(
            str(path), "", f"cannot be read ({error.strerror}): --settings names the file"
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = SettingProblem(path.name, "", 'is not of the form {"Values": {"NAME": "value"}}')
    else:
        return dict(values)
    raise SettingsError(path.name, [problem])
