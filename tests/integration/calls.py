"""Make an HTTP call to a server on this machine. No status is an error."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

_TIMEOUT = 90.0  # seconds; the longest call waits a minute for its result
_OPENER = build_opener(ProxyHandler({}))  # without the environment's proxies


@dataclass(frozen=True)
class Answer:
    """The response; header names in any case."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """Return the parsed body."""
        return json.loads(self.body)


def call(
    url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Make the call. Raises URLError if no server answers."""
    request = Request(url, body, dict(headers or {}), method=method)
    try:
        with _OPENER.open(request, timeout=_TIMEOUT) as response:
            return Answer(response.status, response.headers, response.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())
