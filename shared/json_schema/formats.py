"""Check formats of strings. No model guarantees them, and jsonschema alone knows only some.

The list is fixed, so that an answer is checked in the same way whatever packages are installed. Sources:
RFC 3339 for times and durations, RFC 1123 for host names. An email is one @ with text around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsonschema import FormatChecker

_BY_JSONSCHEMA = ("date", "ipv4", "ipv6", "uuid")
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_TIME = re.compile(
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"  # 60: a leap second
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"P(?=.)(?:{n}Y)?(?:{n}M)?(?:{n}W)?(?:{n}D)?(?:T(?=.)(?:{n}H)?(?:{n}M)?(?:{n}S)?)?".replace(
        "{n}", _NUMBER
    )
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_LABEL = "(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")


def _is_date_time(text: str) -> bool:
    day, time = text[:10], text[11:]
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", text[:11]) or not _TIME.fullmatch(time):
        return False
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


_OURS: dict[str, Callable[[str], object]] = {
    "date-time": _is_date_time,
    "duration": _DURATION.fullmatch,
    "email": _EMAIL.fullmatch,
    "hostname": _HOSTNAME.fullmatch,
    "time": _TIME.fullmatch,
}

CHECKED_FORMATS = tuple(sorted((*_BY_JSONSCHEMA, *_OURS)))
"""The formats that `format_checker` checks; it takes any string of another format."""


@cache
def format_checker() -> FormatChecker:
    """Return the check of formats for jsonschema, whose import takes time that few processes need."""
    from jsonschema import FormatChecker

    checker = FormatChecker(_BY_JSONSCHEMA)
    for name, check in _OURS.items():
        checker.checks(name)(_of_strings(check))
    return checker


def _of_strings(check: Callable[[str], object]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or bool(check(value))
