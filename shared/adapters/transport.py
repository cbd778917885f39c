"""Provide sessions and a transport for the Azure SDKs that send no write twice.

aiohttp repeats an idempotent request (GET, PUT, DELETE) by itself when its connection breaks, and
`retry_total=0` does not stop that. The first PUT or DELETE may have taken effect, or may still take effect:
the caller has to know that the outcome is unknown. Reads may be repeated. See Note: the fence in
docs/design.md.
"""

from __future__ import annotations

from urllib.request import getproxies

import aiohttp
from aiohttp import ClientConnectionError, ClientConnectorError, ClientHandlerType
from azure.core.pipeline.transport import AioHttpTransport

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def sent_once() -> AioHttpTransport:
    """Return a transport that owns its session and closes it. Call this on the event loop."""
    return AioHttpTransport(session=new_session())


def new_session() -> aiohttp.ClientSession:
    """Return a session that sends no write twice. Call this on the event loop."""
    return aiohttp.ClientSession(
        # Only if a proxy is set: aiohttp then looks for it, and for a netrc file, again before each request.
        trust_env=bool(getproxies()),
        # These two are azure-core's defaults.
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        middlewares=(_send_once,),
    )


async def _send_once(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
    """Replace the two connection errors after which aiohttp would repeat a write."""
    try:
        return await send(request)
    except ClientConnectorError:  # nothing was sent, and aiohttp does not repeat it
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method in _READS:
            raise
        raise ClientConnectionError(f"the connection broke ({type(error).__name__})") from error
