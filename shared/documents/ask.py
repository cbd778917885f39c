"""Build a request about a text, and take or refuse the answer."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.documents import token_estimate
from shared.errors import DocumentRefused
from shared.json_schema.formats import format_checker
from shared.model import (
    BatchRequest,
    DeploymentConfig,
    Message,
    ModelAnswer,
    ModelRequest,
    Slot,
    Task,
    Template,
)

_PER_MESSAGE, _PER_REPLY = 4, 3  # tokens around a message, and before the reply
# No supported encoding needs more than twice the bytes of UTF-8: UTF-16 has two for an ASCII letter.
_FILE_BYTES_PER_BYTE = 2
_CORRECT = "Correct the following answer and change nothing else in it. What is wrong with it: {what}."
_QUOTE = (
    "These quotes do not stand in the document: {places}. Answer again, and quote the document word for "
    "word, or leave a quote empty."
)
_MARK = 3  # bytes of the longest byte order mark


@dataclass(frozen=True)
class Question:
    """A request and the estimate of its prompt, in tokens."""

    request: ModelRequest
    prompt_tokens: int

    @property
    def tokens(self) -> int:
        """Return the estimate of the prompt and the most tokens of the answer."""
        return self.prompt_tokens + self.request.max_output_tokens


@dataclass(frozen=True)
class BatchQuestion:
    """A request of a Batch file and the estimate of its prompt, in tokens."""

    request: BatchRequest
    prompt_tokens: int

    @property
    def tokens(self) -> int:
        """Return the estimate of the prompt and the most tokens of the answer."""
        return self.prompt_tokens + self.request.max_output_tokens


def question(
    text: str, config: DeploymentConfig, query: str = "", prompt_tokens: int | None = None
) -> Question:
    """Build the request that asks a query about a text. `prompt_tokens`: the estimate, if it is known."""
    task = config.task
    messages = tuple([each.message(text, query) for each in task.messages])
    request = ModelRequest(messages, task.max_output_tokens, task.response_schema)
    if prompt_tokens is None:
        variable = token_estimate.estimate(text) + token_estimate.estimate(query)
        prompt_tokens = variable + _of_prompt(task.messages)
    return Question(request, prompt_tokens)


def repair(asked: Question, answer: ModelAnswer, unusable: AnswerUnusable) -> Question | None:
    """Return the request for a corrected answer; None for an answer without a form to correct.

    It holds the answer and what is wrong with it, not the document: that costs little, and the model is not
    led to a new answer.
    """
    if asked.request.response_schema is None or not answer.text.strip():
        return None
    text = f"{_CORRECT.format(what=unusable)}\n\n{answer.text}"
    request = replace(asked.request, messages=(Message("user", text),))
    return Question(request, token_estimate.estimate(text) + _PER_MESSAGE + _PER_REPLY)


def quote_again(asked: Question, answer: ModelAnswer, wrong: Sequence[str]) -> Question:
    """Return the request that asks again because some quotes do not stand in the text. `wrong`: pointers."""
    complaint = _QUOTE.format(places=", ".join(wrong))
    more = Message("assistant", answer.text), Message("user", complaint)
    request = replace(asked.request, messages=(*asked.request.messages, *more))
    tokens = sum(token_estimate.estimate(each.content) + _PER_MESSAGE for each in more)
    return Question(request, asked.prompt_tokens + tokens)


def least_tokens(size: int, task: Task) -> int:
    """Return the least tokens, with the prompt's and the answer's, that a file of `size` bytes needs.

    Never more than the tokens that `question` computes once the file is read.
    """
    text = max(0, size - _MARK) // _FILE_BYTES_PER_BYTE // token_estimate.MOST_BYTES_PER_TOKEN
    return text + _of_prompt(task.messages) + task.max_output_tokens


def refuse_more_than_admitted(
    tokens: int, config: DeploymentConfig, remedy: str = "split the document"
) -> None:
    """Raise DocumentRefused if the configured deployment admits fewer tokens than these in a minute."""
    limit = config.spec.tokens_per_minute
    if tokens > limit:
        raise DocumentRefused(
            f"it needs about {tokens:,} tokens at once, and the deployment admits {limit:,} a minute: "
            f"{remedy}, or have sku.capacity raised"
        )


@functools.lru_cache(maxsize=256)
def _of_prompt(messages: tuple[Template, ...]) -> int:
    """Return the tokens of a request beside the document's text."""
    pieces = [piece for message in messages for piece in message.pieces if not isinstance(piece, Slot)]
    literal = sum(map(token_estimate.estimate, pieces))
    return literal + _PER_MESSAGE * len(messages) + _PER_REPLY


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
    if schema is not None and (where := conform(value, schema)) is not None:
        raise AnswerUnusable(f"the model's answer does not conform to the schema at {where}")
    return value


def conform(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Return the place in the schema to which a value does not conform; None if it conforms."""
    from jsonschema import Draft202012Validator, ValidationError

    try:
        Draft202012Validator(schema, format_checker=format_checker()).validate(value)
    except ValidationError as error:
        return "/".join(map(str, error.absolute_schema_path))
    except (RecursionError, ArithmeticError):
        return "a number or a depth that cannot be checked"
    return None
