"""Which answer schemas are refused and which are warned of: each keyword with its place and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from shared.settings.answer_schema import schema_mistakes, schema_warnings

STRING = {"type": "string"}
LIST = {"type": "array", "items": STRING}


def strict(**properties: Any) -> dict[str, Any]:
    """An object as structured outputs want it."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def nested(levels: int) -> dict[str, Any]:
    """Objects in objects."""
    schema = strict(value=STRING)
    for _ in range(levels - 1):
        schema = strict(inside=schema)
    return schema


@pytest.mark.parametrize(
    ("part", "place", "remedy"),
    [
        ({"oneOf": [STRING, {"type": "number"}]}, "/oneOf", 'write "anyOf" instead'),
        ({"allOf": [STRING]}, "/allOf", "write its parts into one schema"),
        ({**STRING, "not": {"const": ""}}, "/not", "describe it in the prompt instead"),
        ({**STRING, "if": {"const": "a"}}, "/if", "describe it in the prompt instead"),
        ({**STRING, "then": {"const": "a"}}, "/then", "describe it in the prompt instead"),
        ({**STRING, "else": {"const": "a"}}, "/else", "describe it in the prompt instead"),
        ({**strict(a=STRING), "dependentRequired": {"a": ["a"]}}, "/dependentRequired", "in the prompt"),
        ({**strict(a=STRING), "dependentSchemas": {"a": {}}}, "/dependentSchemas", "in the prompt"),
        ({**strict(), "patternProperties": {"^x": STRING}}, "/patternProperties", "name every property"),
        ({**strict(a=STRING), "propertyNames": STRING}, "/propertyNames", "name every property"),
        ({**strict(a=STRING), "minProperties": 1}, "/minProperties", "name every property"),
        ({**strict(), "unevaluatedProperties": False}, "/unevaluatedProperties", "name every property"),
        ({**LIST, "prefixItems": [STRING]}, "/prefixItems", 'one schema in "items"'),
        ({**LIST, "uniqueItems": True}, "/uniqueItems", "in the prompt"),
        ({**LIST, "contains": STRING}, "/contains", "in the prompt"),
        ({"type": "array"}, "", 'such as "items": {"type": "string"}'),
        ({"type": ["array", "null"]}, "", 'such as "items": {"type": "string"}'),
        ({"type": "array", "items": True}, "/items", "true and false are refused as schemas"),
        ({"description": "anything"}, "", 'has no "type": write one, such as "type": "string"'),
        ({}, "", 'has no "type": write one'),
        (True, "", "true and false are refused as schemas"),
        (
            {**STRING, "pattern": "["},
            "/pattern",
            "is no regular expression by which Python can check answers",
        ),
        ({**STRING, "pattern": "\\p{L}+"}, "/pattern", "is no regular expression"),
        ({**STRING, "$id": "https://example.com/a"}, "/$id", "remove it"),
        ({"$dynamicRef": "#a"}, "/$dynamicRef", 'write "$ref" instead'),
    ],
    ids=str,
)
@pytest.mark.parametrize("where", ["properties", "anyOf", "items", "$defs"])
def test_what_no_model_takes_is_reported_with_its_place_and_the_remedy(
    part: Any, place: str, remedy: str, where: str
) -> None:
    """Wherever it stands: every request would be refused after the deployment was paid for."""
    around, path = {
        "properties": (strict(part=part), "#/properties/part"),
        "anyOf": (strict(a={"anyOf": [{"type": "null"}, part]}), "#/properties/a/anyOf/1"),
        "items": (strict(a={"type": "array", "items": part}), "#/properties/a/items"),
        "$defs": ({**strict(a={"$ref": "#/$defs/b"}), "$defs": {"b": part}}, "#/$defs/b"),
    }[where]
    message = "; ".join(schema_mistakes(around))
    assert remedy in message
    assert f"{path}{place}" in message.partition(remedy)[2].partition(";")[0]


@pytest.mark.parametrize(
    "part",
    [
        {"$ref": "#/properties/part"},
        {"anyOf": [{"type": "null"}, {"$ref": "#/properties/part"}]},
        {"$ref": "#/$defs/a"},
    ],
    ids=str,
)
def test_a_schema_that_is_its_own_definition_is_refused(part: dict[str, Any]) -> None:
    """Nothing conforms to it, and holding an answer against it would never end."""
    definitions = {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}
    (message,) = schema_mistakes({**strict(part=part), "$defs": definitions})
    assert message.startswith("a $ref leads to itself without a property or an item in between")
    assert "(at #/" in message


def test_a_choice_at_the_top_is_refused() -> None:
    """An answer is one object."""
    schema = {**strict(a=STRING), "anyOf": [strict(a=STRING)]}
    assert schema_mistakes(schema) == ['"anyOf" is refused at the top: put it into a property (at #/anyOf)']


@pytest.mark.parametrize(
    "schema",
    [
        strict(title=STRING),
        strict(a={"type": ["string", "null"]}, b={"enum": ["x", 1]}, c={"const": "y"}),
        strict(a={"anyOf": [STRING, {"type": "null"}]}, default=STRING, format={"type": "integer"}),
        strict(a={"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
        {**strict(a={"$ref": "#/$defs/b"}), "$defs": {"b": strict(again={"anyOf": [{"$ref": "#"}]})}},
        strict(a={"anyOf": [STRING, {"type": "null"}]}, b={"$ref": "#/properties/a/anyOf/0"}),
        nested(5),
    ],
    ids=str,
)
def test_what_every_model_takes_is_neither_refused_nor_warned_of(schema: dict[str, Any]) -> None:
    """Unions, null, recursion, and properties that are called like keywords."""
    assert schema_mistakes(schema) == []
    assert schema_warnings(schema) == []


def test_what_stands_beside_a_reference_is_warned_of() -> None:
    """Some models refuse it."""
    schema = {**strict(a={"$ref": "#/$defs/b", "description": "the date"}), "$defs": {"b": STRING}}
    assert schema_mistakes(schema) == []
    assert schema_warnings(schema) == [
        'some models refuse "description" beside a $ref: move it to where the $ref leads '
        "(at #/properties/a/description)"
    ]


def test_a_format_that_is_not_checked_is_warned_of() -> None:
    """It is only a word to the model; those that are checked, and all other constraints, are no doubt."""
    schema = strict(a={**STRING, "format": "uri"}, b={**STRING, "format": "date", "minLength": 1})
    assert schema_mistakes(schema) == []
    assert schema_warnings(schema) == [
        'the format "uri" is told to the model, but no answer is checked for it: write a "pattern" for it, '
        "or one of date, date-time, duration, email, hostname, ipv4, ipv6, time, uuid "
        "(at #/properties/a/format)"
    ]


@pytest.mark.parametrize("reference", ["#/components/date", "#/properties", "#/properties/a/default"])
def test_a_reference_to_what_is_no_part_of_the_schema_is_refused(reference: str) -> None:
    """Nothing there would be looked into, or sent without what the service refuses."""
    schema = {**strict(a={**STRING, "default": {}}, b={"$ref": reference}), "components": {"date": STRING}}
    assert schema_mistakes(schema) == [
        'a $ref must lead to a schema: move what it names into "$defs" (at #/properties/b)'
    ]


def test_an_object_that_can_hold_nothing_is_warned_of() -> None:
    """The answer there is always {}."""
    assert schema_mistakes(strict(a=strict())) == []
    assert schema_warnings(strict(a=strict())) == [
        'an object without "properties" is always {} in the answer: name some, or remove it '
        "(at #/properties/a)"
    ]


@pytest.mark.parametrize(
    ("schema", "refused", "what"),
    [
        (nested(6), False, "the schema has 6 levels, and 5 are the most"),
        (nested(13), True, "the schema has 13 levels, and 10 are the most"),
        (strict(**{f"p{n}": STRING for n in range(101)}), False, "has 101 properties, and 100 are"),
        (strict(**{f"p{n}": STRING for n in range(5001)}), True, "has 5,001 properties, and 5,000 are"),
        (strict(a={**STRING, "enum": [f"v{n}" for n in range(501)]}), False, "has 501 enum values"),
        (strict(a={**STRING, "const": "x" * 15_000}), False, "has 15,001 characters of names"),
        ({**strict(a={"$ref": "#/$defs/b"}), "$defs": {"b": nested(5)}}, False, "has 6 levels"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_schema_that_is_too_large_is_reported(schema: dict[str, Any], refused: bool, what: str) -> None:
    """Beyond what Azure documents it is a warning, beyond what any model takes a mistake."""
    (message,) = schema_mistakes(schema) if refused else schema_warnings(schema)
    assert what in message
    assert refused or schema_mistakes(schema) == []


def test_many_places_are_cut_short() -> None:
    """A generated schema repeats its mistake in every part."""
    (message,) = schema_mistakes(strict(**{f"p{n}": {"allOf": [STRING]} for n in range(200)}))
    assert message.endswith("#/properties/p4/allOf and 195 more)")


def test_references_that_branch_are_looked_at_once() -> None:
    """Thirty definitions that name the next one twice have 2^30 paths, which nobody would wait for."""
    definitions: dict[str, Any] = {
        f"d{n}": strict(a={"$ref": f"#/$defs/d{n + 1}"}, b={"$ref": f"#/$defs/d{n + 1}"}) for n in range(30)
    }
    schema = {**strict(a={"$ref": "#/$defs/d0"}), "$defs": {**definitions, "d30": STRING}}
    assert "levels" in " ".join(schema_mistakes(schema))
