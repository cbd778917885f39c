"""What a check found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # it works, and somebody should know
    FAILED = "failed"
    UNCHECKED = "not checked"  # it could not be told from here


@dataclass(frozen=True)
class Finding:
    """One check's outcome. `check` is a stable name; `remedy` says what to do unless all is well."""

    check: str
    status: Status
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class DoctorReport:
    """What every check found, and how many ended in which way."""

    findings: Sequence[Finding]
    counts: Mapping[Status, int]


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, Status.OK, what)


def warning(check: str, what: str, remedy: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(check, Status.WARNING, what, remedy)


def failed(check: str, what: str, remedy: str) -> Finding:
    """Something does not work."""
    return Finding(check, Status.FAILED, what, remedy)


def unchecked(check: str, what: str, remedy: str) -> Finding:
    """It could not be told from here; the remedy says how it can be."""
    return Finding(check, Status.UNCHECKED, what, remedy)
