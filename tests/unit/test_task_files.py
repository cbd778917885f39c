"""The files that a task of deployments.yaml names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.settings_file import CLAUSES, FILE, SCHEMA, config, the_one


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (None, "the file cannot be read (No such file or directory)"),
        (b"", "the file is empty: write what to ask"),
        (b" \n\t", "the file is empty: write what to ask"),
        (b"Pr\xfcfe", "the file is not UTF-8 text: save it as UTF-8"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_reported(tmp_path: Path, content: bytes | None, remedy: str) -> None:
    """Missing, empty, in an old encoding."""
    if content is not None:
        (tmp_path / "other.md").write_bytes(content)
    problem = the_one(tmp_path, f"{CLAUSES}.task.system_prompt", "other.md")
    assert problem.startswith(f"{CLAUSES}.task.system_prompt: {remedy}")
    assert problem.endswith("(found: other.md)")


def test_a_prompt_that_is_a_folder_is_reported(tmp_path: Path) -> None:
    """The operating system's own word for it is in the message."""
    assert "the file cannot be read (" in the_one(tmp_path, f"{CLAUSES}.task.system_prompt", ".")


@pytest.mark.parametrize("name", ["/etc/hostname", r"C:\tasks\prompt.md"])
def test_a_file_of_this_machine_is_refused(tmp_path: Path, name: str) -> None:
    """Azure has only what is sent with the app, or is in the container."""
    for key in ("system_prompt", "response_schema"):
        problem = the_one(tmp_path, f"{CLAUSES}.task.{key}", name)
        assert problem.startswith(f"{CLAUSES}.task.{key}: is a path of this machine")
        assert problem.endswith(f"(found: {name})")


def schema_problem(folder: Path, schema: Any) -> str:
    """What is said about a schema; bytes are written as they are."""
    data = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    (folder / "schema.json").write_bytes(data)
    return the_one(folder, f"{CLAUSES}.task.response_schema", "schema.json")


def test_a_strict_schema_is_taken(tmp_path: Path) -> None:
    """With nested objects, nullable ones, definitions, and properties that are called like keywords."""
    schema = {
        **SCHEMA,
        "required": ["title", "properties", "enum", "clauses"],
        "properties": {
            "title": {"type": "string", "enum": ["a", "b"]},
            "properties": {"type": "string"},
            "enum": {"type": "integer"},
            "clauses": {"type": "array", "items": {"$ref": "#/$defs/clause"}},
        },
        "$defs": {"clause": {**SCHEMA, "type": ["object", "null"]}},
    }
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    task = {**FILE["deployments"]["clauses"]["task"], "response_schema": "schema.json"}
    assert config(tmp_path, task=task).task.response_schema == schema


@pytest.mark.parametrize(
    ("schema", "remedy"),
    [
        (b"", "the file is not JSON"),
        (b"{", "the file is not JSON"),
        (b"[" * 100_000, "the file is nested too deeply"),
        (b"\xff\xfe", "the file is not UTF-8 text"),
        ({"type": "objekt"}, "the file is not a JSON schema (at #/type): 'objekt' is no type, write one of "),
        (
            {"type": "object", "properties": {"a": {"required": "a"}}},
            "the file is not a JSON schema (at #/properties/a/required): 'a' is not of type 'array'",
        ),
        ([], "the file is not a JSON schema"),
        (True, 'structured output needs an object: "type": "object" at the top'),
        ({"type": "array", "items": {"type": "string"}}, "structured output needs an object"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_schema_that_is_none_is_reported(tmp_path: Path, schema: Any, remedy: str) -> None:
    """Not JSON, not a schema, or not one of an object, which is all that structured output can be."""
    problem = schema_problem(tmp_path, schema)
    assert problem.startswith(f"{CLAUSES}.task.response_schema: {remedy}")
    assert problem.endswith("(found: schema.json)")


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"type": "object", "properties": {}}, "#/properties/part"),
        ({"type": ["object", "null"]}, "#/properties/part"),
        ({**SCHEMA, "additionalProperties": True}, "#/properties/part"),
        ({**SCHEMA, "required": ["title", "other"]}, "#/properties/part"),
        ({"properties": {}}, "#/properties/part"),
        ({"$defs": {"clause": {"type": "object"}}}, "#/properties/part/$defs/clause"),
        ({"definitions": {"clause": {"type": "object"}}}, "#/properties/part/definitions/clause"),
        ({"oneOf": [{"allOf": [{"type": "object"}]}]}, "#/properties/part/oneOf/0/allOf/0"),
        ({"prefixItems": [{"not": {"type": "object"}}]}, "#/properties/part/prefixItems/0/not"),
        ({"type": "array", "items": {"type": "object"}}, "#/properties/part/items"),
        ({"anyOf": [{"type": "null"}, {**SCHEMA, "required": []}]}, "#/properties/part/anyOf/1"),
    ],
)
def test_a_schema_that_is_not_strict_is_reported_with_its_place(
    tmp_path: Path, part: dict[str, Any], place: str
) -> None:
    """Azure would refuse every request, after the deployment was paid for."""
    schema = {**SCHEMA, "required": ["part"], "properties": {"part": part}}
    problem = schema_problem(tmp_path, schema)
    assert 'structured output needs "additionalProperties": false and every property in "required"' in problem
    assert f"(at {place})" in problem


@pytest.mark.parametrize("name", ["properties", "required", "default", "enum", "const"])
def test_properties_that_are_called_like_keywords_are_looked_into(tmp_path: Path, name: str) -> None:
    """A loose object does not escape by the name of its property."""
    schema = {**SCHEMA, "required": [name], "properties": {name: {"type": "object"}}}
    assert f"(at #/properties/{name})" in schema_problem(tmp_path, schema)


@pytest.mark.parametrize("reference", ["#/$defs/nothing", "https://example.com/schema.json", "other.json"])
def test_a_reference_to_nothing_is_reported(tmp_path: Path, reference: str) -> None:
    """Nothing is fetched to validate an answer."""
    schema = {**SCHEMA, "properties": {"title": {"$ref": reference}}}
    assert "a $ref must name a place in the same file (at #/properties/title)" in schema_problem(
        tmp_path, schema
    )
