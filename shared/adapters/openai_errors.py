"""Translate errors of the data plane into ours, with Azure's code and the remedy for that code.

Azure's message is read to distinguish cases, and never shown: it may quote the prompt.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.errors import (
    AccessDenied,
    DeploymentNotFound,
    ModelError,
    ModelUnavailable,
    RateLimited,
    RequestRefused,
    ServiceRefused,
)

if TYPE_CHECKING:
    import openai

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FILTERED = "Azure's content filter refused the document"
_TOO_LONG = "the document is longer than the model's context: split it"

# The only codes that mean that the document itself is at fault.
_REFUSALS = {
    "content_filter": _FILTERED,
    "ResponsibleAIPolicyViolation": _FILTERED,
    "invalid_prompt": "Azure found that the document violates its usage policy",
    "context_length_exceeded": _TOO_LONG,
    "string_above_max_length": _TOO_LONG,
}

# What a deployment refuses to everybody, though the code stands with an invalid request.
_NOT_ITS_OWN = frozenset(
    {"OperationNotSupported", "DeploymentPaused", "ModelDeprecated", "DeploymentNotFound"}
)

_ROLE = "grant the app's identity the role Cognitive Services OpenAI User on the account"
_NETWORK = "let the app's network through the account's firewall (Networking in the Azure portal)"
_SUBDOMAIN = "give the account a custom subdomain: without one, Azure takes no token of an identity there"
_TASK = "check what the task asks for in deployments.yaml: response_schema, max_output_tokens"
_UNKNOWN = "this code is unknown to Lamplighter: look it up in Azure's documentation, or ask Azure's support"
# Remedies by code, else by words in Azure's message, else by status.
_BY_CODE = {
    "PermissionDenied": _ROLE,
    "AuthorizationFailed": _ROLE,
    "InvalidAuthenticationToken": "check the tenant of the app's identity, and this machine's clock",
    "OperationNotSupported": "the model takes no chat completions: check model.name in deployments.yaml",
    "DeploymentPaused": "the deployment is paused: resume it in the Azure portal, or delete it",
    "ModelDeprecated": "the model is retired: name another one in deployments.yaml",
    "unsupported_parameter": _TASK,
    "unsupported_value": _TASK,
    "invalid_value": _TASK,
    "integer_above_max_value": "lower max_output_tokens in deployments.yaml",
}
_BY_WORDS = (
    ("firewall", _NETWORK),
    ("virtual network", _NETWORK),
    ("private endpoint", _NETWORK),
    ("public access is disabled", _NETWORK),
    ("out of call volume quota", "the account's quota is used up: wait until Azure renews it, or raise it"),
    ("custom subdomain", _SUBDOMAIN),
    ("lacks the required data action", _ROLE),
    ("could not finish the message", "raise max_output_tokens: the model spends more on its reasoning"),
)
_BY_STATUS = {
    401: f"check the tenant of the app's identity, and {_ROLE}",
    403: _ROLE,
    405: "the endpoint takes no chat completions: check model.name in deployments.yaml",
    410: "the model is retired: name another one in deployments.yaml",
    422: _TASK,
    423: "the deployment is paused: resume it in the Azure portal, or delete it",
    424: "something that the deployment depends on has failed: see the deployment in the Azure portal",
}


def translated(error: openai.APIStatusError, endpoint: str) -> ModelError:
    """Return our error for a refusal. Its `retry_after`: seconds, as the server gave it, if plausible."""
    status, code = error.status_code, code_of(error)
    retry_after = _retry_after(error.response.headers)
    if status == 429:
        message = "the deployment's rate limit is reached (429)"
        return RateLimited(message, code=code, status=status, retry_after=retry_after)
    if status == 404:
        # A wrong endpoint ("Resource not found") counts, too: the endpoint may have changed.
        message = "the deployment does not answer yet, or is gone (404)"
        return DeploymentNotFound(message, code=code, status=status)
    if status in (408, 409) or status >= 500:
        message = f"the model is unavailable ({status})"
        return ModelUnavailable(message, code=code, status=status, retry_after=retry_after)
    refusal = _refusal(error, status, code)
    if refusal is not None:
        return RequestRefused(refusal, code=code, status=status)
    remedy = _remedy(error, status, code, endpoint)
    shown = str(status) if code == str(status) else f"{status} {code}"
    if status in (401, 403):
        message = f"the app may not call the model ({shown})."
        return AccessDenied(message, code=code, status=status, remedy=remedy)
    return ServiceRefused(f"Azure refuses requests ({shown}).", code=code, status=status, remedy=remedy)


def is_own_fault(error: openai.APIStatusError) -> bool:
    """Return whether a request that somebody else wrote is to blame for a refusal, and not the deployment."""
    status, code = error.status_code, code_of(error)
    if _refusal(error, status, code) is not None:
        return True
    return status in (400, 422) and code not in _NOT_ITS_OWN and error.type == "invalid_request_error"


def code_of(error: openai.APIStatusError) -> str:
    """Return Azure's code, the inner one if the outer one is generic; else the status."""
    codes = (error.code, _inner_code(error), str(error.status_code))
    named = [code for code in codes if isinstance(code, str) and _CODE.fullmatch(code)]
    return next((code for code in named if not code.isdigit()), named[0])


def says(error: openai.APIStatusError) -> str:
    """Return Azure's message in lower case. Compare with it, never show it."""
    body = error.body if isinstance(error.body, Mapping) else {}
    return str(body.get("message", "")).lower()


def _refusal(error: openai.APIStatusError, status: int, code: str) -> str | None:
    if status == 413:
        return "the document is too large for Azure (413): split it"
    if status != 400:
        return None
    return _REFUSALS.get(code) or _REFUSALS.get(_inner_code(error) or "")


def _remedy(error: openai.APIStatusError, status: int, code: str, endpoint: str) -> str:
    said = says(error) if status in (400, 401, 403) else ""
    regional = endpoint.rstrip("/").endswith(".api.cognitive.microsoft.com")
    if regional and (status == 401 or "custom subdomain" in said):
        return _SUBDOMAIN
    by_words = next((remedy for words, remedy in _BY_WORDS if words in said), None)
    if status == 403 and by_words:  # Azure's few codes for a 403 have many causes
        return by_words
    return _BY_CODE.get(code) or by_words or _of_parameter(error) or _BY_STATUS.get(status) or _UNKNOWN


def _of_parameter(error: openai.APIStatusError) -> str | None:
    param = error.param if isinstance(error.param, str) else ""
    return _TASK if param.startswith(("response_format", "max_")) else None


def _inner_code(error: openai.APIStatusError) -> str | None:
    body: Any = error.body
    inner = body.get("innererror") if isinstance(body, Mapping) else None
    code = inner.get("code") if isinstance(inner, Mapping) else None
    return code if isinstance(code, str) else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read seconds from `retry-after-ms`, else `retry-after`; header values are untrusted."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None
