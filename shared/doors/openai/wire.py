"""What goes over the wire: requests, answers, and errors in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import (
    Conflict,
    DocumentTooLarge,
    InvalidRequest,
    KeysUnavailable,
    LamplighterError,
    NotFound,
    SettingsError,
    StorageError,
)

_STATUS: tuple[tuple[type[LamplighterError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (DocumentTooLarge, 413),
    (InvalidRequest, 400),
    (SettingsError, 503),
    (StorageError, 503),
    (KeysUnavailable, 503),
)
"""The first matching class counts."""


@dataclass(frozen=True)
class Request:
    """A request. `path`: below `openai/`. `headers`: by name in any case."""

    method: str
    path: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """A response. `body`: JSON, or the bytes of a file. `message`: for the queue."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None


class Refused(InvalidRequest):
    """A request that is refused. `param`: the parameter that is wrong; `code`: OpenAI's, if it has one."""

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None
    ) -> None:
        self.status = status
        self.param = param
        self.code = code
        super().__init__(message)


def answer_of(error: LamplighterError) -> Answer:
    """Return the response to an error. Raises an error that has no status."""
    param = code = None
    if isinstance(error, Refused):
        status, param, code = error.status, error.param, error.code
    else:
        found = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
        if found is None:
            raise error
        status = found
    # Clients repeat a 409 by themselves; ours says the same again.
    headers = {"x-should-retry": "false"} if status == 409 else {}
    kind = "invalid_request_error" if status < 500 else "server_error"
    said = {"message": str(error), "type": kind, "param": param, "code": code}
    return Answer(status, {"error": said}, headers)
