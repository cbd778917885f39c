"""Convert the body of a request for a hold into the hold. All problems are reported together."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from shared.errors import InvalidRequest, SettingProblem
from shared.operations.holds import HoldRequest, end_of
from shared.operations.inputs import duration, instant, note

T = TypeVar("T")

_KEYS = ("way", "until", "for", "owner", "reason")
_LONGEST_BODY = 10_000  # bytes
_LONGEST_VALUE = 80  # characters shown of a wrong value
_BODY = 'send a JSON object such as {"way": "up", "for": "2h", "owner": "dana", "reason": "demo for legal"}'


def read_request(body: bytes, now: datetime) -> HoldRequest:
    """Return the hold that a JSON body asks for: way, until or for, owner and reason.

    Raises InvalidRequest with every problem, each with its key.
    """
    given, problems = _object(body), list[SettingProblem]()

    def read(key: str, kind: Callable[[str], T]) -> T | None:
        value = given.get(key)
        try:
            if value is None:
                raise ValueError(f"is missing: {_BODY}")
            if not isinstance(value, str):
                raise ValueError("write a text in quotes")
            return kind(value)
        except ValueError as error:
            problems.append(_problem(key, value, str(error)))
            return None

    problems += [
        _problem(key, None, f"unknown key: known are {', '.join(_KEYS)}") for key in given if key not in _KEYS
    ]
    up, owner, reason = read("way", _way), read("owner", note), read("reason", note)
    end: datetime | None = None
    if ("until" in given) is ("for" in given):
        problems.append(_problem("until", None, "write either until (an ISO time) or for (such as 2h)"))
    elif "until" in given:
        end = read("until", lambda text: end_of(now, instant(text), None))
    else:
        end = read("for", lambda text: end_of(now, None, duration(text)))
    if up is None or end is None or owner is None or reason is None or problems:
        raise _refusal(problems)
    return HoldRequest(up, end, owner, reason)


def _refusal(problems: list[SettingProblem]) -> InvalidRequest:
    return InvalidRequest("; ".join(str(problem) for problem in problems), problems)


def _object(body: bytes) -> dict[str, Any]:
    given, problem = None, ""
    try:
        if len(body) <= _LONGEST_BODY:
            given = json.loads(body)
        else:
            problem = f"is longer than {_LONGEST_BODY:,} bytes: "
    except UnicodeDecodeError:
        problem = "is not UTF-8 text, as JSON must be: save or send it as UTF-8, and "
    except (ValueError, RecursionError):
        problem = "is not JSON: "
    if not isinstance(given, dict):
        raise _refusal([SettingProblem("the body", "", problem + _BODY)])
    return given


def _problem(key: str, value: object, remedy: str) -> SettingProblem:
    # The value may hold text that no answer can carry, such as half a character.
    shown = value[:_LONGEST_VALUE] if isinstance(value, str) and value.isprintable() else ""
    return SettingProblem(key[:_LONGEST_VALUE] if key.isprintable() else "a key", shown, remedy)


def _way(text: str) -> bool:
    if text not in ("up", "down"):
        raise ValueError("write up or down")
    return text == "up"
