"""What commands have in common: their exit codes, and how names, settings and values are given to them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

from shared.app import Lamplighter
from shared.errors import SettingProblem, SettingsError
from shared.model import DeploymentConfig
from shared.operations import inputs

T = TypeVar("T")


class Exit(IntEnum):
    """What a script may rely on."""

    OK = 0
    FAILED = 1  # what was asked for did not come to hold, or not whole
    UNUSABLE = 2  # wrong use, or a configuration that cannot be used


class WrongUse(Exception):
    """The arguments do not fit the configuration; the message says what to write."""


def _argument(read: Callable[[str], T]) -> Callable[[str], T]:
    """For argparse: what `read` refuses is told with its remedy."""

    def convert(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


duration = _argument(inputs.duration)
instant = _argument(inputs.instant)
month = _argument(inputs.month)
note = _argument(inputs.note)


def count(most: int) -> Callable[[str], int]:
    """A whole number from 1 to `most`."""
    return _argument(lambda text: inputs.count(text, most))


def config(app: Lamplighter, name: str) -> DeploymentConfig:
    """The deployment of that name, in whatever case. Raises WrongUse."""
    found = app.intake.config(name)
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
