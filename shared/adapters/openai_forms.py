"""The forms that a request may take: models differ in what they call things.

Older models know `max_tokens`, newer ones `max_completion_tokens`, reasoning models the latter only; some
take no message from the system. What a model takes is learned from its refusals (400).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from shared.adapters.openai_errors import code_of, says
from shared.model import ModelRequest

if TYPE_CHECKING:
    import openai

_REFUSED = ("unsupported_parameter", "unsupported_value", "unknown_parameter")
_REFUSED_IN_WORDS = ("unrecognized request argument", "unsupported parameter", "unsupported value")


@dataclass(frozen=True)
class Form:
    """How the limit of the answer is named, and who says what the task is."""

    limit: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    task_from: Literal["system", "developer", "user"] = "system"

    def arguments(self, deployment: str, request: ModelRequest) -> dict[str, Any]:
        """The request's arguments in this form."""
        arguments: dict[str, Any] = {
            "model": deployment,
            "messages": [
                {"role": self.task_from, "content": request.system_prompt},
                {"role": "user", "content": request.text},
            ],
            self.limit: request.max_output_tokens,
        }
        if request.response_schema is not None:
            schema = {"name": "answer", "schema": request.response_schema, "strict": True}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        return arguments


# A model that refuses the system may take a developer or the user; o1-mini takes the user only.
_NEXT_ROLE: dict[str, Literal["system", "developer", "user"]] = {
    "system": "developer",
    "developer": "user",
    "user": "system",
}


def other_form(form: Form, error: openai.APIStatusError) -> Form | None:
    """The form to try instead, if the refusal is about the form."""
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
