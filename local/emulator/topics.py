"""Event Grid custom topics: they take CloudEvents, and show what arrived.

https://learn.microsoft.com/azure/event-grid/post-to-custom-topic. A topic exists from its first event on, and
delivers to nobody.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from local.emulator.faults import Faults
from local.emulator.refusals import Refusal

API_VERSION = "2018-01-01"
_LARGEST = 1024 * 1024  # bytes of an event, and of a batch
_KEPT = 10_000  # events of a topic
_ONE, _BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@dataclass(frozen=True)
class Topics:
    """The handlers of all topics."""

    faults: Faults
    _arrived: defaultdict[str, deque[Any]] = field(
        init=False, default_factory=lambda: defaultdict(lambda: deque(maxlen=_KEPT))
    )

    def routes(self) -> Iterable[web.RouteDef]:
        return (
            web.post("/topics/{topic}/api/events", self.publish),
            web.get("/emulator/events", self.list_events),
        )

    async def publish(self, request: web.Request) -> web.StreamResponse:
        """Take one event, or a batch of them: all or none."""
        topic, body = request.match_info["topic"], await request.read()

        async def act() -> web.Response:
            try:
                self._arrived[topic].extend(_events(request, body))
            except Refusal as refusal:
                return refusal.response()
            return web.Response()

        return await self.faults.carry_out(self.faults.take("events", "publish", topic), request, act)

    async def list_events(self, request: web.Request) -> web.Response:
        """Return the events of a topic, the oldest first."""
        return web.json_response({"events": list(self._arrived.get(request.query.get("topic", ""), ()))})


def _events(request: web.Request, body: bytes) -> list[dict[str, Any]]:
    """Return the events of a request. Raises Refusal."""
    if not request.headers.get("Authorization", "").startswith("Bearer "):
        raise Refusal(
            401, {"code": "Unauthorized", "message": "Request must contain an authorization token."}
        )
    if request.query.get("api-version") != API_VERSION:
        raise _bad(f"The api-version must be {API_VERSION}.")
    if len(body) > _LARGEST:
        raise Refusal(
            413, {"code": "RequestEntityTooLarge", "message": "The maximum size (1048576) was exceeded."}
        )
    if request.content_type not in (_ONE, _BATCH):
        raise _bad(f"The Content-Type must be {_ONE} or {_BATCH}.")
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise _bad("The body is no JSON.") from None
    events = given if request.content_type == _BATCH else [given]
    if not isinstance(events, list) or not all(map(_is_event, events)):
        raise _bad("This is no CloudEvent 1.0: id, source and type must be texts that are not empty.")
    return events


def _is_event(given: Any) -> bool:
    if not isinstance(given, dict) or given.get("specversion") != "1.0":
        return False
    return all(isinstance(given.get(name), str) and given[name] for name in ("id", "source", "type"))


def _bad(message: str) -> Refusal:
    return Refusal(400, {"code": "BadRequest", "message": message})
