"""The answer schema as it is sent: what fine-tuned models refuse stands in words in its descriptions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from local.emulator.schema_rules import refusal_of
from local.emulator.structured import conforming_value
from shared.json_schema.sent import as_sent
from tests.unit.test_answer_schema import strict


def test_constraints_are_sent_in_words() -> None:
    """In the part that they constrain, behind its own description; the checked schema stays as it is."""
    name = {"type": "string", "description": "The party", "minLength": 1, "maxLength": 80, "pattern": "^A.*"}
    exact = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1.5, "multipleOf": 0.5}
    risk = {"type": ["integer", "null"], "minimum": 1, "maximum": 5, "default": None}
    dates = {"type": "array", "items": {"$ref": "#/$defs/date"}, "minItems": 1, "maxItems": 10}
    date = {"type": "string", "description": "As signed.", "format": "date", "default": "2026-12-01"}
    schema = {**strict(name=name, either={"anyOf": [exact, risk]}, dates=dates), "$defs": {"date": date}}
    sent = as_sent(schema)
    assert sent["properties"] == {
        "name": {
            "type": "string",
            "description": "The party. At least 1 character. At most 80 characters. "
            "Matches the pattern `^A.*`.",
        },
        "either": {
            "anyOf": [
                {"type": "number", "description": "Above 0. Below 1.5. A multiple of 0.5."},
                {"type": ["integer", "null"], "description": "From 1. Up to 5. Default: null."},
            ]
        },
        "dates": {
            "type": "array",
            "items": {"$ref": "#/$defs/date"},
            "description": "At least 1 item. At most 10 items.",
        },
    }
    said = 'As signed. Format: date. Default: "2026-12-01".'
    assert sent["$defs"] == {"date": {"type": "string", "description": said}}
    assert schema["properties"]["name"] is name and schema["$defs"]["date"]["format"] == "date"


def test_what_only_looks_like_a_constraint_is_sent_as_it_is() -> None:
    """Properties that are called like keywords, and values."""
    values = {"enum": [{"format": "date"}], "const": {"pattern": "^A"}, "description": "minLength: 3"}
    schema = strict(pattern={"type": "string"}, format=values, default=strict(minLength={"type": "null"}))
    assert as_sent(schema) == schema


def subsets(type_: str, **keywords: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A schema of a type with some of these keywords."""
    return st.fixed_dictionaries(
        {"type": st.just(type_)}, optional={k: st.just(v) for k, v in keywords.items()}
    )


LIMITS = {"minimum": 2, "maximum": 30, "exclusiveMinimum": 0, "exclusiveMaximum": 31, "multipleOf": 2}
LEAVES = st.one_of(
    subsets("string", minLength=2, maxLength=40, pattern="o", description="a word", default="x"),
    subsets("string", format="date", default=None),
    subsets("integer", **LIMITS),
    subsets("number", **LIMITS),
)
NAMES = st.sampled_from(["pattern", "format", "default", "description", "a"])


def around(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Lists, choices and objects of these."""
    lists = subsets("array", minItems=1, maxItems=3)
    return st.one_of(
        st.builds(lambda outer, inner: {**outer, "items": inner}, lists, parts),
        st.builds(lambda *branches: {"anyOf": [*branches], "default": 1}, parts, parts),
        st.dictionaries(NAMES, parts, max_size=3).map(lambda named: strict(**named)),
    )


@given(st.recursive(LEAVES, around, max_leaves=5), st.recursive(LEAVES, around, max_leaves=3))
def test_every_schema_is_taken_and_asks_for_no_more_than_the_full_one(
    part: dict[str, Any], definition: dict[str, Any]
) -> None:
    """By the emulator's rules, which are Azure's; what conforms to the full schema conforms to the sent."""
    schema = {**strict(a=part, b={"$ref": "#/$defs/c"}), "$defs": {"c": definition}}
    assert refusal_of(as_sent(schema)) is None
    value = conforming_value(schema, "no one of you took our one boot")
    assert Draft202012Validator(as_sent(schema)).is_valid(value)
