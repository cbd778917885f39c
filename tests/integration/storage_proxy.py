"""A proxy in front of Azurite that refuses what an identity may not do, or whose clock is off.

Azurite itself knows one key that may do everything; Azure grants reading, writing and deleting apart.
"""

from __future__ import annotations

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
# Set by the transport for each connection of its own; the SDK's signature does not cover them.
_OF_A_CONNECTION = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass
class _Refusal:
    method: str
    part: str
    after: int
    status: int
    code: str


@dataclass
class StorageProxy:
    """One service of a storage account. `url` takes the place of its address in the app settings."""

    url: str
    skew: timedelta = timedelta(0)  # of the server's clock, as its Date header tells it
    _refusals: list[_Refusal] = field(default_factory=list)

    def refuse(
        self,
        method: str,
        part: str,
        *,
        after: int = 0,
        status: int = 403,
        code: str = "AuthorizationPermissionMismatch",
    ) -> None:
        """Refuse calls of that method with `part` in path or query, once `after` of them were let through."""
        self._refusals.append(_Refusal(method, part, after, status, code))

    def refusal_of(self, request: web.Request) -> web.Response | None:
        """Azure's error, as its service words it; None for what may pass."""
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


@asynccontextmanager
async def storage_proxy(uri: str) -> AsyncIterator[StorageProxy]:
    """Stand before the blob or table service at `uri` while the context is open."""
    parts = urlsplit(uri)
    proxy = StorageProxy("")

    async def serve(request: web.Request) -> web.Response:
        body = await request.read()
        if (refused := proxy.refusal_of(request)) is not None:
            return refused
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in _OF_A_CONNECTION
        }
        url = URL(f"{parts.scheme}://{parts.netloc}{request.raw_path}", encoded=True)
        # A header that the signature does not know would break it.
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
            return web.Response(body=await answer.read(), status=answer.status, headers=shown)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, access_log=None)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}{parts.path}"
            yield proxy
        finally:
            await runner.cleanup()
