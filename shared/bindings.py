"""What the functions host must know before anything is loaded. Standard library only.

A setting that cannot be used means its default and an alert, never an app without functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BLOB_SOURCES = ("EventGrid", "LogsAndContainerScan")
EVERY_MINUTE = "0 * * * * *"
STORAGE = "DOCUMENTS_STORAGE"
"""The connection: a prefix of settings such as DOCUMENTS_STORAGE__blobServiceUri."""


@dataclass(frozen=True)
class Bindings:
    """The settings of the triggers, and what was wrong with those that were replaced by defaults."""

    blob_source: str
    schedule: str  # as the host takes it: %RECONCILE_SCHEDULE% or the default
    ticks: str  # the six fields themselves
    problems: tuple[str, ...]


def read_bindings(environment: Mapping[str, str]) -> Bindings:
    """BLOB_SOURCE and RECONCILE_SCHEDULE, or their defaults."""
    problems = []
    source = environment.get("BLOB_SOURCE") or BLOB_SOURCES[0]
    if source not in BLOB_SOURCES:
        problems.append(f"BLOB_SOURCE is {source!r}; use one of {', '.join(BLOB_SOURCES)}")
        source = BLOB_SOURCES[0]
    ticks = environment.get("RECONCILE_SCHEDULE") or EVERY_MINUTE
    if len(ticks.split()) != 6 or not set(ticks) <= set("0123456789*/,- "):
        problems.append(f"RECONCILE_SCHEDULE is {ticks!r}; write six fields such as {EVERY_MINUTE!r}")
        ticks = EVERY_MINUTE
    schedule = "%RECONCILE_SCHEDULE%" if ticks == environment.get("RECONCILE_SCHEDULE") else ticks
    return Bindings(source, schedule, ticks, tuple(problems))
