"""The openai client itself, on the app in memory: its transport is the door."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx2
from openai import AsyncAzureOpenAI, AsyncOpenAI

from shared.batches.rows import BatchJob
from shared.doors.openai import door
from shared.doors.openai.wire import Request
from shared.operations import batches
from tests.fakes.world import World

KEY = "a-function-key"
STYLES = ("v1", "classic")


class Door(httpx2.AsyncBaseTransport):
    """What comes over the wire. `works`: a worker takes batches in as soon as they are created."""

    def __init__(self, world: World, *, works: bool = True) -> None:
        self.world = world
        self.works = works
        self.messages = list[str]()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer as the functions host and function_app.py do together."""
        path = request.url.path.removeprefix("/api/openai/")
        assert path != request.url.path
        asked = Request(
            *(request.method, path, str(request.url), dict(request.url.params), request.headers),
            await request.aread(),
        )
        answer = await door.answer(asked, self._accepts, self._current)
        if answer.message is not None:
            self.messages.append(answer.message)
            if self.works:
                await batches.take_in(self.world.app, answer.message.removeprefix(batches.MESSAGE))
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        return httpx2.Response(answer.status, headers=dict(answer.headers), content=body)

    async def _accepts(self, key: str) -> bool:
        return key == KEY

    async def _current(self) -> Any:
        return self.world.app


def client(world: World, style: str = "v1", *, key: str = KEY, works: bool = True) -> AsyncOpenAI:
    """Return a client of one of the two styles."""
    http = httpx2.AsyncClient(transport=Door(world, works=works))
    if style == "classic":
        return AsyncAzureOpenAI(
            azure_endpoint="https://app/api", api_version="2025-04-01-preview", api_key=key, http_client=http
        )
    return AsyncOpenAI(base_url="https://app/api/openai/v1", api_key=key, http_client=http)


def line(custom_id: str, text: str = "Hello", model: str = "clauses", **changes: Any) -> dict[str, Any]:
    """Return a request of a Batch file."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 50}
    given = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return given | changes


def jsonl(lines: Sequence[dict[str, Any]]) -> bytes:
    """Return a Batch file."""
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


async def jobs(world: World) -> list[BatchJob]:
    """Return the rows of all batches, the newest first."""
    return [*(await world.app.batches.ledger.listed(None, 1000)).items]
