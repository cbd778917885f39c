"""Find every schema within a JSON schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_ONE = ("items", "not", "if", "then", "else", "contains", "propertyNames", "additionalProperties")
_ONE_MORE = ("additionalItems", "unevaluatedItems", "unevaluatedProperties")
_MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")


def subschemas(schema: Any, place: str = "#") -> Iterator[tuple[str, Any]]:
    """Yield a schema and every schema in it with its place, also true, false, and those in refused parts.

    `schema`: a valid one of 2020-12. Values (of `enum`, `const`, `default`) are no schemas.
    """
    yield place, schema
    if not isinstance(schema, dict):
        return
    for key in (*_ONE, *_ONE_MORE):
        part = schema.get(key)
        # Here true and false are valid: they allow or forbid.
        if isinstance(part, dict) or (key == "items" and isinstance(part, bool)):
            yield from subschemas(part, f"{place}/{key}")
    for key in _MANY:
        for number, part in enumerate(schema.get(key, [])):
            yield from subschemas(part, f"{place}/{key}/{number}")
    for key in _NAMED:
        named = schema.get(key)
        for name, part in named.items() if isinstance(named, dict) else ():
            if isinstance(part, dict | bool):
                yield from subschemas(part, f"{place}/{key}/{name}")
