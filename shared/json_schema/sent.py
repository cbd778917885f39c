"""Build the schema that is sent: fine-tuned models refuse constraints, so it has them in words.

Source: Azure's page "Structured outputs", unsupported type-specific keywords; `default` is refused in the
same way ("'default' is not permitted"). The service guarantees the sent schema only: each answer must be
checked against the full one.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from shared.json_schema.subschemas import subschemas

_IN_WORDS = {
    "minLength": "At least {value} character{s}.",
    "maxLength": "At most {value} character{s}.",
    "pattern": "Matches the pattern `{value}`.",
    "format": "Format: {value}.",
    "minItems": "At least {value} item{s}.",
    "maxItems": "At most {value} item{s}.",
    "minimum": "From {value}.",
    "maximum": "Up to {value}.",
    "exclusiveMinimum": "Above {value}.",
    "exclusiveMaximum": "Below {value}.",
    "multipleOf": "A multiple of {value}.",
    "default": "Default: {value}.",
}
_AS_WRITTEN = ("pattern", "format")  # their values are strings, shown without quotes


def as_sent(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which each part's constraints are sentences at the end of its description.

    What conforms to the schema conforms to the copy.
    """
    sent = copy.deepcopy(dict(schema))
    for _, part in subschemas(sent):
        if isinstance(part, dict) and (sentences := [*_taken_out(part)]):
            part["description"] = " ".join([*_ended(part.get("description", "")), *sentences])
    return sent


def _taken_out(part: dict[str, Any]) -> Iterator[str]:
    """Remove the constraints of a part, and yield each in words."""
    for keyword, words in _IN_WORDS.items():
        if keyword in part:
            value = part.pop(keyword)
            shown = value if keyword in _AS_WRITTEN else json.dumps(value, ensure_ascii=False)
            yield words.format(value=shown, s="" if value == 1 else "s")


def _ended(description: str) -> list[str]:
    """Return a description as a list of its text, with a full stop if it has no end; [] if it is empty."""
    text = description.rstrip()
    return [text if text[-1] in ".!?:;。" else f"{text}."] if text else []
