"""The request parameters that a family of models accepts, by the model's name.

Azure refuses an unknown parameter with 400. Older models (gpt-35) accept `max_tokens` only. Reasoning models
(o1, o3, o4, gpt-5) accept `max_completion_tokens` only and answer 400 if it is too small for their reasoning;
o1-mini accepts no system message. All other models accept both parameters and every role.
"""

from collections.abc import Mapping
from typing import Any

from local.emulator.answers import InvalidRequest

REASONING_TOKENS = 64  # a reasoning model needs at least these before it can answer
_OLD = ("gpt-35", "gpt-3.5")
_REASONING = ("o1", "o3", "o4", "gpt-5")
MODELS = (*_OLD, *_REASONING)


def refuse_parameters(model: str, body: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for a parameter that the model does not accept, worded as in public reports."""
    if model.startswith(_OLD) and "max_completion_tokens" in body:
        raise InvalidRequest("Unrecognized request argument supplied: max_completion_tokens")
    if not model.startswith(_REASONING):
        return
    if "max_tokens" in body:
        raise InvalidRequest(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    if model.startswith("o1-mini"):
        _refuse_system(body["messages"])
    budget = body.get("max_completion_tokens")
    if budget is not None and budget < REASONING_TOKENS:
        raise InvalidRequest(
            "Could not finish the message because max_tokens or model output limit was reached. "
            "Please try again with higher max_tokens."
        )


def _refuse_system(messages: list[Mapping[str, Any]]) -> None:
    for at, message in enumerate(messages):
        if message.get("role") in ("system", "developer"):
            where, role = f"messages[{at}].role", message["role"]
            raise InvalidRequest(
                f"Unsupported value: '{where}' does not support '{role}' with this model.",
                param=where,
                code="unsupported_value",
            )
