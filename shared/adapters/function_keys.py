"""Ask the functions host whether a key is one of its own.

The host checks keys by itself only in x-functions-key and ?code=. For clients that send theirs elsewhere, a
route is open to everybody, and the app asks its own host: a GET of a route that needs a key, with that key.
https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict

import aiohttp

from shared.adapters.transport import new_session
from shared.errors import KeysUnavailable

_ROUTE = "/api/key"
_SECONDS = {True: 300.0, False: 30.0}
"""How long a verdict counts: a key that was revoked works for five minutes more."""
_MOST = 1000  # verdicts that are remembered
_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_AT_ONCE = 8  # questions to the host
_LONGEST = 1000  # characters of a key
_NO_ANSWER = "the app could not ask its host whether the key is valid: try again"


class FunctionKeys:
    """Check keys. No key is kept: verdicts are remembered by a hash with a salt of this process."""

    def __init__(self, url: str) -> None:
        """`url`: of the app's host; empty if that is unknown."""
        self._url = url
        self._salt = secrets.token_bytes(32)
        self._verdicts: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        self._asked: dict[bytes, asyncio.Task[bool]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def accept(self, key: str) -> bool:
        """Return whether the host accepts a key. Raises KeysUnavailable if it does not say."""
        if not key or len(key) > _LONGEST or not key.isascii() or not key.isprintable():
            return False
        digest = hashlib.blake2b(key.encode(), key=self._salt, digest_size=32).digest()
        verdict, until = self._verdicts.get(digest, (False, 0.0))
        if time.monotonic() < until:
            return verdict
        if (asked := self._asked.get(digest)) is None:
            asked = self._asked[digest] = asyncio.create_task(self._ask(key))
            asked.add_done_callback(lambda task: self._note(digest, task))
        return await asyncio.shield(asked)

    def _note(self, digest: bytes, asked: asyncio.Task[bool]) -> None:
        del self._asked[digest]
        if asked.cancelled() or asked.exception() is not None:
            return
        self._verdicts[digest] = asked.result(), time.monotonic() + _SECONDS[asked.result()]
        self._verdicts.move_to_end(digest)
        while len(self._verdicts) > _MOST:
            self._verdicts.popitem(last=False)

    async def _ask(self, key: str) -> bool:
        if not self._url:
            raise KeysUnavailable("the app does not know its host's name: set WEBSITE_HOSTNAME")
        if self._session is None:
            self._session = new_session()
        try:
            async with (
                self._places,
                self._session.get(
                    f"{self._url}{_ROUTE}",
                    headers={"x-functions-key": key},
                    timeout=_TIMEOUT,
                    allow_redirects=False,
                ) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KeysUnavailable(f"{_NO_ANSWER} ({type(error).__name__})") from None
        if status not in (204, 401):
            raise KeysUnavailable(f"{_NO_ANSWER} (it answered {status})")
        return status == 204
