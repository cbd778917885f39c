"""Find keys of deployments.yaml with the same indentation as their section, so that they are not in it.

    sku:
    name: GlobalStandard

YAML reads this as an empty `sku` and a `name` beside it. Without a message of its own, such a mistake would
be reported as keys that are unknown, missing, or duplicate.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator
from types import UnionType
from typing import Any

import yaml
from pydantic import BaseModel

from shared.errors import SettingProblem
from shared.settings.file import DeploymentsFile

_MISTYPED = 0.8  # from this similarity to a valid key on, a key counts as that one mistyped


def indentation_mistakes(node: yaml.Node | None) -> list[SettingProblem]:
    """Return one mistake for every such key, with its line."""
    return list(_mistakes(node, DeploymentsFile))


def _mistakes(node: yaml.Node | None, kind: Any, named: str = "") -> Iterator[SettingProblem]:
    """Yield the mistakes in a section. `named`: its name, if the file names several such sections."""
    if isinstance(node, yaml.SequenceNode) and (of_items := inner(kind)) is not None:
        for item in node.value:
            yield from _mistakes(item, of_items)
    if kind is None or not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    empty: tuple[str, Any, int] | None = None  # the section before with its line, if nothing is in it
    for key, value in node.value:
        name = str(key.value)
        of_name = kind_of(kind, name)
        if empty is not None and not _belongs_here(name, kind, seen):
            before, of_before, line = empty
            if of_before is None and named and name in seen:
                remedy = f"indent {before!r} by two fewer spaces, as {named!r} is: it is not in that section"
                yield SettingProblem(f"line {line}", before, remedy)
                return
            if kind_of(of_before, name) is not None:
                remedy = (
                    f"indent {name!r} by two more spaces, under {before!r}: it is not in that section now"
                )
                yield SettingProblem(f"line {key.start_mark.line + 1}", name, remedy)
                continue
        seen.add(name)
        empty = (name, of_name, key.start_mark.line + 1) if _may_be_section(value, of_name) else None
        yield from _mistakes(value, of_name, "" if _is_model(kind) else name)


def _belongs_here(name: str, kind: Any, seen: set[str]) -> bool:
    if name in seen:
        return False
    if _is_model(kind):
        return bool(difflib.get_close_matches(name, fields_of(kind), n=1, cutoff=_MISTYPED))
    return name not in fields_of(inner(kind))


def _may_be_section(value: yaml.Node, kind: Any) -> bool:
    """Return whether the value is empty although a section belongs there, or the key is unknown here."""
    is_empty = isinstance(value, yaml.ScalarNode) and value.style is None and not value.value
    return is_empty and (kind is None or _is_model(kind) or typing.get_origin(kind) is dict)


# --- what the file may hold -------------------------------------------------------------------------


def kind_of(kind: Any, name: str) -> Any:
    """Return the type of the value of a key in a section or mapping; None if the key is unknown."""
    return fields_of(kind).get(name) if _is_model(kind) else inner(kind)


def inner(kind: Any) -> Any:
    """Return the type of the values of a mapping or list; None if it is neither."""
    found = typing.get_args(kind) if typing.get_origin(kind) in (dict, list) else ()
    return found[-1] if found else None


def fields_of(kind: Any) -> dict[str, Any]:
    """Return the keys of a section, as the file writes them, with the types of their values."""
    if not _is_model(kind):
        return {}
    return {field.alias or name: _present(field.annotation) for name, field in kind.model_fields.items()}


def _present(kind: Any) -> Any:
    """Return the section itself of one that may be missing."""
    return next(filter(_is_model, typing.get_args(kind)), kind) if isinstance(kind, UnionType) else kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
