"""Requests to the model, and its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelRequest:
    """One request to the model."""

    system_prompt: str
    text: str
    max_output_tokens: int
    response_schema: Mapping[str, Any] | None = None


TINY = ModelRequest(system_prompt="Answer with one word.", text="ready?", max_output_tokens=16)
"""The cheapest request that shows whether a deployment answers."""


@dataclass(frozen=True)
class ModelAnswer:
    """An answer of the model. It is untrusted."""

    text: str
    finish_reason: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    # from the response's rate limit headers
    limit_tokens: int | None = None
    limit_requests: int | None = None
    remaining_tokens: int | None = None
