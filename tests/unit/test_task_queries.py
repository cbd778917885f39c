"""Queries, large documents and evidence in deployments.yaml: what they become, and what cannot be meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.model import Large, Slot, Template
from tests.unit.settings_file import CLAUSES, GONE, changed, config, loaded, mistakes_in, the_one

QUOTED = {
    "type": "object",
    "additionalProperties": False,
    "required": ["clauses"],
    "properties": {
        "clauses": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "quote"],
                "properties": {"name": {"type": "string"}, "quote": {"type": "string"}},
            },
        }
    },
}
QUERIES = ["Who pays?", "When?"]


def task(folder: Path, **keys: Any) -> dict[str, Any]:
    """Return a task with these keys, beside the schema that it may name."""
    (folder / "schema.json").write_text(json.dumps(QUOTED))
    return {"system_prompt": "prompt.md", "max_output_tokens": "2000", **keys}


def test_a_task_with_all_of_it(tmp_path: Path) -> None:
    """The query stands below the document; quotes may be named at any depth of the schema."""
    given = task(
        tmp_path,
        queries=QUERIES,
        large="retrieve",
        context_tokens="128000",
        not_found="Not stated.",
        response_schema="schema.json",
        evidence={"quotes": ["quote"], "require": "true"},
    )
    found = config(tmp_path, task=given).task
    assert found.messages[-1] == Template("user", (Slot.DOCUMENT, "\n\n", Slot.QUERY))
    assert (found.queries, found.together, found.large) == (tuple(QUERIES), False, Large.RETRIEVE)
    assert (found.context_tokens, found.not_found) == (128_000, "Not stated.")
    assert (found.quotes, found.require_quotes) == (("quote",), True)


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        ({"large": "retrieve"}, "looks for passages by queries: write queries, or map_reduce"),
        ({"large": "retrieve", "queries": QUERIES}, "needs not_found: the answer that says that nothing"),
        (
            {"large": "retrieve", "queries": QUERIES, "not_found": "no", "ask": "together"},
            "asks each query by itself: remove ask: together",
        ),
        ({"ask": "together"}, "no meaning without queries: write queries, or remove it"),
        ({"queries": [*QUERIES, "When?"]}, "has one twice, which would be asked and paid twice: remove it"),
        ({"queries": [" "]}, "has no value: write one, or remove the key"),
        ({"large": "search"}, "write one of whole, map_reduce, retrieve"),
        ({"context_tokens": "2000"}, "must be above max_output_tokens: write the model's context size"),
        (
            {"evidence": {"quotes": ["quote"]}},
            "names fields of an answer with a schema: write response_schema",
        ),
        (
            {"evidence": {"quotes": ["quotes"]}, "response_schema": "schema.json"},
            "has 'quotes', and the schema has no such property: write one of clauses, name, quote",
        ),
        ({"evidence": {"require": "true"}}, "quotes: is missing: write the fields of the answer that quote"),
        ({"evidence": {"quotes": []}, "response_schema": "schema.json"}, "write at least one"),
        (
            {"evidence": {"quotes": ["quote"], "requires": "true"}, "response_schema": "schema.json"},
            "did you mean 'require'?",
        ),
    ],
)
def test_what_cannot_be_meant_is_reported(tmp_path: Path, keys: dict[str, Any], remedy: str) -> None:
    """Each with what to write."""
    assert remedy in the_one(tmp_path, f"{CLAUSES}.task", task(tmp_path, **keys))


EMBEDDED = {
    "large": "retrieve",
    "queries": QUERIES,
    "not_found": "no",
    "embeddings": "text-embedding-3-small",
}
PRICE = "prices.tokens_per_million.embeddings"


def test_passages_may_be_ranked_by_embeddings(tmp_path: Path) -> None:
    """By a deployment that stands on the account, at its price."""
    text = changed({f"{CLAUSES}.task": task(tmp_path, **EMBEDDED), PRICE: "0.02"})
    settings = loaded(tmp_path, text)
    assert settings.deployments["clauses"].task.embeddings == "text-embedding-3-small"
    assert settings.prices.embeddings_per_million == 0.02


@pytest.mark.parametrize(
    ("keys", "price", "place", "remedy"),
    [
        ({}, GONE, PRICE, "is missing, and clauses uses embeddings: write the price of a million tokens"),
        ({"large": "map_reduce"}, "0.02", "embeddings", "ranks the passages of large: retrieve: write that"),
        ({"embeddings": "Clauses"}, "0.02", "embeddings", "is a deployment of this file, which does not"),
        ({"embeddings": "a b"}, "0.02", "embeddings", "use letters, digits"),
    ],
)
def test_embeddings_that_cannot_be_meant_are_reported(
    tmp_path: Path, keys: dict[str, Any], price: Any, place: str, remedy: str
) -> None:
    """Each with what to write."""
    changes = {f"{CLAUSES}.task": task(tmp_path, **{**EMBEDDED, **keys})}
    if price is not GONE:
        changes[PRICE] = price
    (problem,) = mistakes_in(tmp_path, changed(changes))
    assert problem.startswith(place if place == PRICE else f"{CLAUSES}.task.{place}") and remedy in problem
