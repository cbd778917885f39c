"""Documents of many requests in memory: a model that answers by what it is asked, and a process that dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.documents import threads
from shared.documents.checkpoints import CHECKPOINTS, key_of
from shared.model import TINY, Document, Large, ModelAnswer, ModelRequest, Task, prompt
from shared.wiring import assemble
from tests.fakes.world import World, config, settings

Reply = Callable[[ModelRequest], str | Exception]
FILL = "The tenant shall pay the rent for the month in advance. "
NAME = "clauses/contract.txt"
USED = (100, 10)
"""The tokens of each answer, of prompt and completion."""


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual time would pass while a thread reads a document."""
    monkeypatch.setattr(threads, "SMALL", 10_000_000)


def contract(*clauses: str, fill: int = 400) -> str:
    """Return a text with these clauses, each after `fill` sentences, and some more at the end."""
    filled = [f"{FILL}Its number is {number}. " for number in range(fill * (len(clauses) + 1))]
    for number, clause in enumerate(clauses, 1):
        filled[number * fill] += f"\n{clause}\n"
    return "".join(filled)


def cut(large: Large, **changes: Any) -> Task:
    """Return a task whose documents do not fit into one request."""
    queries = changes.get("queries", ())
    given = {"context_tokens": 12_000, "not_found": "no", **changes}
    return Task(prompt("Answer.", queries=bool(queries)), 100, large=large, **given)


class Reader:
    """A world whose model gives the reply for each request, after two to six seconds."""

    def __init__(self, task: Task, reply: Reply, **changes: Any) -> None:
        self.config = config(task=task, **{"capacity": 1000, **changes})
        self.world = World.of(self.config)
        self.reply, self.used = reply, USED
        self.asked = list[ModelRequest]()
        self.in_flight = Counter[str]()
        self._ask = self.world.azure.ask
        self.world.azure.ask = self._answer  # type: ignore[method-assign]

    async def _answer(
        self, endpoint: str, deployment: str, request: ModelRequest, *, timeout: float
    ) -> ModelAnswer:
        if request.messages[-1] == TINY.messages[-1]:
            return await self._ask(endpoint, deployment, request, timeout=timeout)
        self.asked.append(request)
        self.in_flight[request.text] += 1
        self.world.azure.answer_seconds = 2 + len(self.asked) % 5
        await self._ask(endpoint, deployment, request, timeout=timeout)
        reply = self.reply(request)
        self.in_flight -= Counter([request.text])
        if isinstance(reply, Exception):
            raise reply
        return ModelAnswer(reply, "stop", "m", *self.used)

    async def finished(self, text: str | None = None) -> Document:
        """Return the document once it has a final state. `text`: it is uploaded first."""
        if text is not None:
            self.world.upload(NAME, text)
        await self.world.until(lambda: self.world.blobs.names("inbox") == [], timedelta(hours=3))
        return await self.world.document(NAME)

    async def result(self, text: str | None = None) -> dict[str, Any]:
        """Return the stored result of a document that is answered."""
        document = await self.finished(text)
        assert document.result, document.reason
        found: dict[str, Any] = json.loads(await self.world.blobs.read("results", document.result))
        return found

    def kept(self) -> list[str]:
        """Return the names of the answers that are kept."""
        return list(self.world.blobs.names("checkpoints"))

    async def dies_after(self, kept: int) -> Counter[str]:
        """Let a process of its own die once it has kept so often; return what it asked in vain."""
        world, life, before = self.world, Mortal(kept), len(self.asked)
        ports = map(life, (world.tables, world.blobs, world.azure, world.azure))
        app = assemble(settings(self.config), world.clock, *ports)
        for _ in range(30):
            with contextlib.suppress(asyncio.CancelledError):
                await app.reconcile()
                await app.drain_backlog(50.0)
            if life.dead:
                break
            world.clock.advance(60)
        assert life.dead, "it died in the middle"
        world.clock.advance(app.context.timing.work_lease_seconds + 60)
        keys = {name.rpartition("/")[2] for name in self.kept()}
        return Counter(asked.text for asked in self.asked[before:] if f"{key_of(asked)}.json" not in keys)


class Mortal:
    """Ports of a process: after its death no call has an effect, and none returns."""

    def __init__(self, answers: int) -> None:
        """`answers`: how many it keeps until it dies."""
        self._left = answers

    @property
    def dead(self) -> bool:
        return self._left <= 0

    def __call__(self, port: Any) -> Any:
        return _Port(self, port)

    def kept(self) -> None:
        """Note that an answer is kept."""
        self._left -= 1


class _Port:
    def __init__(self, life: Mortal, port: Any) -> None:
        self._life, self._port = life, port

    def __getattr__(self, name: str) -> Any:
        async def called(*given: Any, **named: Any) -> Any:
            if not self._life.dead:
                found = await getattr(self._port, name)(*given, **named)
                if name in ("create", "append") and given[0] == CHECKPOINTS:
                    self._life.kept()
            if self._life.dead:
                raise asyncio.CancelledError
            return found

        return called
