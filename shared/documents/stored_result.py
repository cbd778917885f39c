"""Stored results, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from shared.model import Document

_MANY = 1e12  # neither tokens nor dollars of one document


@dataclass(frozen=True)
class Spent:
    """What a document had cost when its result was stored: all attempts and runs, that answer included."""

    prompt_tokens: int
    completion_tokens: int
    cost: float


def read_result(document: Document, data: bytes) -> tuple[Spent, Any] | None:
    """What a stored result cost, and its answer; None if it is not one of this document and run.

    Contents are untrusted.
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
