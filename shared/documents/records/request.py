"""Build the request about one record."""

from __future__ import annotations

from typing import Any

from shared.documents import token_estimate
from shared.documents.ask import BatchQuestion, Question, question
from shared.documents.records.record import Record
from shared.model import BatchRequest, DeploymentConfig

_AROUND = 8  # tokens of a message beside its text, more or less
_PICTURE = 800  # tokens of a picture, more or less


def request_of(record: Record, config: DeploymentConfig) -> Question | BatchQuestion:
    """Return the request about a record that can be asked."""
    if record.body is None:
        return question(record.text, config)
    most = config.task.max_output_tokens
    for name in ("max_completion_tokens", "max_tokens"):
        given = record.body.get(name)
        if isinstance(given, int) and given > 0:
            most = given
            break
    return BatchQuestion(BatchRequest(record.body, most), _tokens(record.body.get("messages")))


def _tokens(messages: Any) -> int:
    """Estimate the tokens of messages, which may be any JSON."""
    total = 0
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else [content]:
            text = part.get("text") if isinstance(part, dict) else part
            total += token_estimate.estimate(text) if isinstance(text, str) else _PICTURE * bool(part)
        total += _AROUND
    return total
