"""The answers for a document outlive a process: only requests in flight are repeated, and no cost is lost."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.documents.checkpoints import Checkpoints
from shared.doors import api
from shared.model import DocumentState, Large, ModelRequest, Task
from tests.unit.large_documents import NAME, USED, Reader, contract, cut, no_threads  # noqa: F401

QUERIES = tuple(f"Clause {number}?" for number in range(1, 22))  # there is no 21
NEGATIVE = tuple(f"Clause {number}?" for number in range(31, 51))
MAPPED = cut(Large.MAP_REDUCE, context_tokens=4000)
TITLE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title"],
    "properties": {"title": {"type": "string", "maxLength": 5}},
}
RIGHT = [f"CLAUSE-{number}." for number in range(1, 21)]
FILE = contract(*RIGHT, fill=120)
PART = FILE[:60_000]


def clauses(request: ModelRequest) -> str:
    """Return the clauses in a prompt, or the one that is asked for."""
    words = dict.fromkeys(word for word in request.text.split() if word.startswith("CLAUSE-"))
    wanted = request.text.rpartition("Clause ")[2].rstrip("?")
    return " ".join(word for word in words if not wanted.isdecimal() or word == f"CLAUSE-{wanted}.") or "no"


def asked_twice(reader: Reader) -> Counter[str]:
    """Return the texts of requests that were sent more than once."""
    sent = Counter(request.text for request in reader.asked)
    return Counter({text: count - 1 for text, count in sent.items() if count > 1})


@pytest.mark.parametrize(
    ("task", "after"),
    [
        *[(MAPPED, after) for after in (4, 18)],
        *[(cut(Large.RETRIEVE, queries=QUERIES), after) for after in (9, 22)],
        (cut(Large.RETRIEVE, queries=NEGATIVE), 24),
    ],
)
async def test_a_crash_repeats_only_what_was_in_flight(task: Task, after: int) -> None:
    """Twice; the answer is right; each answer is charged once; nothing is left of it."""
    reader = Reader(task, clauses, capacity=300)
    reader.world.upload(NAME, FILE)
    lost = await reader.dies_after(after)
    assert len(lost) <= 16
    lost += await reader.dies_after(1)
    result = await reader.result()
    if task.queries:
        expected = [*RIGHT, "no"] if task.queries == QUERIES else ["no"] * 20
        assert [each["answer"] for each in result["answer"]] == expected
    else:
        assert set(result["answer"].split()) == set(RIGHT)
    assert asked_twice(reader) <= lost
    answered = len(reader.asked) - lost.total()
    assert result["usage"]["prompt_tokens"] == answered * USED[0]
    document = await reader.finished()
    assert (document.prompt_tokens, document.completion_tokens) == (answered * USED[0], answered * USED[1])
    assert (document.crashes, document.attempts) == (2, 0)
    assert reader.kept() == []


async def test_a_document_goes_on_in_the_next_slice_without_an_attempt() -> None:
    """Its limit admits a request or two a minute: no request is repeated, though it took many claims."""
    reader = Reader(MAPPED, clauses, capacity=12)
    result = await reader.result(FILE)
    document = await reader.finished()
    assert (document.state, document.attempts, document.crashes) == (DocumentState.DONE, 0, 0)
    assert not asked_twice(reader) and len(reader.asked) >= 5
    assert result["spent"]["prompt_tokens"] == len(reader.asked) * USED[0]


async def test_a_document_goes_on_in_the_same_slice_when_its_claim_ends() -> None:
    """A claim lasts four minutes, a slice seven."""
    reader = Reader(MAPPED, clauses, capacity=12)
    reader.world.upload(NAME, FILE)
    while not reader.asked:
        await reader.world.app.reconcile()
        reader.world.clock.advance(60)
        await reader.world.app.drain_backlog(420.0)
    assert len(reader.asked) >= 15
    assert not asked_twice(reader)


async def test_what_is_left_to_ask_is_held_against_the_cap() -> None:
    """Not what is answered and paid for: a document may cost no more for being handed over."""
    cost = math.inf
    for cap in (None, 1.05):
        task = replace(MAPPED, max_cost_per_document=cap and cap * cost)
        reader = Reader(task, clauses, capacity=12)
        reader.used = (3400, 100)  # as estimated
        document = await reader.finished(PART)
        assert (document.state, document.attempts) == (DocumentState.DONE, 0)
        cost = document.cost


async def test_the_next_run_asks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead letter is requeued because something was changed; what could not be deleted is not read."""
    reader = Reader(replace(MAPPED, response_schema=TITLE), titled("is 750."), capacity=300)
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "clear", nothing)
        before = await reader.finished(FILE)
    assert (before.state, before.attempts, before.run) == (DocumentState.FAILED, 4, 1)
    left, sent = reader.kept(), len(reader.asked)
    reader.reply = titled()
    assert (await api.requeue(reader.world.app, before.id)).status == 202
    await reader.dies_after(2)  # from then on it reads what was kept
    while not (await reader.world.document(NAME)).result:
        await reader.world.tick()
        reader.world.clock.advance(60)
    assert len({request.text for request in reader.asked[sent:]}) == len(left) + 1
    assert reader.kept() == left


async def nothing(*_: Any) -> None:
    """Do nothing."""


def titled(bad: str = "nothing") -> Callable[[ModelRequest], str]:
    """Return the reply of a model that has no JSON for the piece with these words."""

    def reply(request: ModelRequest) -> str:
        return "none" if "Correct" in request.text or bad in request.text else '{"title": "rent"}'

    return reply


async def test_an_unusable_answer_is_not_kept() -> None:
    """It is asked for again with the next attempt, and the others are not."""
    reader = Reader(replace(MAPPED, response_schema=TITLE), titled("is 750."), capacity=300)
    reader.world.upload(NAME, FILE)
    while not reader.asked or not (await reader.world.document(NAME)).attempts:
        await reader.world.tick()
        reader.world.clock.advance(60)
    kept, reader.reply = len(reader.kept()), titled()
    document = await reader.finished()
    assert (document.state, document.attempts) == (DocumentState.DONE, 1)
    assert document.prompt_tokens == len(reader.asked) * USED[0]
    (again,) = asked_twice(reader)
    assert kept and "is 750." in again


def _changed(**parts: Any) -> Callable[[bytes], bytes]:
    """Return what replaces parts of a kept answer."""
    return lambda data: json.dumps(json.loads(data) | parts).encode()


_SPENT = {"prompt_tokens": 100, "completion_tokens": 10, "cost": 0.001}


@pytest.mark.parametrize(
    "broken",
    [
        lambda data: data[:-1],
        lambda data: b"\xff",
        lambda data: b"[" * 100_000,
        lambda data: b"[]",
        _changed(answer="yes"),
        _changed(answer={"text": "no JSON", "model": "m"}),
        _changed(answer={"text": '{"title": "loan"}', "model": "m"}),
        _changed(refused="content_filter"),
        _changed(spent=_SPENT | {"cost": 1e300}),
        _changed(spent=_SPENT | {"cost": float("nan")}),
        _changed(spent=_SPENT | {"prompt_tokens": -1}),
        _changed(usage={"prompt_tokens": 10**15, "completion_tokens": 1}),
    ],
    ids=[
        "cut off",
        "bytes",
        "deep",
        "list",
        "text",
        "answer",
        "quote",
        "refusal",
        "huge",
        "nan",
        "negative",
        "tokens",
    ],
)
async def test_what_is_kept_and_damaged_is_asked_again(broken: Callable[[bytes], bytes]) -> None:
    """Its cost and its answer are ignored, and it is deleted with the others."""
    task = replace(MAPPED, response_schema=TITLE, quotes=("title",), require_quotes=True)
    reader = Reader(task, titled(), capacity=300)
    reader.world.upload(NAME, FILE)
    lost = await reader.dies_after(4)
    for name in reader.kept():
        data = await reader.world.blobs.read("checkpoints", name)
        reader.world.blobs.upload("checkpoints", name, broken(data))
    result = await reader.result()
    assert result["answer"] == {"title": "rent"}
    assert asked_twice(reader).total() == lost.total() + 4
    assert result["spent"]["prompt_tokens"] == (len(reader.asked) - lost.total() - 4) * USED[0]
    assert reader.kept() == []
