"""Read the files that a task names: its prompt, and the JSON schema of its answers.

Both are read while deployments.yaml is validated, so that their mistakes are reported with all others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, SchemaError

from shared.settings.answer_schema import schema_mistakes
from shared.settings.text import TooLarge, read_text


def read_prompt(path: Path) -> str:
    """Read a system prompt. Raises ValueError with the remedy."""
    text = _read(path)
    if not text.strip():
        raise ValueError("the file is empty: write what to ask")
    return text


def read_schema(path: Path) -> Mapping[str, Any]:
    """Read a JSON schema for strict structured output. Raises ValueError with the remedy."""
    try:
        schema = json.loads(_read(path))
        Draft202012Validator.check_schema(schema)
        mistakes = schema_mistakes(schema)
    except json.JSONDecodeError as error:
        raise ValueError(f"the file is not JSON: {error}") from None
    except SchemaError as error:
        raise ValueError(_not_a_schema(error)) from None
    except RecursionError:
        raise ValueError("the file is nested too deeply") from None
    if mistakes:
        raise ValueError("; ".join(mistakes))
    checked: Mapping[str, Any] = schema
    return checked


def _not_a_schema(error: SchemaError) -> str:
    place = "/".join(["#", *map(str, error.absolute_path)])
    what = error.message[:200]
    if place.endswith("/type") and isinstance(error.instance, str):
        types = "string, number, integer, boolean, object, array, null"
        what = f"{error.instance[:40]!r} is no type, write one of {types}"
    return f"the file is not a JSON schema (at {place}): {what}"


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except TooLarge as error:
        raise ValueError(f"the file {error}") from None
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text: save it as UTF-8") from None
    except OSError as error:
        what = f"the file cannot be read ({error.strerror})"
        raise ValueError(f"{what}: paths begin at the folder of deployments.yaml") from None
