"""Forward chat requests to an OpenAI-compatible server, for real answers."""

import json
import os
from typing import Any

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=600)


class Upstream:
    """An OpenAI-compatible server, given by its base URL (with its /v1), and a model there."""

    def __init__(self, url: str, model: str, key: str | None) -> None:
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._model = model
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._session: aiohttp.ClientSession | None = None

    async def chat(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return the status and body of the server's answer.

        The status is 502 if the server cannot be reached, refuses the key, path or model, or does not answer
        with JSON: a 401 or 404 from the emulator would mean the deployment.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        try:
            async with self._session.post(self._url, json={**body, "model": self._model}) as response:
                status = response.status
                answer = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            return _bad_gateway(why_no_answer(error))
        except ValueError:
            return _bad_gateway(f"it answered {status} with something that is not JSON")
        if status in (401, 403, 404):
            return _bad_gateway(f"it answered {status}: check the URL, the model and UPSTREAM_API_KEY")
        return (status, answer) if isinstance(answer, dict) else _bad_gateway("its answer is not an object")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def why_no_answer(error: Exception) -> str:
    """Say in plain words why a request to the server failed."""
    match error:
        case TimeoutError():
            return "it does not answer in time"
        case aiohttp.ClientConnectorDNSError():
            return f"the name {error.host} is not known on this network"
        case aiohttp.ClientSSLError():
            return (
                f"a secure connection to {error.host}:{error.port} fails: check its certificate, or use http"
            )
        case aiohttp.ClientConnectorError():
            why = os.strerror(error.errno).lower() if error.errno else "no connection"
            return f"nothing can be reached at {error.host}:{error.port} ({why})"
        case aiohttp.ContentTypeError():
            return f"it answered {error.status} with something that is not JSON"
        case aiohttp.ClientResponseError():
            return f"it answered {error.status} {error.message}".rstrip()
        case aiohttp.InvalidURL():
            return "this is not an address: it should begin with http:// or https://"
        case aiohttp.ClientConnectionError():
            return "it closed the connection"
        case _:
            return f"its answer cannot be used ({type(error).__name__})"


def _bad_gateway(reason: str) -> tuple[int, dict[str, Any]]:
    return 502, {"error": {"code": "BadGateway", "message": f"The upstream server failed: {reason}."}}
