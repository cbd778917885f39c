"""Build the request about one record."""

from __future__ import annotations

from typing import Any

from shared.documents import token_estimate
from shared.documents.ask import BatchQuestion, Question, question
from shared.documents.records.record import Record, encoded
from shared.model import BatchRequest, DeploymentConfig, Prices
from shared.money.cost import token_cost

_AROUND = 8  # tokens of a message beside its text, more or less
_PICTURE = 800  # tokens of a picture, more or less
_AROUND_MESSAGES = ("tools", "functions", "response_format")
_MOST, _MOST_ANSWERS = 10_000_000, 128  # tokens of an answer, and answers: more are refused in any case


def request_of(record: Record, config: DeploymentConfig) -> Question | BatchQuestion:
    """Return the request about a record that can be asked."""
    if record.body is None:
        return question(record.text, config)
    most = config.task.max_output_tokens
    for name in ("max_completion_tokens", "max_tokens"):
        given = record.body.get(name)
        if isinstance(given, int) and given > 0:
            most = min(given, _MOST)
            break
    answers = record.body.get("n")
    if isinstance(answers, int) and answers > 1:
        most *= min(answers, _MOST_ANSWERS)
    around = sum(_tokens_as_json(record.body.get(name)) for name in _AROUND_MESSAGES)
    return BatchQuestion(BatchRequest(record.body, most), _tokens(record.body.get("messages")) + around)


def highest_cost(asked: Question | BatchQuestion, config: DeploymentConfig, prices: Prices) -> float:
    """Return what a request costs at most: nothing if the deployment never admits it, as it is not sent."""
    if asked.tokens > config.spec.tokens_per_minute:
        return 0.0
    return token_cost(asked.prompt_tokens, asked.request.max_output_tokens, prices)


def _tokens_as_json(value: Any) -> int:
    return token_estimate.estimate(encoded(value).decode()) if value else 0


def _tokens(messages: Any) -> int:
    """Estimate the tokens of messages, which may be any JSON."""
    total = 0
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else [content]:
            text = part.get("text") if isinstance(part, dict) else part
            total += token_estimate.estimate(text) if isinstance(text, str) else _PICTURE * bool(part)
        total += _AROUND + (_tokens_as_json(message.get("tool_calls")) if isinstance(message, dict) else 0)
    return total
