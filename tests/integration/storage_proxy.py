"""A proxy in front of Azurite that refuses, hangs, stalls, loses answers, is slow, or has a wrong clock.

Azurite itself has one key with all rights, and answers at once. Azure grants reading, writing and deleting
separately, has many more reasons to refuse, and its networks drop answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

_MESSAGE = "This request is not authorized to perform this operation using this permission."
# The transport sets these for each connection; the SDK's signature does not cover them.
_OF_A_CONNECTION = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass
class _Refusal:
    method: str
    part: str
    after: int
    status: int
    code: str


@dataclass
class _Trouble:
    method: str
    part: str
    times: int

    def strikes(self, request: web.Request) -> bool:
        hit = self.times > 0 and self.method == request.method and self.part in request.raw_path
        self.times -= hit
        return hit


@dataclass
class _Loss(_Trouble):
    status: int | None
    breaks: bool


@dataclass
class _Pieces(_Trouble):
    """A body that is sent in pieces, with seconds between them, and ends after so many bytes."""

    size: int
    pause: float
    ends_after: int | None


@dataclass
class StorageProxy:
    """One service of a storage account. `url` replaces its address in the app settings."""

    url: str
    skew: timedelta = timedelta(0)  # of the server's clock in its Date header
    calls: list[str] = field(default_factory=list)  # method and path of every call, in order
    _refusals: list[_Refusal] = field(default_factory=list)
    _hangs: list[_Trouble] = field(default_factory=list)
    _losses: list[_Loss] = field(default_factory=list)
    _pieces: list[_Pieces] = field(default_factory=list)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    def hang(self, method: str, part: str, *, times: int = 1000) -> None:
        """Accept such calls and never answer; they have no effect."""
        self._hangs.append(_Trouble(method, part, times))

    def lose(
        self, method: str, part: str, *, times: int = 1, status: int | None = None, breaks: bool = False
    ) -> None:
        """Let such calls take effect and never answer, answer with that status, or break the connection."""
        self._losses.append(_Loss(method, part, times, status, breaks))

    def stall(self, part: str, *, after: int, times: int = 1000) -> None:
        """Answer such downloads with the first bytes and then no more."""
        self._pieces.append(_Pieces("GET", part, times, after, 0.0, after))

    def slow(self, part: str, *, size: int, pause: float) -> None:
        """Answer such downloads in pieces of so many bytes, with seconds between them."""
        self._pieces.append(_Pieces("GET", part, 1000, size, pause, None))

    def refuse(
        self,
        method: str,
        part: str,
        *,
        after: int = 0,
        status: int = 403,
        code: str = "AuthorizationPermissionMismatch",
    ) -> None:
        """Refuse calls of that method with `part` in path or query, after letting `after` of them pass."""
        self._refusals.append(_Refusal(method, part, after, status, code))

    def refusal_of(self, request: web.Request) -> web.Response | None:
        """Return an error in the words of Azure's service; None for a call that may pass."""
        for each in self._refusals:
            if each.method != request.method or each.part not in request.raw_path:
                continue
            if each.after:
                each.after -= 1
                continue
            headers = {"x-ms-error-code": each.code}
            if request.headers.get("Accept", "").startswith("application/json"):
                error = {"code": each.code, "message": {"lang": "en-US", "value": _MESSAGE}}
                return web.json_response({"odata.error": error}, status=each.status, headers=headers)
            text = (
                f"<?xml version='1.0'?><Error><Code>{each.code}</Code><Message>{_MESSAGE}</Message></Error>"
            )
            return web.Response(
                text=text, content_type="application/xml", status=each.status, headers=headers
            )
        return None

    async def in_pieces(
        self, request: web.Request, status: int, headers: dict[str, str], content: bytes, how: _Pieces
    ) -> web.StreamResponse:
        """Send the body in pieces as `how` defines."""
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(content)
        await response.prepare(request)
        for start in range(0, len(content), how.size):
            if how.ends_after is not None and start >= how.ends_after:
                await self._closing.wait()
                break
            await response.write(content[start : start + how.size])
            await asyncio.sleep(how.pause)
        return response


@asynccontextmanager
async def storage_proxy(uri: str) -> AsyncIterator[StorageProxy]:
    """Run a proxy in front of the blob or table service at `uri` until the context ends."""
    parts = urlsplit(uri)
    proxy = StorageProxy("")

    async def serve(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        proxy.calls.append(f"{request.method} {request.raw_path}")
        if any(each.strikes(request) for each in proxy._hangs):
            await proxy._closing.wait()
        if (refused := proxy.refusal_of(request)) is not None:
            return refused
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in _OF_A_CONNECTION
        }
        url = URL(f"{parts.scheme}://{parts.netloc}{request.raw_path}", encoded=True)
        # A header that is not signed would break the signature.
        added = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
        async with session.request(
            request.method, url, data=body, headers=headers, skip_auto_headers=added
        ) as answer:
            shown = {
                name: value for name, value in answer.headers.items() if name.lower() not in _OF_A_CONNECTION
            }
            shown["Date"] = format_datetime(
                parsedate_to_datetime(answer.headers["Date"]) + proxy.skew, usegmt=True
            )
            content = await answer.read()
            for loss in proxy._losses:
                if loss.strikes(request):
                    if loss.breaks and request.transport is not None:
                        request.transport.close()
                        return web.Response()
                    if loss.status is not None:
                        return web.Response(status=loss.status)
                    await proxy._closing.wait()
            for each in proxy._pieces:
                if each.strikes(request):
                    return await proxy.in_pieces(request, answer.status, shown, content, each)
            return web.Response(body=content, status=answer.status, headers=shown)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, access_log=None)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}{parts.path}"
            yield proxy
        finally:
            proxy._closing.set()
            await runner.cleanup()
