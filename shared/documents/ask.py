"""Build the request for a text and check its cost, so that nothing is deployed for an impossible request."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from shared.documents import token_estimate
from shared.errors import DocumentRefused
from shared.model import DeploymentConfig, ModelAnswer, ModelRequest, Prices, Task
from shared.money.cost import token_cost

_PER_REQUEST = 11  # tokens around the two messages and before the reply
# No supported encoding needs more than twice the bytes of UTF-8: UTF-16 has two for an ASCII letter.
_FILE_BYTES_PER_BYTE = 2
_MARK = 3  # bytes of the longest byte order mark


@dataclass(frozen=True)
class Question:
    """A request and the estimate of its prompt, in tokens."""

    request: ModelRequest
    prompt_tokens: int


def question(text: str, config: DeploymentConfig, prices: Prices, *, spent: float = 0.0) -> Question:
    """Build the request for a document. `spent`: its cost so far, in the currency of the prices.

    Raises DocumentRefused if the deployment as configured could never admit it, or if it would exceed
    max_cost_per_document.
    """
    task = config.task
    estimate = token_estimate.estimate(text) + _of_prompt(task.system_prompt)
    refuse_more_than_admitted(estimate + task.max_output_tokens, config)
    cap, cost = task.max_cost_per_document, spent + token_cost(estimate, task.max_output_tokens, prices)
    if cap is not None and cost > cap:
        raise DocumentRefused(
            f"it would cost up to {cost:.4f} {prices.currency}, and max_cost_per_document is {cap:.4f}"
        )
    request = ModelRequest(task.system_prompt, text, task.max_output_tokens, task.response_schema)
    return Question(request, estimate)


def least_tokens(size: int, task: Task) -> int:
    """Return the least tokens, with the prompt's and the answer's, that a file of `size` bytes needs.

    Never more than the tokens that `question` computes once the file is read.
    """
    text = max(0, size - _MARK) // _FILE_BYTES_PER_BYTE // token_estimate.MOST_BYTES_PER_TOKEN
    return text + _of_prompt(task.system_prompt) + task.max_output_tokens


def refuse_more_than_admitted(tokens: int, config: DeploymentConfig) -> None:
    """Raise DocumentRefused if the configured deployment admits fewer tokens than these in a minute."""
    limit = config.spec.tokens_per_minute
    if tokens > limit:
        raise DocumentRefused(
            f"it needs about {tokens:,} tokens at once, and the deployment admits {limit:,} a minute: "
            "split the document, or have sku.capacity raised"
        )


@functools.lru_cache(maxsize=256)
def _of_prompt(system_prompt: str) -> int:
    """Return the tokens of a request beside the document's text."""
    return token_estimate.estimate(system_prompt) + _PER_REQUEST


class AnswerUnusable(Exception):
    """The model's answer does not have the required form; a retry may succeed."""


def accept(answer: ModelAnswer, request: ModelRequest) -> Any:
    """Return the answer to store: a text, or a value that conforms to the schema.

    Raises DocumentRefused if no retry would help, AnswerUnusable if one may. Neither quotes the answer.
    """
    if answer.finish_reason == "length":
        raise DocumentRefused(
            f"the answer did not fit into {request.max_output_tokens} tokens: raise max_output_tokens"
        )
    if answer.finish_reason == "content_filter":
        raise DocumentRefused("Azure's content filter withheld the answer")
    if answer.finish_reason == "refusal":
        raise DocumentRefused("the model refused to answer")
    if not answer.text.strip():
        raise AnswerUnusable("the model's answer is empty")
    schema = request.response_schema
    try:
        value = answer.text if schema is None else json.loads(answer.text)
        # The stored value must be JSON in UTF-8: neither NaN nor half a surrogate pair.
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise AnswerUnusable("the model's answer is not valid JSON") from None
    if schema is None:
        return value
    from jsonschema import Draft202012Validator, ValidationError

    try:
        Draft202012Validator(schema).validate(value)
    except ValidationError as error:
        where = "/".join(str(part) for part in error.absolute_schema_path)
        raise AnswerUnusable(f"the model's answer does not conform to the schema at {where}") from None
    except (RecursionError, ArithmeticError):
        raise AnswerUnusable("the model's answer cannot be held against the schema") from None
    return value
