"""The app: the functions of function_app.py, what is modelled of host.json, and the app settings."""

import importlib
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func


class HostError(ValueError):
    """The app or one of its functions cannot be run here; the message says why and what to do."""


@dataclass(frozen=True)
class Function:
    """A registered function: its handler and its trigger, a binding in the form of function.json."""

    name: str
    handler: Callable[..., Any]
    trigger: dict[str, Any]


def load_functions(app_dir: Path) -> list[Function]:
    """Import `app_dir`/function_app.py and list its functions. Raises HostError when that fails."""
    sys.path.insert(0, str(app_dir))
    try:
        module = importlib.import_module("function_app")
        apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
        if len(apps) != 1:
            raise ValueError(f"{len(apps)} of its variables are a FunctionApp, not one")
        return [_function(registered) for registered in apps[0].get_functions()]  # may be called once only
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise HostError(f"{app_dir / 'function_app.py'} cannot be loaded: {problem}") from error


def _function(registered: Any) -> Function:
    bindings = map(json.loads, registered.get_raw_bindings())
    trigger = next(each for each in bindings if each["name"] == registered.get_trigger().name)
    return Function(registered.get_function_name(), registered.get_user_function(), trigger)


def read_host_json(app_dir: Path) -> tuple[str, float | None]:
    """Return the HTTP route prefix and the function time limit in seconds (None: no limit).

    Azure's defaults without the file. Raises HostError when it is not valid.
    """
    path = app_dir / "host.json"
    try:
        content = json.loads(path.read_text()) if path.exists() else {}
        prefix = content.get("extensions", {}).get("http", {}).get("routePrefix", "api")
        limit = content.get("functionTimeout", "00:05:00")
        hours, minutes, seconds = (0, 0, 0) if limit == "-1" else map(int, limit.split(":"))
    except (AttributeError, ValueError) as error:
        raise HostError(f"{path} is not valid ({error}); functionTimeout is written hh:mm:ss") from error
    return prefix.strip("/"), hours * 3600 + minutes * 60 + seconds or None


def resolve(text: str) -> str:
    """Replace each %NAME% by the app setting NAME. Raises HostError for one that is missing."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise HostError(f"'{match[0]}' does not resolve to a value: set the setting {match[1]}")
        return os.environ[match[1]]

    return re.sub(r"%([^%]+)%", value, text)
