"""What documents take in memory: who waits, who passes, what is refused unread; the event loop is free."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from shared.documents import source
from shared.documents.ask import least_tokens
from shared.documents.plan import plan
from shared.documents.read import read_text
from shared.documents.readers.part import Part
from shared.documents.source import TO_LOOK_AT, Memory, Sources
from shared.documents.threads import SMALL
from shared.errors import DocumentRefused
from shared.model import DocumentState, Task, prompt
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.clock import VirtualClock
from tests.fakes.world import PRICES, World, config

MB = 1_000_000
GENEROUS = config(capacity=20_000)  # admits 20 million tokens a minute: 80 MB of English


class Crowd:
    """Documents that want into a room; each stays until it is let out."""

    def __init__(self, room: Memory) -> None:
        self.inside: list[str] = []
        self._room = room
        self._out: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, size: int, *, wanted: bool = True) -> None:
        """Somebody wants in, and everybody else does what they can."""
        self._out[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._stay(name, size, wanted))
        await self._settle()

    async def go(self, name: str) -> None:
        """Somebody leaves."""
        self._out[name].set()
        await self._settle()

    async def cancel(self, name: str) -> None:
        """Somebody is cancelled, inside or in the queue."""
        self._tasks[name].cancel()
        await self._settle()

    async def _stay(self, name: str, size: int, wanted: bool) -> None:
        async with self._room.held(size, lambda: wanted) as entered:
            if not entered:
                return
            self.inside.append(name)
            try:
                await self._out[name].wait()
            finally:
                self.inside.remove(name)

    @staticmethod
    async def _settle() -> None:
        for _ in range(10):
            await asyncio.sleep(0)


async def test_who_comes_first_enters_first() -> None:
    """A large one is not passed by for ever by smaller ones; a tiny one harms nobody and never waits."""
    crowd = Crowd(Memory(10 * MB))
    await crowd.come("a", 6 * MB)
    await crowd.come("large", 9 * MB)
    await crowd.come("b", 1 * MB)
    await crowd.come("tiny", SMALL)
    assert crowd.inside == ["a", "tiny"]
    await crowd.go("a")
    assert crowd.inside == ["tiny", "large", "b"]


async def test_one_that_is_larger_than_the_room_enters_alone() -> None:
    """It waits until the room is empty, and nobody enters beside it."""
    crowd = Crowd(Memory(10 * MB))
    await crowd.come("a", 1 * MB)
    await crowd.come("huge", 50 * MB)
    await crowd.come("b", 1 * MB)
    assert crowd.inside == ["a"]
    await crowd.go("a")
    assert crowd.inside == ["huge"]
    await crowd.go("huge")
    assert crowd.inside == ["b"]


async def test_who_is_cancelled_or_does_not_want_in_any_more_stands_in_nobodys_way() -> None:
    """In the queue as well as inside: the next ones enter, and all room is free in the end."""
    room = Memory(10 * MB)
    crowd = Crowd(room)
    await crowd.come("a", 8 * MB)
    await crowd.come("cancelled", 9 * MB)
    await crowd.come("unwanted", 9 * MB, wanted=False)
    await crowd.come("b", 2 * MB)
    assert crowd.inside == ["a"]
    await crowd.cancel("cancelled")
    assert crowd.inside == ["a", "b"]
    await crowd.cancel("a")
    await crowd.come("c", 8 * MB)
    assert crowd.inside == ["b", "c"]
    await crowd.go("b")
    await crowd.cancel("c")
    await crowd.come("all of it", 10 * MB)
    assert crowd.inside == ["all of it"]


async def test_cancelling_just_as_the_turn_comes_loses_no_room() -> None:
    """At any of the steps in which it may happen."""
    for steps in range(8):
        crowd = Crowd(Memory(10 * MB))
        await crowd.come("a", 8 * MB)
        await crowd.come("b", 8 * MB)
        leaving = asyncio.create_task(crowd.go("a"))
        for _ in range(steps):
            await asyncio.sleep(0)
        await crowd.cancel("b")
        await leaving
        await crowd.come("all of it", 10 * MB)
        assert crowd.inside == ["all of it"], steps


# --- refused unread ----------------------------------------------------------------------------------


async def test_what_no_minute_admits_is_refused_by_its_size_alone() -> None:
    """A thousand tokens a minute: a file that has more even at two bytes a letter is not decoded.

    Its size says nothing of a file with pictures in it: that one is read.
    """
    blobs = MemoryBlobs(VirtualClock())
    sources, task = Sources(blobs), Task(prompt(""), 0)
    deployment = config(capacity=1, task=task)
    page = b"<html><img src='data:" + b"x" * 24_000 + b"'><p>A short page."
    for name, data in (("fits", ("x " * 900).encode("utf-16")), ("does not", bytes(24_000)), ("page", page)):
        blobs.upload("inbox", name, data)
    await sources.look_at("inbox", "fits", None, 3602, deployment, PRICES)
    with pytest.raises(DocumentRefused, match="the deployment admits 1,000 a minute"):
        await sources.look_at("inbox", "does not", None, 24_000, deployment, PRICES)
    await sources.look_at("inbox", "page", None, len(page), deployment, PRICES)
    await sources.close()


def _files() -> Iterator[bytes]:
    dice = random.Random(7)
    for text in ("x", "plain text ", "Größe ", "Привет мир ", "これは長い文書です。", "emoji 📄 ", " \n"):
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252", "cp1251", "cp932", "gb18030", "koi8_r"):
            try:
                yield f"{text}\n".encode(encoding) * dice.randint(1, 60)
            except UnicodeEncodeError:
                continue


def test_the_size_alone_never_refuses_what_reading_would_admit() -> None:
    """In every alphabet and encoding that is read: the bound is never above what is found in the text."""
    compared = 0
    for data in _files():
        try:
            asked = plan([Part(read_text(data))], GENEROUS, PRICES).largest
        except DocumentRefused:
            continue
        compared += 1
        found = asked.tokens
        assert least_tokens(len(data), GENEROUS.task) <= found
    assert compared > 20


async def test_the_configured_capacity_counts() -> None:
    """An upload that no minute admits becomes a dead letter with the reason, and nothing is deployed."""
    world = World.of(config(capacity=1))
    world.upload("clauses/a.txt", b"\x00" * 30_000)  # not even refused as no text: it was not decoded
    await world.tick()
    document = await world.document("clauses/a.txt")
    assert document.state is DocumentState.FAILED
    assert "split the document, or have sku.capacity raised" in document.reason


async def test_a_text_that_python_keeps_at_four_bytes_a_character_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One emoji makes a text four times as large in memory; its length alone is no reason to refuse it."""
    monkeypatch.setattr(source, "WIDEST", 1 * MB)
    sources = Sources(MemoryBlobs(VirtualClock()))
    await sources.look_at_body("a", b"x" * 3_000_000, GENEROUS, PRICES)
    with pytest.raises(DocumentRefused, match="takes more memory"):
        await sources.look_at_body("a", b"x" * 300_000 + "📄".encode(), GENEROUS, PRICES)


# --- the event loop ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
async def test_the_loop_goes_on_while_a_large_file_is_decoded(encoding: str) -> None:
    """What renews leases has its turn again and again before the file is read."""
    line = "Имя;Улица;Размер\n".encode(encoding)
    data, sources, turns = line * (8 * MB // len(line)), Sources(MemoryBlobs(VirtualClock())), 0

    async def beat() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    beats = asyncio.create_task(beat())
    await sources.look_at_body("a", data, GENEROUS, PRICES)
    beats.cancel()
    assert turns > 2


async def test_large_files_are_looked_at_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six files of 20 MB: never two of them are in memory at once."""
    blobs, together, most = MemoryBlobs(VirtualClock()), 0, 0

    async def counted(self: Sources, *_: object) -> list[Part]:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await asyncio.sleep(0)
        together -= 1
        return [Part("its text")]

    monkeypatch.setattr(Sources, "read", counted)
    sources = Sources(blobs)
    looks = (sources.look_at("inbox", "x", None, TO_LOOK_AT, GENEROUS, PRICES) for _ in range(6))
    await asyncio.gather(*looks)
    assert most == 1
