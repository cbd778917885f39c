"""Convert dataclasses to table rows and back. None is an absent column; `etag` is the row's, not a column."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from shared.ports import Row, Value

T = TypeVar("T")


def to_values(item: Any) -> dict[str, Value]:
    """Return the columns of a flat dataclass of strings, numbers, booleans, datetimes and string enums."""
    columns = dict(vars(item))
    columns.pop("etag", None)
    return plain(columns)


def plain(columns: Mapping[str, Any]) -> dict[str, Value]:
    """Return columns as a table holds them: enums by their value, and no None."""
    return {
        name: str(value) if isinstance(value, StrEnum) else value
        for name, value in columns.items()
        if value is not None
    }


def from_row(kind: type[T], row: Row) -> T:
    """Return the dataclass that a row holds. Unknown columns (of a newer version) are ignored.

    Raises TypeError for a row without a required column.
    """
    columns = _columns(typing.cast(Any, kind))
    values: dict[str, Any] = {**columns.absent, **row.values}
    if not columns.known.issuperset(row.values):
        for name in row.values.keys() - columns.known:
            del values[name]
    for name, convert in columns.converted:
        if name in row.values:
            values[name] = convert(values[name])
    if columns.has_etag:
        values["etag"] = row.etag
    if not columns.required <= values.keys():
        raise TypeError(f"a row of {kind.__name__} lacks {sorted(columns.required - values.keys())}")
    # __init__ does the same field by field, which takes several times longer for a frozen dataclass of fifty.
    item = object.__new__(kind)
    item.__dict__.update(values)
    return item


@dataclasses.dataclass(frozen=True)
class _Columns:
    """The plan for reading the columns of a dataclass."""

    absent: dict[str, Any]  # the value of an absent column: None, or the field's default
    required: frozenset[str]
    known: frozenset[str]
    converted: tuple[tuple[str, Any], ...]  # enums, and floats: whole ones are read back as integers
    has_etag: bool


@functools.cache
def _columns(kind: Any) -> _Columns:
    types_of = {name: _plain(hint) for name, hint in typing.get_type_hints(kind).items()}
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    given = {name: default for name, default in defaults.items() if default is not dataclasses.MISSING}
    return _Columns(
        absent=given | {name: None for name, (_, optional) in types_of.items() if optional},
        required=frozenset(defaults.keys() - given.keys() - {"etag"}),
        known=frozenset(types_of),
        # Cached: an enum's own look-up takes several times longer.
        converted=tuple(
            (name, column if column is float else functools.lru_cache(maxsize=64)(column))
            for name, (column, _) in types_of.items()
            if _is_converted(column)
        ),
        has_etag="etag" in types_of,
    )


def _is_converted(kind: Any) -> bool:
    return kind is float or (isinstance(kind, type) and issubclass(kind, StrEnum))


def _plain(hint: Any) -> tuple[Any, bool]:
    """Return a column's type, and whether it may be None."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next(argument for argument in typing.get_args(hint) if argument is not type(None)), True
    return hint, False
