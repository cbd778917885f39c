"""Answers: deterministic, of the length allowed, and conforming to a schema where one is given."""

import functools
import json

import jsonschema
import pytest

from local.emulator.answers import Answer, InvalidRequest, answer, parse
from local.emulator.structured import Unanswerable, conforming_value
from local.emulator.tokens import PER_MESSAGE, PER_REPLY, count


def request(text: str, **fields):
    return parse(
        {"messages": [{"role": "system", "content": "Sum up."}, {"role": "user", "content": text}], **fields}
    )


CONTRACT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["parties", "signed", "value", "risk", "kind", "clauses", "note"],
    "properties": {
        "parties": {"type": "array", "minItems": 2, "maxItems": 4, "items": {"$ref": "#/$defs/party"}},
        "signed": {"type": "string", "format": "date"},
        "value": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "risk": {"type": "integer", "minimum": 1, "maximum": 5},
        "kind": {"enum": ["lease", "sale", "service"]},
        "clauses": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "note": {"type": ["string", "null"], "maxLength": 20},
        "version": {"const": 2},
    },
    "$defs": {
        "party": {
            "type": "object",
            "required": ["name", "email"],
            "properties": {
                "name": {"type": "string", "minLength": 30},
                "email": {"type": "string", "format": "email"},
                "parent": {"anyOf": [{"$ref": "#/$defs/party"}, {"type": "null"}]},
            },
        }
    },
}


@pytest.mark.parametrize("text", ["", "one", "a longer document of ten words or so, in one line", "ü" * 500])
def test_structured_answers_conform_to_their_schema(text):
    """Types, bounds, formats, enum, const, required, arrays, references and unions, whatever the document."""
    value = json.loads(answer(request(text, response_format=json_schema(CONTRACT))).content)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.validate(value, CONTRACT, jsonschema.Draft202012Validator, format_checker=checker)


def json_schema(schema: dict) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
        {"type": "integer", "maximum": -7, "multipleOf": 5},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5},
        {"type": "number", "minimum": 3, "maximum": 3},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
        {"type": "array", "maxItems": 0},
        {"prefixItems": [{"type": "integer"}, {"type": "null"}], "items": False, "type": "array"},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        {
            "allOf": [{"$ref": "#/$defs/named"}, {"properties": {"b": {"type": "null"}}, "required": ["b"]}],
            "$defs": {"named": {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}},
        },
        {"required": ["next"], "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
        {"type": "string", "minLength": 300},
        *({"type": "string", "format": form} for form in ("date-time", "time", "uuid", "ipv4", "uri")),
    ],
)
def test_a_value_is_found_at_the_edges_of_what_schemas_say(schema):
    """Each conforms for twenty different texts; conforming_value checks its own result by jsonschema."""
    for at in range(20):
        jsonschema.validate(conforming_value(schema, f"document number {at}"), schema)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string", "pattern": "^[0-9]{4}$"}, "'pattern' at [$] is not met"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "no number lies within"),
        ({"$ref": "https://example.com/schema.json"}, "leads out of the schema"),
        ({"$ref": "#/$defs/nothing"}, "has no target"),
        ({"$ref": "#"}, "never ends"),
        ({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}, "never ends"),
    ],
)
def test_a_schema_without_an_answer_is_refused_with_the_reason(schema, reason):
    """An answer that does not conform is never given."""
    with pytest.raises(Unanswerable, match=reason):
        conforming_value(schema, "a document")
    with pytest.raises(InvalidRequest, match="has no answer for the schema"):
        answer(request("a document", response_format=json_schema(schema)))


OBJECT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["a"],
    "properties": {"a": {"type": "string"}},
}


@pytest.mark.parametrize(
    ("part", "refused"),
    [
        ({"allOf": [{"type": "string"}]}, "In context=('properties', 'a'), 'allOf' is not permitted."),
        ({"oneOf": [{"type": "string"}]}, "In context=('properties', 'a'), 'oneOf' is not permitted."),
        ({"type": "string", "format": "date"}, "In context=('properties', 'a'), 'format' is not permitted."),
        ({"type": "number", "minimum": 0}, "In context=('properties', 'a'), 'minimum' is not permitted."),
        ({"type": "string", "default": ""}, "In context=('properties', 'a'), 'default' is not permitted."),
        (
            {"anyOf": [{"type": "null"}, {"type": "array", "items": {"not": {}}}]},
            "In context=('properties', 'a', 'anyOf', '1', 'items'), 'not' is not permitted.",
        ),
        ({"type": "array"}, "array schema missing items."),
        ({"description": "anything"}, "schema must have a 'type' key."),
        ({"type": "object", "properties": {}}, "'additionalProperties' is required to be supplied"),
        ({**OBJECT, "required": []}, "'required' is required to be supplied"),
        ({"type": "array", "items": True}, "schema must be an object."),
        (
            functools.reduce(lambda inner, _: {**OBJECT, "properties": {"a": inner}}, range(5), OBJECT),
            "Expected at most 5 nesting levels",
        ),
    ],
)
def test_a_strict_schema_is_refused_as_azure_does_and_a_loose_one_is_not(part, refused):
    """Azure checks what it is to guarantee; without strict, it guarantees nothing."""
    asked = json_schema({**OBJECT, "properties": {"a": part}})
    assert json.loads(answer(request("a document", response_format=asked)).content)
    asked["json_schema"]["strict"] = True
    with pytest.raises(InvalidRequest, match="Invalid schema for response_format 'answer'") as raised:
        answer(request("a document", response_format=asked))
    assert refused in raised.value.message


@pytest.mark.parametrize("at_the_top", [{"type": "array"}, {**OBJECT, "anyOf": [OBJECT]}])
def test_the_top_of_a_strict_schema_is_an_object_without_a_choice(at_the_top):
    """Azure's rule for the root."""
    asked = {"name": "answer", "strict": True, "schema": at_the_top}
    with pytest.raises(InvalidRequest, match="Invalid schema"):
        answer(request("x", response_format={"type": "json_schema", "json_schema": asked}))


def test_an_invalid_schema_is_an_invalid_request():
    """The message is the validator's, the parameter the response format."""
    with pytest.raises(InvalidRequest, match="Invalid schema") as refused:
        answer(request("a document", response_format=json_schema({"type": "text"})))
    assert refused.value.param == "response_format.json_schema"


def test_answers_are_the_same_for_the_same_request_and_differ_for_another():
    """So a run can be repeated, and a result distinguished from another document's."""
    for extra in ({}, {"response_format": json_schema(CONTRACT)}):
        assert answer(request("first", **extra)) == answer(request("first", **extra))
        assert answer(request("first", **extra)) != answer(request("second", **extra))


def test_a_plain_answer_begins_with_the_documents_words_and_counts_them():
    """Twelve words, the number of words, and a digest."""
    text = " ".join(f"word{at}" for at in range(30))
    assert answer(request(text)).content.startswith(f"{' '.join(text.split()[:12])} (30 words, digest ")
    assert json.loads(answer(request(text, response_format={"type": "json_object"})).content)["answer"]


def test_an_answer_above_max_tokens_is_cut_and_says_so():
    """At a token of its own; a character of several tokens is not cut in two."""
    whole = answer(request("ü" * 40))
    assert (whole.finish_reason, whole.tokens) == ("stop", count(whole.content))
    assert answer(request("one two", max_tokens=1)) == Answer("one", "length", 1)
    assert answer(request("𓀀", max_tokens=1)) == Answer("", "length", 1)
    assert answer(request("ü" * 40, max_completion_tokens=whole.tokens)) == whole


def test_the_estimate_is_the_prompt_and_all_that_may_be_answered():
    """Prompt tokens come from the text of all messages, parts included; n answers count n times."""
    asked = parse(
        {
            "messages": [
                {"role": "system", "content": "1234567"},
                {"role": "user", "content": [{"type": "text", "text": "12345678"}, {"type": "image_url"}]},
            ],
            "max_tokens": 100,
            "n": 2,
        }
    )
    prompt = count("1234567\n12345678") + 2 * PER_MESSAGE + PER_REPLY
    assert (asked.prompt_tokens, asked.estimated_tokens) == (prompt, prompt + 200)
    assert asked.document == "12345678"


def test_tokens_are_counted_as_the_models_count_them():
    """A special token is plain text; half of a surrogate pair, which JSON can carry, is one character."""
    known = {"": 0, "hello world": 2, "a" * 16: 2, "漢字かな交じり文": 7, "<|endoftext|>": 7, "\ud800": 1}
    assert {text: count(text) for text in known} == known


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hello"]}, "messages"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "user", "content": "x"}], "max_tokens": True}, "max_tokens"),
        ({"messages": [{"role": "user", "content": "x"}], "response_format": "json"}, "response_format"),
        ({"messages": [{"role": "user", "content": "x"}], "stream": True}, "stream"),
    ],
)
def test_a_malformed_request_names_its_parameter(body, param):
    """As OpenAI's errors do."""
    with pytest.raises(InvalidRequest) as refused:
        parse(body)
    assert refused.value.param == param
