"""Answer a request of an OpenAI client: check its key, then call the route.

Both styles lead to the same routes: /api/openai/v1/files, and /api/openai/files?api-version=… The functions
host lets everybody in here, as it finds no key where these clients send it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.app import Lamplighter
from shared.doors.api import refuse_repeated, refuse_unknown
from shared.doors.openai import batches, files
from shared.doors.openai.wire import Answer, Refused, Request, answer_of
from shared.errors import KeysUnavailable, LamplighterError, SettingsError

_EVERYWHERE = ("api-version",)
_PAGE = ("limit", "after")


@dataclass(frozen=True)
class Route:
    """A route. `path`: below openai/ or openai/v1/; its groups are arguments. `query`: what it takes."""

    method: str
    path: re.Pattern[str]
    answer: Callable[..., Awaitable[Answer]]
    query: tuple[str, ...] = ()


ROUTES = tuple(
    Route(method, re.compile(path), answer, query)
    for method, path, answer, query in (
        ("POST", r"files", files.create, ()),
        ("GET", r"files", files.listed, (*_PAGE, "order", "purpose")),
        ("GET", r"files/([^/]{1,100})", files.retrieve, ()),
        ("GET", r"files/([^/]{1,100})/content", files.content, ()),
        ("DELETE", r"files/([^/]{1,100})", files.delete, ()),
        ("POST", r"batches", batches.create, ()),
        ("GET", r"batches", batches.listed, _PAGE),
        ("GET", r"batches/([^/]{1,100})", batches.retrieve, ()),
        ("POST", r"batches/([^/]{1,100})/cancel", batches.cancel, ()),
    )
)


async def answer(
    request: Request,
    accepts: Callable[[str], Awaitable[bool]],
    current: Callable[[], Awaitable[Lamplighter]],
) -> Answer:
    """Return the response. `accepts`: says whether a key is valid; `current`: gives the app.

    Nothing is told without a key, not even what is wrong with the configuration.
    """
    try:
        await _refuse_without_key(request, accepts)
        route, arguments = _route(request)
        known = (*route.query, *_EVERYWHERE)
        if refused := refuse_unknown(request.query, known) or refuse_repeated(request.url, known):
            raise Refused(refused.body["error"], code="unknown_parameter")
        return await route.answer(await current(), request, *arguments)
    except LamplighterError as error:
        return answer_of(error)


async def _refuse_without_key(request: Request, accepts: Callable[[str], Awaitable[bool]]) -> None:
    key = key_of(request)
    try:
        if key is not None and await accepts(key):
            return
    except SettingsError:
        raise KeysUnavailable("the app cannot start: its operator sees why in its alerts") from None
    raise Refused(
        "no valid key: send a function key of the app as api-key, or as Authorization: Bearer",
        status=401,
        code="invalid_api_key",
    )


def key_of(request: Request) -> str | None:
    """Return the key with which a request came; None if it has none."""
    headers = request.headers
    scheme, _, token = (headers.get("Authorization") or "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else None
    code = next((value for name, value in request.query.items() if name.lower() == "code"), None)
    return headers.get("api-key") or bearer or headers.get("x-functions-key") or code or None


def _route(request: Request) -> tuple[Route, tuple[str, ...]]:
    path = request.path.strip("/").removeprefix("v1/")
    found = [(route, match) for route in ROUTES if (match := route.path.fullmatch(path))]
    for route, match in found:
        if route.method == request.method.upper():
            return route, match.groups()
    if found:
        methods = ", ".join(sorted({route.method for route, _ in found}))
        raise Refused(f"this route takes {methods}", status=405)
    raise Refused(
        "no such route: files and batches are served, below openai/v1/ or with api-version", status=404
    )
