"""The files that a task names: its prompt, and the JSON schema that its answers conform to.

Both are read while deployments.yaml is validated, so that their mistakes are told with all others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, SchemaError

_STRICT = 'structured output needs "additionalProperties": false and every property in "required"'


def read_prompt(path: Path) -> str:
    """A system prompt. Raises ValueError with the remedy."""
    text = _read(path)
    if not text.strip():
        raise ValueError("the file is empty: write what to ask")
    return text


def read_schema(path: Path) -> Mapping[str, Any]:
    """A JSON schema that Azure takes for strict structured output. Raises ValueError with the remedy."""
    try:
        schema = json.loads(_read(path))
        Draft202012Validator.check_schema(schema)
    except json.JSONDecodeError as error:
        raise ValueError(f"the file is not JSON: {error}") from None
    except SchemaError as error:
        raise ValueError(f"the file is not a JSON schema: {error.message[:200]}") from None
    except RecursionError:
        raise ValueError("the file is nested too deeply") from None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise ValueError('structured output needs an object: "type": "object" at the top')
    problems: dict[str, list[str]] = {}
    for place, part in _subschemas(schema, "#"):
        if not _is_strict(part):
            problems.setdefault(_STRICT, []).append(place)
        if "$ref" in part and not _is_there(schema, part["$ref"]):
            problems.setdefault("a $ref must name a place in the same file", []).append(place)
    if problems:
        raise ValueError("; ".join(f"{what} (at {', '.join(places)})" for what, places in problems.items()))
    return schema


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        what = f"the file cannot be read ({error.strerror})"
        raise ValueError(f"{what}: paths begin at the folder of deployments.yaml") from None


def _subschemas(schema: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A schema and every schema in it, each with its place."""
    if not isinstance(schema, dict):
        return
    yield place, schema
    for key in ("items", "not"):
        yield from _subschemas(schema.get(key), f"{place}/{key}")
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, part in enumerate(schema.get(key, [])):
            yield from _subschemas(part, f"{place}/{key}/{number}")
    for key in ("properties", "$defs", "definitions"):
        for name, part in schema.get(key, {}).items():
            yield from _subschemas(part, f"{place}/{key}/{name}")


def _is_strict(schema: Mapping[str, Any]) -> bool:
    properties = schema.get("properties", {})
    if "object" not in _listed(schema.get("type")) and "properties" not in schema:
        return True
    return schema.get("additionalProperties") is False and set(schema.get("required", [])) == set(properties)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_there(schema: Any, reference: str) -> bool:
    """Whether a reference such as `#/$defs/clause` leads to something in this very schema."""
    first, *parts = reference.split("/")
    if first != "#":
        return False
    for part in parts:
        schema = schema.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(schema, dict) else None
    return schema is not None
