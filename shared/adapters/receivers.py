"""Send events to Event Grid topics, storage queues and webhooks: one POST each, never sent twice by itself.

- Event Grid: https://learn.microsoft.com/azure/event-grid/post-to-custom-topic (CloudEvents, structured mode)
- Queue: https://learn.microsoft.com/rest/api/storageservices/put-message; base64, as Azure Functions reads it
- Webhook: CloudEvents over HTTP, signed as https://www.standardwebhooks.com says
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import aiohttp
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError

from shared.adapters.credentials import is_local, local_queue_address, token_credential
from shared.adapters.transport import new_session
from shared.errors import EventRefused, ReceiverUnavailable
from shared.model import Receiver, ReceiverKind

_CLOUD_EVENT = "application/cloudevents+json; charset=utf-8"
_EVENT_GRID_VERSION, _STORAGE_VERSION = "2018-01-01", "2021-12-02"
_SCOPES = {
    ReceiverKind.EVENT_GRID: "https://eventgrid.azure.net/.default",
    ReceiverKind.QUEUE: "https://storage.azure.com/.default",
}
# These concern the receiver. Others may concern the event that was sent: a 500 is often a mistake in the
# receiver's code that other events do not meet.
_NOT_NOW = frozenset({408, 429, 502, 503, 504})
_LOOK = 4096  # bytes of Azure's answer that are read, for its code
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_FRESH = 300.0  # seconds for which a token must still be valid
_DENIED = {
    ReceiverKind.EVENT_GRID: "grant the app's identity the role EventGrid Data Sender on the topic",
    ReceiverKind.QUEUE: "grant the app's identity the role Storage Queue Data Message Sender on the queue",
    ReceiverKind.WEBHOOK: "check that the receiver has the same secret",
}


@dataclass(frozen=True)
class _Post:
    url: str
    body: str
    headers: Mapping[str, str]


class HttpSender:
    """The implementation of `shared.ports.Sender`."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._credential: Any = None
        self._tokens: dict[str, AccessToken] = {}

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
        if self._credential is not None:
            await self._credential.close()

    async def send(self, receiver: Receiver, event: str, *, timeout: float) -> None:
        """See the port."""
        try:
            async with asyncio.timeout(timeout):
                status, code = await self._send(receiver, await self._post(receiver, event))
        except TimeoutError as error:
            raise ReceiverUnavailable(f"{receiver.shown} did not answer within {timeout:.0f} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: no host can have this name
            what = f"{receiver.shown} did not answer ({type(error).__name__}): check its address"
            raise ReceiverUnavailable(what) from None  # its text may have the whole URL
        except AzureError as error:
            what = f"there is no token for {receiver.shown}: check AZURE_CLIENT_ID, or run az login"
            raise ReceiverUnavailable(what, code="no_identity") from error
        if not 200 <= status < 300:
            _refuse(receiver, status, code)

    async def _send(self, receiver: Receiver, post: _Post) -> tuple[int, str]:
        """Return the answer's status, and its code; empty if there is none."""
        if self._session is None:
            self._session = new_session()
        async with self._session.post(
            post.url, data=post.body.encode(), headers=post.headers, allow_redirects=False
        ) as answer:
            # The status decides. A webhook's own words, which may repeat the event, are not logged.
            if answer.ok or receiver.kind is ReceiverKind.WEBHOOK:
                return answer.status, ""
            code = answer.headers.get("x-ms-error-code") or _code_in(await answer.content.read(_LOOK))
            return answer.status, code if _CODE.fullmatch(code) else ""

    async def _post(self, receiver: Receiver, event: str) -> _Post:
        match receiver.kind:
            case ReceiverKind.EVENT_GRID:
                headers = {"Content-Type": _CLOUD_EVENT, **await self._token(receiver)}
                return _Post(f"{receiver.url}?api-version={_EVENT_GRID_VERSION}", event, headers)
            case ReceiverKind.QUEUE:
                message = base64.b64encode(event.encode()).decode()
                body = f"<QueueMessage><MessageText>{message}</MessageText></QueueMessage>"
                headers = {
                    "Content-Type": "application/xml",
                    "x-ms-date": formatdate(usegmt=True),
                    "x-ms-version": _STORAGE_VERSION,
                }
                if is_local(receiver.url):
                    return _Post(local_queue_address(f"{receiver.url}/messages"), body, headers)
                return _Post(f"{receiver.url}/messages", body, {**headers, **await self._token(receiver)})
            case ReceiverKind.WEBHOOK:
                signed = signature(receiver.secret, json.loads(event)["id"], event, round(time.time()))
                return _Post(receiver.url, event, {"Content-Type": _CLOUD_EVENT, **signed})

    async def _token(self, receiver: Receiver) -> dict[str, str]:
        scope = "local" if is_local(receiver.url) else _SCOPES[receiver.kind]
        token = self._tokens.get(scope)
        if token is None or token.expires_on - time.time() < _FRESH:
            if is_local(receiver.url):
                token = await token_credential(receiver.url).get_token(scope)
            else:
                self._credential = self._credential or token_credential(receiver.url)
                token = await self._credential.get_token(scope)
            self._tokens[scope] = token
        return {"Authorization": f"Bearer {token.token}"}


def signature(secret: str, event_id: str, body: str, sent_at: int) -> dict[str, str]:
    """Return the headers that sign a body. `secret`: base64; `sent_at`: seconds since 1970."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{sent_at}.{body}".encode(), hashlib.sha256).digest()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(sent_at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _code_in(body: bytes) -> str:
    """Return the code of an error in Azure's form; empty if there is none."""
    try:
        code = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError, RecursionError):  # the last one: brackets in brackets
        return ""
    return code if isinstance(code, str) else ""


def _refuse(receiver: Receiver, status: int, code: str) -> None:
    """Raise EventRefused or ReceiverUnavailable for an answer that is no success."""
    code = code or str(status)
    if status in (401, 403):
        raise ReceiverUnavailable(
            f"{receiver.shown} does not let the app in ({code}): {_DENIED[receiver.kind]}", code=code
        )
    if status in (404, 410) or 300 <= status < 400:
        remedy = "check its address: it must exist, and not be redirected"
        raise ReceiverUnavailable(f"{receiver.shown} is not there ({code}): {remedy}", code=code)
    if status in _NOT_NOW:
        raise ReceiverUnavailable(f"{receiver.shown} takes no events now ({code})", code=code)
    raise EventRefused(f"{receiver.shown} refuses an event ({code})", code=code)
