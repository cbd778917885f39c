"""Reports → what JSON has: the one place that says how a report's values are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any

FLAT = MappingProxyType({"flat": True})
"""Metadata of a field whose own fields stand in its place: `figures: Figures = field(metadata=FLAT)`."""


def to_json(value: object) -> Any:
    """A report as dicts, lists, strings, numbers, booleans and None; keys in the order of the fields.

    A datetime is written in ISO 8601, an enum as its value. Raises TypeError for what JSON has no form for.
    """
    if isinstance(value, Enum):
        return to_json(value.value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {to_json(key): to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    if is_dataclass(value):
        written: dict[str, Any] = {}
        for each in fields(value):
            found = to_json(getattr(value, each.name))
            written |= found if each.metadata.get("flat") else {each.name: found}
        return written
    raise TypeError(f"a report holds a {type(value).__name__}, which has no form in JSON")
