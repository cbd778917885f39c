"""Counts, durations, instants, months and notes as people write them, for commands and over HTTP.

Each raises ValueError with what to write instead.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

LONGEST_NOTE = 200
"""Characters of a hold's owner and of its reason."""

_NOT_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, lone surrogates, line separators


def count(text: str, most: int) -> int:
    """A whole number from 1 to `most`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise ValueError(f"write a whole number from 1 to {most}")
    return int(text)


def duration(text: str) -> timedelta:
    """A duration as deployments.yaml writes it: 90s, 15m, 12h, 1h30m. Never nothing."""
    from pydantic import TypeAdapter, ValidationError

    from shared.settings.values import Duration

    try:
        length: timedelta = TypeAdapter(Duration).validate_python(text)
    except ValidationError as error:
        raise ValueError(str(error.errors()[0]["ctx"]["error"])) from None
    except OverflowError:
        raise ValueError("is too long") from None
    if not length:
        raise ValueError("must be more than nothing")
    return length


def instant(text: str) -> datetime:
    """An ISO time with its zone, or a date, which begins at midnight UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("write a date, or an ISO time such as 2026-11-22T18:00:00+01:00") from None
    if at.tzinfo is None:
        if len(text) > len("2026-11-22"):
            raise ValueError(f"names no zone: write {text}Z for UTC, or an offset")
        at = at.replace(tzinfo=UTC)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("write a year from 2 to 9998") from None


def month(text: str) -> tuple[datetime, datetime]:
    """A month such as 2026-11: its beginning in UTC, and that of the next one."""
    try:
        start = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        return start, (start + timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError):
        raise ValueError("write a month such as 2026-11") from None


def note(text: str) -> str:
    """A few words for people, on one line."""
    words = text.strip()
    if not words or len(words) > LONGEST_NOTE:
        raise ValueError(f"write 1 to {LONGEST_NOTE} characters")
    if any(unicodedata.category(each) in _NOT_TEXT for each in words):
        raise ValueError("write plain text on one line")
    return words
