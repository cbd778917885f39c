"""The findings of checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Status(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WARNING = "warning"  # it works, but a person should know about it
    FAILED = "failed"
    UNCHECKED = "not checked"  # it cannot be checked from here


@dataclass(frozen=True)
class Finding:
    """One result of a check. `check`: a stable name; `remedy`: what to do, empty if all is well."""

    check: str
    status: Status
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class DoctorReport:
    """The findings of all checks, and how many there are of each status."""

    findings: Sequence[Finding]
    counts: Mapping[Status, int]


def ok(check: str, what: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, Status.OK, what)


def warning(check: str, what: str, remedy: str) -> Finding:
    """Return a finding that something works, but a person should know about it."""
    return Finding(check, Status.WARNING, what, remedy)


def failed(check: str, what: str, remedy: str) -> Finding:
    """Return a finding that something does not work."""
    return Finding(check, Status.FAILED, what, remedy)


def unchecked(check: str, what: str, remedy: str) -> Finding:
    """Return a finding that cannot be checked from here; the remedy says how to check it."""
    return Finding(check, Status.UNCHECKED, what, remedy)


def minutes(length: timedelta) -> str:
    """Return a length of time for people."""
    return f"{max(0, round(length.total_seconds() / 60))} min"
