"""Read stored results."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from shared.model import Document

_MANY = 1e12  # more than any document's tokens or dollars


@dataclass(frozen=True)
class Spent:
    """A document's cost when its result was stored: all attempts and runs, including that answer."""

    prompt_tokens: int
    completion_tokens: int
    cost: float


def read_result(document: Document, data: bytes) -> tuple[Spent, Any] | None:
    """Return a stored result's cost and answer; None if it is not of this document and run.

    The content is untrusted.
    """
    try:
        body = json.loads(data)
        whose, spent, answer = body["document"], body["spent"], body["answer"]
        if (whose["id"], whose["run"]) != (document.id, document.run):
            return None
        prompt_tokens, completion_tokens = int(spent["prompt_tokens"]), int(spent["completion_tokens"])
        cost = float(spent["cost"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    if not (0 <= prompt_tokens < _MANY and 0 <= completion_tokens < _MANY and 0 <= cost < _MANY):
        return None
    return Spent(prompt_tokens, completion_tokens, cost), answer
