"""Provide an HTTP client for the openai SDK that sends large requests in parts.

A body that is sent at once is copied twice on its way to the socket. The copies stay until it is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from httpx2 import AsyncByteStream, AsyncClient, Request
from openai import DefaultAsyncHttpxClient

_PART = 1024 * 1024  # bytes


def http_client() -> AsyncClient:
    """Return a client with the SDK's defaults. The SDK's client closes it."""
    return DefaultAsyncHttpxClient(event_hooks={"request": [_send_in_parts]})


async def _send_in_parts(request: Request) -> None:
    if not isinstance(request.stream, _Parts):  # a redirected request has the stream of the first one
        request.stream = _Parts(request.content)


class _Parts(AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), _PART):
            yield self._body[start : start + _PART]
