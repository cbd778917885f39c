"""Dataclasses ↔ table rows. A None is a column that is not there; `etag` is the row's, not a column."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from enum import StrEnum
from typing import Any, TypeVar

from shared.ports import Row, Value

T = TypeVar("T")


def to_values(item: Any) -> dict[str, Value]:
    """The columns of a flat dataclass of strings, numbers, booleans, datetimes and string enums."""
    columns = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    columns.pop("etag", None)
    return {
        name: str(value) if isinstance(value, StrEnum) else value
        for name, value in columns.items()
        if value is not None
    }


def from_row(kind: type[T], row: Row) -> T:
    """The dataclass that was written. Columns that it does not know are left out (a newer version's)."""
    types_of = _types(typing.cast(Any, kind))
    values: dict[str, Any] = {name: None for name, (_, optional) in types_of.items() if optional}
    values |= {
        name: _convert(types_of[name][0], value) for name, value in row.values.items() if name in types_of
    }
    if "etag" in types_of:
        values["etag"] = row.etag
    return kind(**values)


@functools.cache
def _types(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Each column's type, and whether it may be None."""
    return {name: _plain(hint) for name, hint in typing.get_type_hints(kind).items()}


def _plain(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next(each for each in typing.get_args(hint) if each is not type(None)), True
    return hint, False


def _convert(kind: Any, value: Value) -> Any:
    # A float without a fraction comes back from table storage as an integer.
    return kind(value) if kind is float or issubclass(kind, StrEnum) else value
