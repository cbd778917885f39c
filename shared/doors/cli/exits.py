"""How a command ends: the only place that knows which error is which exit code and how it is shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from shared.errors import InvalidRequest, LamplighterError, SettingsError, UnknownDeployment


class Exit(IntEnum):
    """What a script may rely on."""

    OK = 0
    FAILED = 1  # what was asked for did not come to hold, or not whole
    UNUSABLE = 2  # wrong use, or a configuration that cannot be used


@dataclass(frozen=True)
class Failure:
    """A command that ended with an error: its code, what it prints with --json, and else."""

    code: Exit
    document: dict[str, Any]
    lines: list[str]


def failure(error: LamplighterError) -> Failure:
    """What a command that raised this answers."""
    if isinstance(error, SettingsError):
        problems = [asdict(each) for each in error.problems]
        lines = [f"{error.source} cannot be used:", *(f"  {each}" for each in error.problems)]
        return Failure(Exit.UNUSABLE, {"error": error.source, "problems": problems}, lines)
    document = {"error": str(error)}
    if isinstance(error, InvalidRequest | UnknownDeployment):
        return Failure(Exit.UNUSABLE, document, [str(error)])
    return Failure(Exit.FAILED, document, [f"failed: {error}"])
