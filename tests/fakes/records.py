"""Change records in tests. A field is named without the part of the record that holds it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from shared.model import DeploymentRecord

_PARTS = ("generation", "backoff", "history", "decision")


def changed(record: DeploymentRecord, **values: Any) -> DeploymentRecord:
    """Return the record with other values of these fields, which may belong to any of its parts."""
    for part in _PARTS:
        before = getattr(record, part)
        names = {field.name for field in fields(before)} & values.keys()
        values[part] = replace(before, **{name: values.pop(name) for name in names})
    return replace(record, **values)
