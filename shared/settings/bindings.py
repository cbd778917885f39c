"""Read the settings that the functions host needs before anything is loaded. Standard library only.

An unusable setting gets its default and an alert: the app must not be without functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

BLOB_SOURCES = ("EventGrid", "LogsAndContainerScan")
EVERY_MINUTE = "0 * * * * *"
STORAGE = "DOCUMENTS_STORAGE"
"""The connection: a prefix of settings such as DOCUMENTS_STORAGE__blobServiceUri."""

DRAIN_QUEUE = "drain"
"""The queue of messages that each name a deployment with documents to answer."""

# The part of NCRONTAB that Azure's host and the local one both read: numbers, ranges, lists and steps.
_FIELDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))  # smallest and largest value of each field
_PART = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/0*([1-9]\d?))?", re.ASCII)


@dataclass(frozen=True)
class Bindings:
    """The settings of the triggers, and the problems of those that were replaced by defaults."""

    blob_source: str
    schedule: str  # for the host: %RECONCILE_SCHEDULE% or the default
    ticks: str  # the six fields themselves
    problems: tuple[str, ...]


def read_bindings(environment: Mapping[str, str]) -> Bindings:
    """Read BLOB_SOURCE and RECONCILE_SCHEDULE, or use their defaults."""
    problems = []
    source = environment.get("BLOB_SOURCE") or BLOB_SOURCES[0]
    if source not in BLOB_SOURCES:
        problems.append(f"BLOB_SOURCE is {source!r}; use one of {', '.join(BLOB_SOURCES)}")
        source = BLOB_SOURCES[0]
    ticks = environment.get("RECONCILE_SCHEDULE") or EVERY_MINUTE
    if not _is_schedule(ticks):
        problems.append(f"RECONCILE_SCHEDULE is {ticks!r}; write six fields such as {EVERY_MINUTE!r}")
        ticks = EVERY_MINUTE
    schedule = "%RECONCILE_SCHEDULE%" if ticks == environment.get("RECONCILE_SCHEDULE") else ticks
    return Bindings(source, schedule, ticks, tuple(problems))


def _is_schedule(ticks: str) -> bool:
    fields = ticks.split()
    return len(fields) == len(_FIELDS) and all(
        _fits(part, *limits)
        for field, limits in zip(fields, _FIELDS, strict=True)
        for part in field.split(",")
    )


def _fits(part: str, least: int, greatest: int) -> bool:
    match = _PART.fullmatch(part)
    if match is None:
        return False
    first, last = int(match[1] or least), int(match[2] or match[1] or greatest)
    return least <= first <= last <= greatest
