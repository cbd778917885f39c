"""The error responses of the data plane, in the formats that Azure and public reports show."""

import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from local.emulator.answers import InvalidRequest
from local.emulator.limits import Verdict


class Refusal(Exception):
    """An error response: status, error object and headers."""

    def __init__(
        self, status: int, error: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(error.get("message"))
        self.status = status
        self.error = error
        self.headers = headers

    def response(self) -> web.Response:
        return web.json_response({"error": self.error}, status=self.status, headers=self.headers)


def unauthorized() -> Refusal:
    """Return 401: neither a bearer token nor a key."""
    message = (
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid "
        "key for an active subscription and use a correct regional API endpoint for your resource."
    )
    return Refusal(401, {"code": "401", "message": message})


def resource_not_found() -> Refusal:
    """Return 404: no such account, or no api-version on the classic path."""
    return Refusal(404, {"code": "404", "message": "Resource not found"})


def api_version_not_supported() -> Refusal:
    """Return 400: a dated api-version on the v1 path."""
    return Refusal(400, {"code": "BadRequest", "message": "API version not supported"})


def deployment_not_found() -> Refusal:
    """Return 404: no such deployment, or one that does not answer yet."""
    message = (
        "The API deployment for this resource does not exist. If you created the deployment within the last "
        "5 minutes, please wait a moment and try again."
    )
    return Refusal(404, {"code": "DeploymentNotFound", "message": message})


def operation_not_supported(operation: str, model: str) -> Refusal:
    """Return 400: the model is of another kind."""
    message = (
        f"The {operation} operation does not work with the specified model, {model}. Please choose different "
        "model and try again. You can learn more about which models can be used with each operation here: "
        "https://go.microsoft.com/fwlink/?linkid=2197993."
    )
    return Refusal(400, {"code": "OperationNotSupported", "message": message})


def invalid(error: InvalidRequest, headers: Mapping[str, str] | None = None) -> Refusal:
    """Return 400: a malformed request, in OpenAI's error format."""
    shown = {
        "message": error.message,
        "type": "invalid_request_error",
        "param": error.param,
        "code": error.code,
    }
    return Refusal(400, shown, headers)


def context_length_exceeded(limit: int, prompt: int, completion: int, headers: Mapping[str, str]) -> Refusal:
    """Return 400: more tokens than the model's context length."""
    message = (
        f"This model's maximum context length is {limit} tokens. However, you requested "
        f"{prompt + completion} tokens ({prompt} in the messages, {completion} in the completion). "
        "Please reduce the length of the messages or completion."
    )
    return invalid(InvalidRequest(message, param="messages", code="context_length_exceeded"), headers)


def content_filter(headers: Mapping[str, str]) -> Refusal:
    """Return 400: Azure's content filter refuses the prompt."""
    safe = {"filtered": False, "severity": "safe"}
    filtered = {"filtered": True, "severity": "medium"}
    result = {"hate": filtered, "self_harm": safe, "sexual": safe, "violence": safe}
    error = {
        "code": "content_filter",
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management "
        "policy.",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": result},
    }
    return Refusal(400, error, headers)


def too_many_requests(
    verdict: Verdict, operation: str, api_version: str, headers: Mapping[str, str]
) -> Refusal:
    """Return 429: above the deployment's tokens or requests per minute, with the time to wait."""
    seconds = math.ceil(verdict.retry_after)
    message = (
        f"Requests to the {operation} Operation under Azure OpenAI API version "
        f"{api_version} have exceeded {verdict.exceeded} rate limit of your current OpenAI S0 pricing tier. "
        f"Please retry after {seconds} seconds."
    )
    return Refusal(429, {"code": "429", "message": message}, headers)
