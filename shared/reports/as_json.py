"""Convert reports to JSON. Only this module defines how a report's values are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any

FLAT = MappingProxyType({"flat": True})
"""Metadata of a field that is replaced by its own fields: `figures: Figures = field(metadata=FLAT)`."""


def to_json(value: object) -> Any:
    """Return a report as dicts, lists, strings, numbers, booleans and None; keys in the order of the fields.

    A datetime is written in ISO 8601, an enum as its value. Raises TypeError for other values.
    """
    if isinstance(value, Enum):
        return to_json(value.value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {to_json(key): to_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(entry) for entry in value]
    if is_dataclass(value):
        written: dict[str, Any] = {}
        for column in fields(value):
            found = to_json(getattr(value, column.name))
            written |= found if column.metadata.get("flat") else {column.name: found}
        return written
    raise TypeError(f"a report holds a {type(value).__name__}, which has no form in JSON")
