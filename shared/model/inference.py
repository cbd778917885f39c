"""Requests to the model, and its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


@dataclass(frozen=True)
class Message:
    """One message of a conversation with the model. Roles: system, developer, user, assistant."""

    role: str
    content: str


class Slot(StrEnum):
    """A place in a message, as it is written in deployments.yaml."""

    DOCUMENT = "{document}"
    QUERY = "{query}"


@dataclass(frozen=True)
class Template:
    """A message of every request: literal pieces, and slots for what differs."""

    role: str
    pieces: tuple[str, ...]

    @property
    def literal(self) -> str | None:
        """Return its content if it has no slot."""
        return None if any(isinstance(piece, Slot) for piece in self.pieces) else "".join(self.pieces)

    def message(self, document: str, query: str) -> Message:
        """Return the message of a request. What looks like a slot in the document stays as it is."""
        filled = {Slot.DOCUMENT: document, Slot.QUERY: query}
        content = [filled[piece] if isinstance(piece, Slot) else piece for piece in self.pieces]
        return Message(self.role, "".join(content))


def prompt(system_prompt: str, *, queries: bool = False) -> tuple[Template, ...]:
    """Return the usual messages: what to do, then the document, and the query below it."""
    asked = (Slot.DOCUMENT, "\n\n", Slot.QUERY) if queries else (Slot.DOCUMENT,)
    return Template("system", (system_prompt,)), Template("user", asked)


@dataclass(frozen=True)
class ModelRequest:
    """One request to the model."""

    messages: tuple[Message, ...]
    max_output_tokens: int
    response_schema: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        """Return the content of the last message, which the model answers."""
        return self.messages[-1].content


@dataclass(frozen=True)
class BatchRequest:
    """A request of a Batch file: the body of a chat completion, as its author wrote it. It is untrusted.

    `max_output_tokens`: what the deployment's limit counts for its answer.
    """

    body: Mapping[str, Any]
    max_output_tokens: int


TINY = ModelRequest((Message("system", "Answer with one word."), Message("user", "ready?")), 16)
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


@dataclass(frozen=True)
class Response:
    """The service's response to a request of a Batch file: its answer, or its refusal of that request alone.

    `body` is untrusted. The last three are those of `ModelAnswer`.
    """

    status: int
    request_id: str
    body: Any
    prompt_tokens: int
    completion_tokens: int
    limit_tokens: int | None = None
    limit_requests: int | None = None
    remaining_tokens: int | None = None


@dataclass(frozen=True)
class Embedded:
    """The vectors of texts, in their order, all of one length, and the tokens that they were charged."""

    vectors: tuple[Sequence[float], ...]
    tokens: int
