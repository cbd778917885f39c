"""The rules of Azure for schemas of strict structured outputs, with messages as in public reports.

Source: the page "Structured outputs" of Azure's documentation. OpenAI's newest models accept more.
"""

from collections.abc import Mapping
from typing import Any

_REFUSED = {
    "every": "allOf oneOf not if then else dependentRequired dependentSchemas dependencies prefixItems "
    "default",
    "string": "minLength maxLength pattern format",
    "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
    "object": "patternProperties unevaluatedProperties propertyNames minProperties maxProperties",
    "array": "unevaluatedItems contains minContains maxContains minItems maxItems uniqueItems",
}
_NOT_PERMITTED = {keyword for keywords in _REFUSED.values() for keyword in keywords.split()}
_MOST_LEVELS = 5
_MOST_PROPERTIES = 100


def refusal_of(schema: Mapping[str, Any]) -> str | None:
    """Return why Azure refuses a valid JSON schema as strict; None if it accepts the schema."""
    if schema.get("type") != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."
    if "anyOf" in schema:
        return "schema must have type 'object' and not have 'anyOf' at the top level."
    properties = 0
    waiting: list[tuple[Any, tuple[str, ...], int]] = [(schema, (), 0)]
    while waiting:
        part, context, levels = waiting.pop()
        wrong = _wrong_with(part)
        if wrong is not None:
            return f"In context={context}, {wrong}"
        levels += "object" in _kinds(part)
        properties += len(part.get("properties", {}))
        if levels > _MOST_LEVELS or properties > _MOST_PROPERTIES:
            return (
                f"Expected at most {_MOST_LEVELS} nesting levels and {_MOST_PROPERTIES} properties in total."
            )
        for keyword in ("properties", "$defs", "definitions"):
            inside = 0 if keyword != "properties" else levels
            for name, inner in part.get(keyword, {}).items():
                waiting.append((inner, (*context, keyword, name), inside))
        for at, branch in enumerate(part.get("anyOf", [])):
            waiting.append((branch, (*context, "anyOf", str(at)), levels))
        if "items" in part:
            waiting.append((part["items"], (*context, "items"), levels))
    return None


def _wrong_with(part: Any) -> str | None:
    if not isinstance(part, dict):
        return "schema must be an object."
    for keyword in part:
        if keyword in _NOT_PERMITTED:
            return f"'{keyword}' is not permitted."
    if not {"type", "$ref", "anyOf", "enum", "const"}.intersection(part):
        return "schema must have a 'type' key."
    if "array" in _kinds(part) and "items" not in part:
        return "array schema missing items."
    if "object" in _kinds(part) or "properties" in part:
        if part.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false."
        if missing := sorted(set(part.get("properties", {})) ^ set(part.get("required", []))):
            return (
                "'required' is required to be supplied and to be an array including every key in properties. "
                f"Missing or extra: '{missing[0]}'."
            )
    return None


def _kinds(part: Mapping[str, Any]) -> list[Any]:
    kind = part.get("type")
    return kind if isinstance(kind, list) else [kind]
