"""Receivers of events in memory. A test decides which of them are down, and what they refuse."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from shared.errors import EventRefused, ReceiverUnavailable
from shared.model import Receiver


class MemoryReceivers:
    """An implementation of `shared.ports.Sender`. `got`: the events that each receiver took, by its URL.

    `hangs`: which events no receiver answers.
    """

    def __init__(self) -> None:
        self.got: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.down: set[str] = set()
        self.refuses: Callable[[dict[str, Any]], bool] = lambda _: False
        self.hangs: Callable[[dict[str, Any]], bool] = lambda _: False
        self.tries = 0

    async def send(self, receiver: Receiver, event: str, *, timeout: float) -> None:
        """See the port."""
        self.tries += 1
        if receiver.url in self.down:
            raise ReceiverUnavailable(f"{receiver.shown} is down", code="503")
        found = json.loads(event)
        if self.hangs(found):
            raise ReceiverUnavailable(f"{receiver.shown} did not answer within {timeout:.0f} s")
        if self.refuses(found):
            raise EventRefused(f"{receiver.shown} refuses it", code="400")
        self.got[receiver.url].append(found)
