"""`task.records` in deployments.yaml: what it becomes, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.model import Column, Records
from tests.unit.settings_file import CLAUSES, changed, config, mistakes_in

_TASK = {"system_prompt": "prompt.md", "max_output_tokens": "2000"}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("review", (Column("review"),)),
        ("{review}", (Column("review"),)),
        ("Title: {the title}\n{ body }!", ("Title: ", Column("the title"), "\n", Column("body"), "!")),
    ],
)
def test_a_text_is_a_column_or_a_template(
    tmp_path: Path, text: str, pieces: tuple[str | Column, ...]
) -> None:
    """Braces make the difference."""
    given = {**_TASK, "records": {"text": text, "keep": ["id"], "id": "id"}, "max_cost_per_file": "5"}
    found = config(tmp_path, task=given).task
    assert (found.records, found.max_cost_per_file) == (Records(pieces, ("id",), "id"), 5.0)


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        ({"records": {}}, "records.text: is missing: write the column that is asked about"),
        ({"records": {"text": ["a"]}}, "records.text: write one value here"),
        ({"records": {"text": ""}}, "records.text: has no value"),
        ({"records": {"text": "{a} {}"}}, "one pair of braces"),
        ({"records": {"text": "{{a}}"}}, "one pair of braces"),
        ({"records": {"text": "a", "keep": ["b", "b"]}}, "keep names a column twice"),
        ({"records": {"text": "a", "columns": "b"}}, "unknown key"),
        (
            {"records": {"text": "a"}, "queries": ["Who?"]},
            "queries does not go with records: it asks several",
        ),
        ({"records": {"text": "a"}, "large": "map_reduce"}, "large: map_reduce does not go with records"),
        ({"records": {"text": "a"}, "max_cost_per_document": "1"}, "max_cost_per_file caps a file of rows"),
        ({"max_cost_per_file": "lots"}, "write a number"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, keys: dict[str, Any], remedy: str) -> None:
    """With the remedy."""
    (found,) = mistakes_in(tmp_path, changed({f"{CLAUSES}.task": {**_TASK, **keys}}))
    assert remedy in found
