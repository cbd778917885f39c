"""Map errors to exit codes and to the text that is shown. Only this file knows them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from shared.errors import InvalidRequest, LamplighterError, SettingsError, UnknownDeployment


class Exit(IntEnum):
    """The exit codes, on which scripts may rely."""

    OK = 0
    FAILED = 1  # the command did not achieve its goal, or only in part
    UNUSABLE = 2  # wrong arguments, or an unusable configuration


@dataclass(frozen=True)
class Failure:
    """The end of a command by an error: its code, and its output with --json and without."""

    code: Exit
    document: dict[str, Any]
    lines: list[str]


def failure(error: LamplighterError) -> Failure:
    """Return the exit code and the output for an error."""
    if isinstance(error, SettingsError):
        problems = [asdict(each) for each in error.problems]
        lines = [f"{error.source} cannot be used:", *(f"  {each}" for each in error.problems)]
        return Failure(Exit.UNUSABLE, {"error": error.source, "problems": problems}, lines)
    document = {"error": str(error)}
    if isinstance(error, InvalidRequest | UnknownDeployment):
        return Failure(Exit.UNUSABLE, document, [str(error)])
    return Failure(Exit.FAILED, document, [f"failed: {error}"])
