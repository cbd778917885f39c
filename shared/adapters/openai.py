"""The data plane on the openai SDK's v1 endpoint, without its own retries.

Our errors carry Azure's code and never its message, which may quote the prompt.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import openai
from azure.core.exceptions import ClientAuthenticationError
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from shared.adapters.credentials import token_credential
from shared.domain import ModelAnswer, ModelRequest
from shared.errors import (
    AccessDenied,
    DeploymentNotFound,
    ModelError,
    ModelUnavailable,
    RateLimited,
    RequestRefused,
)

# It logs a line for each request.
logging.getLogger("httpx2").setLevel(logging.WARNING)

_SCOPE = "https://ai.azure.com/.default"
_REFUSALS = {
    "content_filter": "Azure's content filter refused the document",
    "context_length_exceeded": "the document is longer than the model's context: split it",
}


class AzureModel:
    """Fulfils `shared.ports.Model`."""

    def __init__(self) -> None:
        self._clients: dict[str, AsyncOpenAI] = {}
        self._credentials: dict[str, Any] = {}

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.close()
        for credential in self._credentials.values():
            await credential.close()

    async def ask(
        self, endpoint: str, deployment: str, request: ModelRequest, *, timeout: float
    ) -> ModelAnswer:
        """See the port."""
        try:
            async with asyncio.timeout(timeout):
                raw = await self._client(endpoint).chat.completions.with_raw_response.create(
                    **_arguments(deployment, request), timeout=timeout
                )
        except TimeoutError as error:
            raise ModelUnavailable(f"no answer within {timeout:.0f} s", code="timeout") from error
        except openai.APIStatusError as error:
            raise _error(error) from error
        except ClientAuthenticationError as error:  # azure-identity's own: there is no token to send
            remedy = "give the app its identity (AZURE_CLIENT_ID), or run az login"
            raise AccessDenied(f"there is no identity to ask the model with: {remedy}", code="401") from error
        except openai.APIConnectionError as error:
            raise ModelUnavailable("the connection to the model failed", code="connection") from error
        try:
            completion = raw.parse()
        except (ValueError, openai.APIError) as error:
            raise ModelUnavailable(
                "the model's answer is not what the API promises", code="invalid"
            ) from error
        if not isinstance(completion, ChatCompletion) or not completion.choices:
            raise ModelUnavailable("the model answered without a choice", code="no_choice")
        choice = completion.choices[0]
        return ModelAnswer(
            text=choice.message.content or "",
            finish_reason="refusal" if choice.message.refusal else choice.finish_reason,
            model=completion.model,
            prompt_tokens=completion.usage.prompt_tokens if completion.usage else 0,
            completion_tokens=completion.usage.completion_tokens if completion.usage else 0,
            remaining_tokens=_whole(raw.headers.get("x-ratelimit-remaining-tokens")),
        )

    def _client(self, endpoint: str) -> AsyncOpenAI:
        if endpoint not in self._clients:
            self._credentials[endpoint] = token_credential(endpoint)
            self._clients[endpoint] = AsyncOpenAI(
                base_url=f"{endpoint}openai/v1/",
                api_key=_token_provider(self._credentials[endpoint]),
                max_retries=0,
            )
        return self._clients[endpoint]


def _token_provider(credential: Any) -> Callable[[], Awaitable[str]]:
    async def token() -> str:
        return str((await credential.get_token(_SCOPE)).token)

    return token


def _arguments(deployment: str, request: ModelRequest) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": deployment,
        "messages": [
            {"role": "system", "content": request.system_prompt},
            {"role": "user", "content": request.text},
        ],
        "max_completion_tokens": request.max_output_tokens,
    }
    if request.response_schema is not None:
        schema = {"name": "answer", "schema": request.response_schema, "strict": True}
        arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
    return arguments


def _error(error: openai.APIStatusError) -> ModelError:
    status, code = error.status_code, str(error.code or error.status_code)
    if status == 429:
        retry_after = _retry_after(error.response.headers)
        return RateLimited("the deployment's rate limit is reached (429)", code=code, retry_after=retry_after)
    if status in (401, 403):
        remedy = "grant the app's identity the role Cognitive Services OpenAI User"
        return AccessDenied(f"the app may not call the model ({status}): {remedy}", code=str(status))
    if status == 404:
        return DeploymentNotFound("the deployment does not answer yet, or is gone (404)", code=code)
    if status in (408, 409) or status >= 500:
        retry_after = _retry_after(error.response.headers)
        return ModelUnavailable(f"the model is unavailable ({status})", code=code, retry_after=retry_after)
    where = f" in {error.param}" if error.param else ""
    return RequestRefused(_REFUSALS.get(code, f"the model refused the request ({code}{where})"), code=code)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `retry-after-ms`, else `retry-after`; header values are untrusted."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def _whole(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else None
