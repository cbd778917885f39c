"""Receivers of events that are down, refuse, or whose answer is lost; and what they must have got at the end.

The judge derives the events that are due from the rows of documents and records alone, as they are written.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.errors import EventRefused, ReceiverUnavailable
from shared.model import Receiver
from shared.ports import Insert, Remove, Replace

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

_FINAL = ("done", "failed")
_REFUSED = 0.05  # share of events that a receiver refuses in a storm
_LOST = 0.1  # share of the answers that are lost in a storm
TICKS = 150.0
"""Seconds in calm weather after which everything that waited is delivered: two ticks, and some room."""


class Receivers:
    """All receivers, and the events that they got from our side."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._got: defaultdict[str, dict[str, str]] = defaultdict(dict)  # by URL and id
        self._due: defaultdict[str, Counter[str]] = defaultdict(Counter)  # what was due, by deployment
        self._last: dict[str, Mapping[str, Any]] = {}  # each record, as last written
        self._refused: Counter[tuple[str, str]] = Counter()
        self.busy_until = 0.0
        """When events that could not be delivered may still wait for their next try."""

    # --- what is due ----------------------------------------------------------------------------

    def document_written(self, deployment: str, change: Insert | Replace | Remove) -> None:
        """Note the event of a document's final state."""
        if isinstance(change, Remove) or not change.key.startswith("d "):
            return
        state = str(change.values["state"])
        if state in _FINAL:
            self._due[deployment][f"document.{state} {change.values['id']}.{change.values['run']}"] += 1
            self._waits(TICKS)

    def record_written(self, name: str, values: Mapping[str, Any]) -> None:
        """Note the events of a change of a deployment's record."""
        last = self._last.get(name, {"state": "absent", "settled": True})
        self._last[name] = values
        before, after, due = last["state"], values["state"], self._due[name]
        if any(values.get(each, 0) > last.get(each, 0) for each in ("failures", "unanswered_runs")):
            due["deployment.refused"] += 1
        if after == "creating" and values["settled"]:
            due["deployment.waking"] += before == "absent" or (before == "creating" and not last["settled"])
        if after == "open":
            due["deployment.ready"] += before in ("absent", "creating")
        if after == "absent" != before:
            due["deployment.closed"] += bool(values.get("seen_at") or values.get("opened_at"))
        self._waits(TICKS)

    def _waits(self, seconds: float) -> None:
        self.busy_until = max(self.busy_until, self._world.seconds() + seconds)

    # --- what arrives ---------------------------------------------------------------------------

    async def take(self, process: Process, receiver: Receiver, event: str) -> None:
        """Take an event, or fail as the weather and the outages of the receiver have it."""
        world, url = self._world, receiver.url
        if any(begins <= world.seconds() < ends for begins, ends in world.scenario.deaf.get(url, ())):
            self._waits(TICKS)
            if world.random.random() < 0.3:
                await process.sleep(10.0)
            raise ReceiverUnavailable(f"{receiver.shown} is down")
        found = json.loads(event)
        chance = world.random.random() if world.weather.stormy else 1.0
        if chance < _REFUSED:
            self._refused[url, found["id"]] += 1
            self._waits(60.0 * 2 ** self._refused[url, found["id"]] + TICKS)
            raise EventRefused(f"{receiver.shown} refuses it", code="400")
        if process.side is world.ours:
            self._arrived(url, found["id"], event)
        if chance < _REFUSED + _LOST:
            self._waits(TICKS)
            raise ReceiverUnavailable(f"{receiver.shown}: the answer was lost")

    def _arrived(self, url: str, event_id: str, event: str) -> None:
        earlier = self._got[url].setdefault(event_id, event)
        if earlier != event:
            self._world.judge.fault("misreported", f"two events have the id {event_id}")

    # --- the end --------------------------------------------------------------------------------

    def at_the_end(self) -> None:
        """Check that each receiver got each event that was due, and no other one."""
        for name, config in self._world.people.configured.items():
            for receiver in config.notify:
                self._check(name, receiver)

    def _check(self, name: str, receiver: Receiver) -> None:
        events = [json.loads(event) for event in self._got[receiver.url].values()]
        got = Counter(_named(event) for event in events if event["data"]["deployment"] == name)
        due = +Counter({each: n for each, n in self._due[name].items() if each.split()[0] in receiver.events})
        for missing in due - got:
            self._world.judge.fault("unsent", f"{receiver.shown} did not get {missing} of {name}")
        for other in got - due:
            self._world.judge.fault("misreported", f"{receiver.shown} got {other} of {name}, which was not")


def _named(event: Mapping[str, Any]) -> str:
    kind, data = str(event["type"]).removeprefix("lamplighter."), event["data"]
    return f"{kind} {data['document']}.{data['run']}" if "document" in data else kind


class SimSender:
    """An implementation of `shared.ports.Sender` with faults."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def send(self, receiver: Receiver, event: str, *, timeout: float) -> None:
        """See the port."""
        await self._process.arrive()
        await self._process.world.receivers.take(self._process, receiver, event)
        await self._process.depart()
