"""Chat requests, and deterministic answers that depend only on the request."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jsonschema

from local.emulator import tokens
from local.emulator.schema_rules import refusal_of
from local.emulator.structured import Unanswerable, conforming_value

_FIRST_WORDS = 12


class InvalidRequest(Exception):
    """A request that the data plane refuses with 400, in OpenAI's error format."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


@dataclass(frozen=True)
class ChatRequest:
    """The parts of a chat completion request that the emulator uses; `document` is the last user message."""

    prompt: str
    messages: int
    document: str
    max_tokens: int | None
    choices: int
    response_format: Mapping[str, Any]

    @cached_property
    def prompt_tokens(self) -> int:
        return tokens.count(self.prompt) + self.messages * tokens.PER_MESSAGE + tokens.PER_REPLY

    @property
    def estimated_tokens(self) -> int:
        """Return the tokens that Azure charges on arrival: the prompt and the largest possible answers.

        Azure does not document its estimate for a request without max_tokens: here it is the prompt.
        """
        return self.prompt_tokens + (self.max_tokens or 0) * self.choices


@dataclass(frozen=True)
class Answer:
    """One answer, truncated to the allowed tokens."""

    content: str
    finish_reason: str
    tokens: int


def parse(body: Mapping[str, Any]) -> ChatRequest:
    """Parse a chat completion request. Raises InvalidRequest for missing or malformed parts."""
    messages = body.get("messages")
    if (
        not isinstance(messages, list)
        or not messages
        or not all(isinstance(message, dict) for message in messages)
    ):
        raise InvalidRequest("'messages' must be a list of at least one message.", param="messages")
    if body.get("stream"):
        raise InvalidRequest("This emulator does not stream: leave out 'stream'.", param="stream")
    texts = [_text(message.get("content")) for message in messages]
    from_user = [text for message, text in zip(messages, texts, strict=True) if message.get("role") == "user"]
    response_format = body.get("response_format") or {"type": "text"}
    if not isinstance(response_format, dict):
        raise InvalidRequest("'response_format' must be an object.", param="response_format")
    return ChatRequest(
        prompt="\n".join(texts),
        messages=len(texts),
        document=from_user[-1] if from_user else "",
        max_tokens=positive(body, "max_completion_tokens") or positive(body, "max_tokens"),
        choices=positive(body, "n") or 1,
        response_format=response_format,
    )


def prompt_of(body: Mapping[str, Any]) -> str:
    """Return the text of all messages of a request; empty if the request is malformed."""
    try:
        return parse(body).prompt
    except InvalidRequest:
        return ""


def answer(request: ChatRequest) -> Answer:
    """Return the answer to a request, always the same for the same request.

    Raises InvalidRequest for a response format that the emulator cannot satisfy.
    """
    content = _content(request)
    needed = tokens.count(content)
    if request.max_tokens is None or needed <= request.max_tokens:
        return Answer(content, "stop", needed)
    return Answer(tokens.cut(content, request.max_tokens), "length", request.max_tokens)


def _content(request: ChatRequest) -> str:
    kind = request.response_format.get("type")
    if kind == "json_schema":
        return json.dumps(_structured(request), ensure_ascii=False)
    words = request.document.split()
    digest = hashlib.sha256(request.prompt.encode()).hexdigest()[:12]
    text = f"{' '.join(words[:_FIRST_WORDS])} ({len(words)} words, digest {digest})".strip()
    return json.dumps({"answer": text}, ensure_ascii=False) if kind == "json_object" else text


def _structured(request: ChatRequest) -> object:
    described = request.response_format.get("json_schema")
    described = described if isinstance(described, dict) else {}
    schema = described.get("schema")
    where = "response_format.json_schema"
    if not isinstance(schema, dict):
        raise InvalidRequest(f"'{where}.schema' must be an object.", param=where)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        refused = refusal_of(schema) if described.get("strict") is True else None
        if refused is not None:
            name = str(described.get("name"))
            raise InvalidRequest(f"Invalid schema for response_format '{name}': {refused}", param=where)
        return conforming_value(schema, request.prompt)
    except jsonschema.SchemaError as error:
        raise InvalidRequest(f"Invalid schema for response_format: {error.message}", param=where) from error
    except Unanswerable as error:
        raise InvalidRequest(f"This emulator has no answer for the schema: {error}", param=where) from error


def _text(content: object) -> str:
    """Return the text of a message: a string, or its parts of type text."""
    if isinstance(content, list):
        parts = [
            part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"
        ]
        return "\n".join(part for part in parts if isinstance(part, str))
    if content is None or isinstance(content, str):
        return content or ""
    raise InvalidRequest("The content of a message must be a string or a list of parts.", param="messages")


def positive(body: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number above 0; None if it is not given. Raises InvalidRequest for anything else."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidRequest(f"'{name}' must be a whole number above 0.", param=name)
    return value
