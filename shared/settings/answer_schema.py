"""Check which JSON schemas Azure accepts for strict structured outputs.

Sources: Azure's page "Structured outputs" (supported types, unsupported type-specific keywords, 5 levels,
100 properties), OpenAI's guide of the same name (`allOf`, `not`, conditions; 10 levels, 5,000 properties),
and the keywords that the openai SDKs refuse before they send a schema. What all of them refuse is a mistake;
limits of Azure's page that newer models exceed are a warning. Constraints are neither: they are sent in words
(shared/json_schema/sent.py), and answers are checked against them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from shared.json_schema.formats import CHECKED_FORMATS
from shared.json_schema.subschemas import subschemas

_ANOTHER_WAY = "describe it in the prompt instead"
_NAME_ALL = 'name every property under "properties"'
_ONE_SCHEMA = 'write one schema in "items"'

REFUSED = {
    "oneOf": 'write "anyOf" instead',
    "allOf": "write its parts into one schema",
    **dict.fromkeys(("not", "if", "then", "else"), _ANOTHER_WAY),
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "dependencies"), _ANOTHER_WAY),
    **dict.fromkeys(("patternProperties", "propertyNames", "unevaluatedProperties"), _NAME_ALL),
    **dict.fromkeys(("minProperties", "maxProperties"), _NAME_ALL),
    **dict.fromkeys(("prefixItems", "additionalItems", "unevaluatedItems"), _ONE_SCHEMA),
    **dict.fromkeys(("contains", "minContains", "maxContains", "uniqueItems"), _ANOTHER_WAY),
    **dict.fromkeys(("$dynamicRef", "$recursiveRef"), 'write "$ref" instead'),
}
"""Keywords that no model accepts, each with its remedy."""

_SAYS_WHAT_IT_IS = frozenset({"type", "$ref", "anyOf", "enum", "const", *REFUSED})
_BESIDE_REFERENCE = frozenset({"$ref", "$defs", "definitions", "$comment"})

_IN_PLACE = ("anyOf", "oneOf", "allOf")

_STRICT = 'structured output needs "additionalProperties": false and every property in "required"'
_PLACES_SHOWN = 5
_AZURE_LIMITS = {"levels": 5, "properties": 100, "enum values": 500, "characters of names": 15_000}
_HIGHEST_LIMITS = {"levels": 10, "properties": 5_000, "enum values": 1_000, "characters of names": 120_000}


def schema_mistakes(schema: Any) -> list[str]:
    """Return what no model accepts, with places and remedy. `schema`: a valid JSON schema of 2020-12."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return ['structured output needs an object: "type": "object" at the top']
    found: dict[str, list[str]] = {}
    if "anyOf" in schema:
        found['"anyOf" is refused at the top: put it into a property'] = ["#/anyOf"]
    parts = [*subschemas(schema)]
    looked_into = {id(part) for _, part in parts}
    for place, part in parts:
        for what, where in (*_mistakes_of(part, place), *_wrong_reference(part, place, schema, looked_into)):
            found.setdefault(what, []).append(where)
    if loop := _reference_to_itself(schema):
        found["a $ref leads to itself without a property or an item in between: name a type there"] = [loop]
    mistakes = [_with_places(mistake, places) for mistake, places in found.items()]
    return mistakes + [f"{excess}: make it smaller" for excess in _beyond(schema, _HIGHEST_LIMITS)]


def schema_warnings(schema: Mapping[str, Any]) -> list[str]:
    """Return what some models refuse, is not checked, or not intended. `schema`: one without mistakes."""
    found: dict[str, list[str]] = {}
    for place, part in subschemas(schema):
        for what, where in _doubts_of(part, place):
            found.setdefault(what, []).append(where)
    warnings = [_with_places(warning, places) for warning, places in found.items()]
    return warnings + [
        f"{excess} by Azure, while some newer models take more: make it smaller, or try it with one document"
        for excess in _beyond(schema, _AZURE_LIMITS)
    ]


def _with_places(what: str, places: list[str]) -> str:
    more = f" and {len(places) - _PLACES_SHOWN} more" if len(places) > _PLACES_SHOWN else ""
    return f"{what} (at {', '.join(places[:_PLACES_SHOWN])}{more})"


def _mistakes_of(part: Any, place: str) -> Iterator[tuple[str, str]]:
    if not isinstance(part, dict):
        yield f"true and false are refused as schemas: {_name_a_type()}", place
        return
    for keyword in part:
        if keyword in REFUSED:
            yield f'"{keyword}" is refused by structured outputs: {REFUSED[keyword]}', f"{place}/{keyword}"
    if "pattern" in part and not _is_expression(part["pattern"]):
        yield (
            "is no regular expression by which Python can check answers: correct it, or remove it",
            f"{place}/pattern",
        )
    if "$id" in part and place != "#":
        yield '"$id" inside of a schema changes where each $ref leads: remove it', f"{place}/$id"
    if not _is_strict(part):
        yield _STRICT, place
    if not _SAYS_WHAT_IT_IS.intersection(part):
        yield f'has no "type": {_name_a_type()}', place
    if "array" in _listed(part.get("type")) and "items" not in part:
        yield 'an array without "items": write what it holds, such as "items": {"type": "string"}', place


def _wrong_reference(
    part: Any, place: str, root: Mapping[str, Any], looked_into: Set[int]
) -> Iterator[tuple[str, str]]:
    """Yield a mistake if a $ref leads nowhere, or to what is neither looked into nor sent stripped."""
    if not isinstance(part, dict) or "$ref" not in part:
        return
    target = _target(root, part["$ref"])
    if target is None:
        yield "a $ref must name a place in the same file", place
    elif id(target) not in looked_into:
        yield 'a $ref must lead to a schema: move what it names into "$defs"', place


def _is_expression(pattern: str) -> bool:
    """Return whether Python accepts a pattern: answers are checked by its rules, not quite JSON schema's."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _name_a_type() -> str:
    return 'write one, such as "type": "string"'


def _doubts_of(part: Any, place: str) -> Iterator[tuple[str, str]]:
    if not isinstance(part, dict):
        return
    if (form := part.get("format")) is not None and form not in CHECKED_FORMATS:
        what = (
            f'the format "{form}" is told to the model, but no answer is checked for it: write a "pattern" '
            f"for it, or one of {', '.join(CHECKED_FORMATS)}"
        )
        yield what, f"{place}/format"
    if "$ref" in part and (beside := [name for name in part if name not in _BESIDE_REFERENCE]):
        what = f'some models refuse "{beside[0]}" beside a $ref: move it to where the $ref leads'
        yield what, f"{place}/{beside[0]}"
    if "object" in _listed(part.get("type")) and not part.get("properties"):
        yield 'an object without "properties" is always {} in the answer: name some, or remove it', place


def _is_strict(schema: Mapping[str, Any]) -> bool:
    properties = schema.get("properties", {})
    if "object" not in _listed(schema.get("type")) and "properties" not in schema:
        return True
    return schema.get("additionalProperties") is False and set(schema.get("required", [])) == set(properties)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _target(root: Any, reference: str) -> Any:
    """Return the target of a reference such as `#/$defs/clause` in this schema; None if it has none."""
    first, *parts = reference.split("/")
    found = root if first == "#" else None
    for part in parts:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = dict(zip(map(str, range(len(found))), found, strict=True)).get(name)
        else:
            found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict | bool) else None


def _reference_to_itself(root: Mapping[str, Any]) -> str | None:
    """Return the place of a schema that is its own definition, so that checking never ends; else None."""
    done: set[int] = set()

    def visit(part: Any, above: frozenset[int]) -> bool:
        if not isinstance(part, dict) or id(part) in done:
            return False
        if id(part) in above:
            return True
        inside = above | {id(part)}
        parts = [subschema for key in _IN_PLACE for subschema in _listed(part.get(key, []))]
        if "$ref" in part:
            parts.append(_target(root, part["$ref"]))
        loops = any(visit(subschema, inside) for subschema in parts)
        done.add(id(part))
        return loops

    return next((place for place, part in subschemas(root) if visit(part, frozenset())), None)


def _beyond(schema: Mapping[str, Any], limits: Mapping[str, int]) -> list[str]:
    sizes = dict.fromkeys(limits, 0)
    for _, part in subschemas(schema):
        if not isinstance(part, dict):
            continue
        names = [str(name) for key in ("properties", "$defs", "definitions") for name in part.get(key, {})]
        values = [*part.get("enum", []), *([part["const"]] if "const" in part else [])]
        sizes["properties"] += len(part.get("properties", {}))
        sizes["enum values"] += len(part.get("enum", []))
        sizes["characters of names"] += sum(map(len, names)) + sum(len(str(value)) for value in values)
    sizes["levels"] = _levels(schema, schema, {})
    return [
        f"the schema has {size:,} {what}, and {limits[what]:,} are the most that is taken"
        for what, size in sizes.items()
        if size > limits[what]
    ]


def _levels(part: Any, root: Mapping[str, Any], known: dict[int, int]) -> int:
    """Return the depth of nested objects; a recursion counts once."""
    if not isinstance(part, dict):
        return 0
    if id(part) in known:
        return known[id(part)]
    known[id(part)] = 0  # while it is being counted
    inside = [*_listed(part.get("anyOf", [])), *part.get("properties", {}).values(), part.get("items")]
    if "$ref" in part:
        inside.append(_target(root, part["$ref"]))
    deepest = max((_levels(subschema, root, known) for subschema in inside), default=0)
    known[id(part)] = deepest + ("object" in _listed(part.get("type")))
    return known[id(part)]
