"""Forward chat requests to an OpenAI-compatible server, for real answers."""

import json
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
            return _bad_gateway(f"it cannot be reached ({type(error).__name__})")
        except ValueError:
            return _bad_gateway(f"it answered {status} with something that is not JSON")
        if status in (401, 403, 404):
            return _bad_gateway(f"it answered {status}: check the URL, the model and UPSTREAM_API_KEY")
        return (status, answer) if isinstance(answer, dict) else _bad_gateway("its answer is not an object")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _bad_gateway(reason: str) -> tuple[int, dict[str, Any]]:
    return 502, {"error": {"code": "BadGateway", "message": f"The upstream server failed: {reason}."}}
