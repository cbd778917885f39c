"""One HTTP call to a server on this machine, answered whatever its status."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

_TIMEOUT = 90.0  # seconds; the longest call waits a minute for its result
_OPENER = build_opener(ProxyHandler({}))  # the environment's proxies are not for this machine


@dataclass(frozen=True)
class Answer:
    """What came back; header names in any case."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def call(
    url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Make the call. Raises URLError when nobody answers."""
    request = Request(url, body, dict(headers or {}), method=method)
    try:
        with _OPENER.open(request, timeout=_TIMEOUT) as response:
            return Answer(response.status, response.headers, response.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())
