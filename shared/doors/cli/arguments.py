"""Read the arguments and settings of commands."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from shared.errors import SettingProblem, SettingsError
from shared.operations import inputs
from shared.settings.text import read_text

T = TypeVar("T")

_NEGATIVE = re.compile(r"-\d")


class Parser(argparse.ArgumentParser):
    """A parser that explains wrong arguments on standard error or, with --json, as a JSON document."""

    _as_json = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments (see ArgumentParser): all of them, or a command's own."""
        given = _with_negative_values(list(sys.argv[1:] if args is None else args))
        options = given[: given.index("--")] if "--" in given else given
        self._as_json = "--json" in options
        return super().parse_known_args(given, namespace)

    def error(self, message: str) -> NoReturn:
        """End the program with code 2 (see ArgumentParser)."""
        if self._as_json:
            sys.stdout.write(json.dumps({"error": message}, indent=2) + "\n")
            self.exit(2)
        super().error(message)


def _with_negative_values(given: list[str]) -> list[str]:
    """Write `--for -2h` as `--for=-2h`: else argparse says that the value is missing."""
    end = given.index("--") if "--" in given else len(given)
    joined: list[str] = []
    for each in given[:end]:
        if _NEGATIVE.match(each) and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={each}"
        else:
            joined.append(each)
    return joined + given[end:]


def _argument(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return `read` for argparse, with its ValueError turned into an error that argparse shows."""

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
    """Return a reader of whole numbers from 1 to `most`."""
    return _argument(lambda text: inputs.count(text, most))


def as_typed(command: str, settings: Path | None) -> str:
    """Return a command that can be pasted: with the interpreter and the --settings of this call."""
    given, module = sys.orig_argv, ["-m", "shared"]
    place = next((at for at in range(len(given)) if given[at : at + 2] == module), None)
    program = "lamplighter" if Path(sys.argv[0]).stem == "lamplighter" else "python -m shared"
    if place is not None:
        program = shlex.join(given[: place + 2])
    return f"{program} {command}" + (f" --settings {shlex.quote(str(settings))}" if settings else "")


def _path(text: str) -> Path:
    # An empty name would mean the current folder. A script's variable without a value is more likely.
    if not text:
        raise ValueError("is empty: name a file or folder")
    return Path(text)


path = _argument(_path)


def apply_values(file: Path, environment: MutableMapping[str, str]) -> None:
    """Add the app settings in a file like local.settings.json to the environment. Raises SettingsError."""
    try:
        content = json.loads(read_text(file))
        values = content["Values"]
        if content.get("IsEncrypted"):
            raise SettingsError(
                str(file), [SettingProblem("IsEncrypted", "true", "decrypt it: func settings decrypt")]
            )
        if not all(isinstance(value, str) for value in values.values()):
            raise TypeError
    except OSError as error:
        problem = SettingProblem(
            str(file), "", f"cannot be read ({error.strerror}): --settings names the file"
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        problem = SettingProblem(file.name, "", 'is not of the form {"Values": {"NAME": "value"}}')
    else:
        try:
            environment.update(values)
            return
        except (OSError, ValueError):  # such as NUL in a value, or a name with =
            problem = SettingProblem(file.name, "", "holds a name or value that no environment can hold")
    raise SettingsError(str(file), [problem])
