"""A transport for the Azure SDKs that sends no write twice.

aiohttp sends an idempotent request (GET, PUT, DELETE) again by itself when its connection breaks, which
`retry_total=0` does not stop. The first PUT or DELETE may have taken effect, or may still: the caller has to
know that its outcome is unknown. Reads may be sent again.
"""

from __future__ import annotations

import aiohttp
from aiohttp import ClientConnectionError, ClientConnectorError, ClientHandlerType
from azure.core.pipeline.transport import AioHttpTransport

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def sent_once() -> AioHttpTransport:
    """A transport with a session of its own, which closing it closes. Call it on the event loop."""
    session = aiohttp.ClientSession(
        trust_env=True,  # as azure-core has it, and so the two below
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        middlewares=(_send_once,),
    )
    return AioHttpTransport(session=session)


async def _send_once(request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
    """Hide a broken connection's kind from aiohttp, which sends again for two kinds only."""
    try:
        return await send(request)
    except ClientConnectorError:  # nothing was sent, and aiohttp does not send it again
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method in _READS:
            raise
        raise ClientConnectionError(f"the connection broke ({type(error).__name__})") from error
