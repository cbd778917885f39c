"""Call the model through the openai SDK on Azure's v1 endpoint, without the SDK's own retries.

Our errors carry Azure's code and never its message, which may quote the prompt. The first request imports the
SDK: the import takes half of a cold start's CPU time, and most timer ticks send no request.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ClientAuthenticationError

from shared.adapters.credentials import may_have_token, token_credential
from shared.adapters.openai_embeddings import embedded
from shared.adapters.openai_errors import is_own_fault, translated
from shared.adapters.openai_forms import Form, other_form
from shared.errors import AccessDenied, ModelUnavailable, RequestRefused, ServiceRefused
from shared.model import BatchRequest, Embedded, ModelAnswer, ModelRequest, Response

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_PATH = "openai/v1/"
_SCOPE = "https://ai.azure.com/.default"


class AzureModel:
    """The implementation of `shared.ports.Model` for Azure."""

    def __init__(self) -> None:
        self._clients: dict[str, AsyncOpenAI] = {}
        self._credentials: dict[str, Any] = {}
        self._forms: dict[tuple[str, str], Form] = {}  # by endpoint and deployment, as learned from answers

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
        async with _call(endpoint, timeout):
            raw = await self._send(endpoint, deployment, request, timeout)
        return _answer(raw)

    async def complete(
        self, endpoint: str, deployment: str, request: BatchRequest, *, timeout: float
    ) -> Response:
        """See the port."""
        import httpx2
        import openai

        async with _call(endpoint, timeout):
            try:
                raw = await self._client(endpoint).post(
                    f"{endpoint}{_PATH}chat/completions",
                    cast_to=httpx2.Response,
                    body={**request.body, "model": deployment},
                    options={"timeout": timeout},
                )
            except openai.APIStatusError as error:
                if not is_own_fault(error):
                    raise
                raw = error.response
            except UnicodeEncodeError as error:
                raise RequestRefused("it holds half a character", code="invalid_text") from error
        return _response(raw)

    async def embed(
        self, endpoint: str, deployment: str, texts: Sequence[str], *, timeout: float
    ) -> Embedded:
        """See the port."""
        async with _call(endpoint, timeout):
            raw = await self._client(endpoint).embeddings.with_raw_response.create(
                model=deployment, input=[*texts], encoding_format="base64", timeout=timeout
            )
        return embedded(raw, len(texts))

    async def _send(self, endpoint: str, deployment: str, request: ModelRequest, timeout: float) -> Any:
        """Return the raw response to the first form that the model accepts; a refused one costs a request."""
        import httpx2
        import openai

        form = self._forms.get((endpoint, deployment), Form())
        tried = {form}
        while True:
            try:
                # Not `chat.completions.create`: it walks the request and the answer by the types of its
                # fields, which takes as much CPU time as all the rest.
                raw = await self._client(endpoint).post(
                    f"{endpoint}{_PATH}chat/completions",
                    cast_to=httpx2.Response,
                    body=form.arguments(deployment, request),
                    options={"timeout": timeout},
                )
            except openai.APIStatusError as error:
                other = other_form(form, error)
                if other is None:  # the form itself was not refused
                    self._forms[endpoint, deployment] = form
                    raise
                if other in tried:
                    raise
                tried.add(other)
                form = other
            else:
                self._forms[endpoint, deployment] = form
                return raw

    def _client(self, endpoint: str) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        from shared.adapters.openai_http import http_client

        if endpoint not in self._clients:
            self._credentials[endpoint] = token_credential(endpoint)
            self._clients[endpoint] = AsyncOpenAI(
                base_url=f"{endpoint}{_PATH}",
                api_key=_token_provider(self._credentials[endpoint]),
                max_retries=0,
                http_client=http_client(),
            )
        return self._clients[endpoint]


@contextlib.asynccontextmanager
async def _call(endpoint: str, timeout: float) -> AsyncIterator[None]:
    """Limit a call to `timeout` seconds and translate its errors into ours."""
    import openai

    if not may_have_token(endpoint):
        raise ServiceRefused(
            "the account's endpoint is no https address, so no token is sent there.",
            code="EndpointNotHttps",
            remedy="check the account's endpoint in the Azure portal",
        )
    try:
        async with asyncio.timeout(timeout):
            yield
    except (TimeoutError, openai.APITimeoutError) as error:
        raise ModelUnavailable(f"no answer within {timeout:.0f} s", code="timeout") from error
    except openai.APIStatusError as error:
        raise translated(error, endpoint) from error
    except ClientAuthenticationError as error:  # raised by azure-identity: it has no token
        raise AccessDenied(
            "there is no identity to ask the model with.",
            code="NoIdentity",
            remedy="give the app its identity (AZURE_CLIENT_ID), or run az login",
        ) from error
    except AzureError as error:
        raise ModelUnavailable("the service that gives tokens failed", code="connection") from error
    except openai.APIConnectionError as error:
        raise ModelUnavailable("the connection to the model failed", code="connection") from error


def _token_provider(credential: Any) -> Callable[[], Awaitable[str]]:
    async def token() -> str:
        return str((await credential.get_token(_SCOPE)).token)

    return token


def _answer(response: Any) -> ModelAnswer:
    """Return the answer in a response, which is untrusted: every field may hold any JSON value."""
    completion = _json(response)
    choices = _of(completion, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = _of(choice, "message")
    if not isinstance(message, dict):
        raise ModelUnavailable(
            "the model answered without a choice", code="no_choice", status=response.status_code
        )
    content, usage, headers = message.get("content"), _of(completion, "usage"), response.headers
    refuses = message.get("refusal") or _parts(content, "refusal")
    return ModelAnswer(
        text=_text(content),
        finish_reason="refusal" if refuses else str(_of(choice, "finish_reason")),
        model=str(_of(completion, "model")),
        prompt_tokens=_count(_of(usage, "prompt_tokens")),
        completion_tokens=_count(_of(usage, "completion_tokens")),
        **_limits(headers),
    )


def _response(raw: Any) -> Response:
    """Return a response as it came. It is untrusted: every field may hold any JSON value."""
    body = _json(raw)
    usage, headers = _of(body, "usage"), raw.headers
    return Response(
        status=raw.status_code,
        request_id=headers.get("x-request-id") or headers.get("apim-request-id") or "",
        body=body,
        prompt_tokens=_count(_of(usage, "prompt_tokens")),
        completion_tokens=_count(_of(usage, "completion_tokens")),
        **_limits(headers),
    )


def _json(response: Any) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        raise ModelUnavailable(
            "the model's answer is not what the API promises", code="invalid", status=response.status_code
        ) from error


def _limits(headers: Any) -> dict[str, int | None]:
    """Return what the headers say of the rate limits."""
    return {
        "limit_tokens": _whole(headers.get("x-ratelimit-limit-tokens")),
        "limit_requests": _whole(headers.get("x-ratelimit-limit-requests")),
        "remaining_tokens": _whole(headers.get("x-ratelimit-remaining-tokens")),
    }


def _of(value: object, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _text(content: object) -> str:
    """Return the text of an answer: a string, or a list of parts, whose texts are joined."""
    return content if isinstance(content, str) else "".join(_parts(content, "text"))


def _parts(content: object, kind: str) -> list[str]:
    """Return the texts that the parts of an answer have under the key `kind`; skip anything else."""
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return [said for part in parts if isinstance(said := part.get(kind), str) and said]


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _whole(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else None
