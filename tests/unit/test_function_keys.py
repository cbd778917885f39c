"""The app asks its own host whether a key is valid."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from aiohttp import web

from shared.adapters import function_keys
from shared.adapters.function_keys import FunctionKeys
from shared.doors.openai.door import key_of
from shared.doors.openai.wire import Request
from shared.errors import KeysUnavailable
from shared.wiring import _own_url


class Host:
    """A host that knows one key, and counts who asks."""

    def __init__(self) -> None:
        self.asked = Counter[str]()
        self.status = 0  # instead of a verdict
        self.url = ""

    async def check(self, request: web.Request) -> web.Response:
        key = request.headers["x-functions-key"]
        self.asked[key] += 1
        await asyncio.sleep(0.01)
        return web.Response(status=self.status or (204 if key == "right" else 401))


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    host, app = Host(), web.Application()
    app.router.add_get("/api/key", host.check)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield host
    await runner.cleanup()


async def test_a_key_is_asked_for_once_and_again_when_its_verdict_is_old(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Hundreds at once are one question; a refused key is asked for again sooner; no log has a key."""
    caplog.set_level(logging.DEBUG)
    keys, later = FunctionKeys(host.url), [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later[0])
    monkeypatch.setattr(function_keys, "time", clock)
    assert all(await asyncio.gather(*(keys.accept("right") for _ in range(300))))
    assert not await keys.accept("wrong")
    for later[0], asked in ((20.0, (1, 1)), (40.0, (1, 2)), (310.0, (2, 3))):
        assert await keys.accept("right") and not await keys.accept("wrong")
        assert (host.asked["right"], host.asked["wrong"]) == asked
    await keys.close()
    assert "right" not in caplog.text and b"right" not in repr(vars(keys)).encode()


async def test_what_cannot_be_a_key_is_not_asked_for_and_memory_is_bounded(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = FunctionKeys(host.url)
    for key in ("", "a\r\nb: c", "ü", "x" * 1001):
        assert not await keys.accept(key)
    assert host.asked.total() == 0
    monkeypatch.setattr(function_keys, "_MOST", 5)
    for number in range(20):
        assert not await keys.accept(f"guess {number}")
    assert len(keys._verdicts) == 5
    await keys.close()


async def test_a_host_that_does_not_say_is_neither_yes_nor_no(host: Host) -> None:
    """And is asked again with the next request."""
    keys = FunctionKeys(host.url)
    for status in (403, 500, 302):
        host.status = status
        with pytest.raises(KeysUnavailable, match=f"answered {status}"):
            await keys.accept("right")
    host.status = 0
    assert await keys.accept("right")
    with pytest.raises(KeysUnavailable, match="WEBSITE_HOSTNAME"):
        await FunctionKeys("").accept("right")
    nowhere = FunctionKeys("http://127.0.0.1:9")
    with pytest.raises(KeysUnavailable, match="ClientConnector"):
        await nowhere.accept("right")
    await asyncio.gather(keys.close(), nowhere.close())


def test_keys_go_over_https_except_to_this_machine() -> None:
    assert _own_url("app.azurewebsites.net") == "https://app.azurewebsites.net"
    assert _own_url("127.0.0.1:7071") == "http://127.0.0.1:7071"
    assert _own_url("localhost:7071") == "http://localhost:7071"
    assert _own_url("127.0.0.1.evil.example") == "https://127.0.0.1.evil.example"


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({"api-key": "a", "Authorization": "Bearer b"}, {}, "a"),
        ({"Authorization": "bearer  b "}, {}, "b"),
        ({"Authorization": "Basic b"}, {}, None),
        ({"x-functions-key": "c"}, {}, "c"),
        ({}, {"Code": "d"}, "d"),
        ({}, {}, None),
    ],
)
def test_a_key_is_found_where_clients_send_it(
    headers: dict[str, str], query: dict[str, str], key: str | None
) -> None:
    assert key_of(Request("GET", "files", "", query, headers, b"")) == key
