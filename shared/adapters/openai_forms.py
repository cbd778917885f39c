"""Adapt the form of a request to the model: models differ in parameter names and roles.

Older models know `max_tokens`, newer ones `max_completion_tokens`, reasoning models only the latter; some
accept no system message. The app learns from a model's refusals (400) which form it accepts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from shared.adapters.openai_errors import code_of, says
from shared.json_schema.sent import as_sent
from shared.model import ModelRequest

if TYPE_CHECKING:
    import openai

_REFUSED = ("unsupported_parameter", "unsupported_value", "unknown_parameter")
_REFUSED_IN_WORDS = ("unrecognized request argument", "unsupported parameter", "unsupported value")


@dataclass(frozen=True)
class Form:
    """The parameter that limits the answer, and the role of the message with the task."""

    limit: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    task_from: Literal["system", "developer", "user"] = "system"

    def arguments(self, deployment: str, request: ModelRequest) -> dict[str, Any]:
        """Return the request's arguments in this form."""
        arguments: dict[str, Any] = {
            "model": deployment,
            "messages": [
                {"role": self.task_from if each.role == "system" else each.role, "content": each.content}
                for each in request.messages
            ],
            self.limit: request.max_output_tokens,
        }
        if request.response_schema is not None:
            schema = {"name": "answer", "schema": as_sent(request.response_schema), "strict": True}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        return arguments


# A model that refuses the system role may accept developer or user; o1-mini accepts only user.
_NEXT_ROLE: dict[str, Literal["system", "developer", "user"]] = {
    "system": "developer",
    "developer": "user",
    "user": "system",
}


def other_form(form: Form, error: openai.APIStatusError) -> Form | None:
    """Return the form to try next if the refusal is about the form, else None."""
    said = says(error)
    if error.status_code != 400 or not (code_of(error) in _REFUSED or said.startswith(_REFUSED_IN_WORDS)):
        return None
    about = error.param if isinstance(error.param, str) else said[:200]
    if form.limit in about:
        limit: Literal["max_completion_tokens", "max_tokens"] = (
            "max_tokens" if form.limit == "max_completion_tokens" else "max_completion_tokens"
        )
        return replace(form, limit=limit)
    if about.startswith("messages") and "role" in about:
        return replace(form, task_from=_NEXT_ROLE[form.task_from])
    return None
