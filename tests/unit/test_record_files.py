"""Files of records, told as stories: every row has its outcome once, whatever happens to those who ask."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.doors import api
from shared.errors import ModelUnavailable, RateLimited, RequestRefused
from shared.model import Column, Document, DocumentState, ModelRequest, Records, Task, prompt
from tests.fakes.world import World, config
from tests.unit.large_documents import Reader, no_threads  # noqa: F401

NAME = "clauses/reviews.csv"
TASK = Task(prompt("Answer."), 100, records=Records((Column("review"),), None, "id"))
USED = (100, 10)


def reviews(*texts: str) -> str:
    """Return a CSV file with these reviews."""
    return "id,review\r\n" + "".join(f"r{number},{text}\r\n" for number, text in enumerate(texts))


def reply(request: ModelRequest) -> str:
    return f"answer to {request.text}"


class Files:
    """A world with one file of records."""

    def __init__(self, answer: Any = reply, task: Task = TASK, **changes: Any) -> None:
        self.reader = Reader(task, answer, **changes)
        self.world = self.reader.world

    @property
    def asked(self) -> list[str]:
        return [request.text for request in self.reader.asked]

    async def finished(self, text: str | None = None) -> Document:
        """Return the document once it has a final state."""
        if text is not None:
            self.world.upload(NAME, text)
        await self.world.until(self._is_final, timedelta(hours=12))
        return await self.document()

    async def document(self) -> Document:
        return await self.world.document(NAME)

    async def _is_final(self) -> bool:
        return (await self.document()).finished_at is not None

    async def rows(self, end: str = "csv") -> list[list[str]]:
        """Return the rows of the result in the input's own format, without the header."""
        document = await self.document()
        stored = json.loads(await self.world.blobs.read("results", document.result))
        data = await self.world.blobs.read("results", stored["files"][end])
        return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))[1:]

    async def reconfigured(self, **changes: Any) -> None:
        """Deploy the app with another task."""
        changed = replace(self.reader.config, task=replace(self.reader.config.task, **changes))
        self.world = self.reader.world = self.world.reconfigured(changed)


async def test_every_row_is_answered_once_in_the_order_of_the_file() -> None:
    """Also if its answers come in another one; the source is moved, and nothing is left beside it."""
    files = Files()
    texts = [f"text {number}" for number in range(700)]
    done = await files.finished(reviews(*texts))
    assert (done.state, done.records, done.answered, done.refused) == (DocumentState.DONE, 700, 700, 0)
    assert await files.rows() == [[f"r{n}", text, f"answer to {text}", ""] for n, text in enumerate(texts)]
    assert sorted(files.asked) == sorted(texts)
    assert (done.prompt_tokens, done.completion_tokens) == (700 * USED[0], 700 * USED[1])
    blobs = files.world.blobs
    assert blobs.names("inbox") == blobs.names("checkpoints") == blobs.names("staging") == []
    assert done.moved_to.startswith("processed/clauses/reviews.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,text\r\n1,good\r\n", "review"),
        ("id,review\r\n", "row"),
        (reviews(*["a long text " * 50] * 50), "max_cost_per_file"),
    ],
)
async def test_a_file_that_cannot_be_asked_is_refused_before_anything_is_hosted(
    text: str, reason: str
) -> None:
    files = Files(task=replace(TASK, max_cost_per_file=0.001))
    refused = await files.finished(text)
    assert refused.state is DocumentState.FAILED and reason in refused.reason
    assert files.world.azure.count("put") == 0


async def test_rows_without_a_text_cost_no_hosting() -> None:
    files = Files()
    done = await files.finished(reviews("", "", ""))
    assert (done.state, done.answered, done.refused) == (DocumentState.DONE, 0, 3)
    assert [row[-1][:12] for row in await files.rows()] == ["empty_record"] * 3
    assert files.world.azure.count("put") == 0


async def test_a_row_that_the_model_refuses_or_breaks_is_the_only_one_without_an_answer() -> None:
    """One by the content filter at once; one that is the only one to fail, after three tries."""

    def answer(request: ModelRequest) -> str | Exception:
        if request.text == "bad":
            return RequestRefused("Azure's content filter refused it", code="content_filter", status=400)
        return ModelUnavailable("500", status=500) if request.text == "broken" else reply(request)

    files = Files(answer)
    done = await files.finished(reviews("good", "bad", "broken", *(f"t{n}" for n in range(300))))
    assert (done.state, done.answered, done.refused) == (DocumentState.DONE, 301, 2)
    rows = await files.rows()
    assert [row[-1].split(":")[0] for row in rows[:4]] == ["", "content_filter", "unavailable", ""]
    assert all(files.asked.count(f"t{n}") == 1 for n in range(300)) and done.attempts == 0
    assert files.asked.count("bad") == 1 and 3 <= files.asked.count("broken") <= 20


async def test_an_outage_is_no_rows_fault() -> None:
    """Every request fails for half an hour: no row is given up, and each is answered afterwards."""
    down = True

    def answer(request: ModelRequest) -> str | Exception:
        return ModelUnavailable("503", status=503) if down else reply(request)

    files = Files(answer)
    files.world.upload(NAME, reviews(*(f"t{n}" for n in range(40))))
    for _ in range(30):
        await files.world.tick()
        files.world.clock.advance(60)
    waiting = await files.document()
    assert (waiting.finished_at, waiting.attempts, waiting.answered) == (None, 0, 0)
    down = False
    assert (await files.finished()).answered == 40


async def test_a_limit_that_refuses_for_a_while_only_delays() -> None:
    refusals = [RateLimited("429", retry_after=20.0, status=429)] * 30

    def answer(request: ModelRequest) -> str | Exception:
        return refusals.pop() if refusals else reply(request)

    done = await Files(answer).finished(reviews(*(f"t{n}" for n in range(100))))
    assert (done.answered, done.attempts) == (100, 0)


async def test_crashes_repeat_only_what_was_in_flight() -> None:
    """Twelve deaths, each after it has kept some answers: the file is not to blame for any."""
    files = Files()
    texts = [f"text {number}" for number in range(900)]
    files.world.upload(NAME, reviews(*texts))
    lost = 0
    for _ in range(12):
        before, done = len(files.asked), (await kept(files))
        await files.reader.dies_after(3)
        lost += len(files.asked) - before - (await kept(files) - done)
    done = await files.finished()
    assert (done.state, done.answered) == (DocumentState.DONE, 900)
    assert await files.rows() == [[f"r{n}", text, f"answer to {text}", ""] for n, text in enumerate(texts)]
    assert len(files.asked) - 900 <= lost
    # The answer of a request in flight is paid by nobody here; all others are on the document.
    assert done.prompt_tokens == 900 * USED[0]


async def kept(files: Files) -> int:
    """Return how many answers the log holds."""
    blobs = files.world.blobs
    logs = [await blobs.read("checkpoints", name) for name in blobs.names("checkpoints")]
    return sum(line[:1].isdigit() for log in logs for line in log.split(b"\n"))


async def test_at_its_cap_a_file_stops_and_keeps_what_is_done() -> None:
    """A requeue with a higher cap asks the others only."""
    # 100 prompt and 10 completion tokens cost 0.000056 each.
    files = Files(task=replace(TASK, max_cost_per_file=0.02))
    stopped = await files.finished(reviews(*(f"t{n}" for n in range(600))))
    assert stopped.state is DocumentState.FAILED and "max_cost_per_file" in stopped.reason
    assert 250 <= stopped.answered <= 357 and stopped.cost <= 0.02
    rows = await files.rows()
    assert sum(row[-1].startswith("not_asked") for row in rows) == 600 - stopped.answered
    await files.reconfigured(max_cost_per_file=1.0)
    assert (await api.requeue(files.world.app, stopped.id)).status == 202
    done = await files.finished()
    assert (done.state, done.answered, done.run) == (DocumentState.DONE, 600, 2)
    assert len(files.asked) == 600 and {row[-1] for row in await files.rows()} == {""}


async def test_a_requeue_asks_the_failed_rows_and_those_that_were_corrected() -> None:
    filtered = True

    def answer(request: ModelRequest) -> str | Exception:
        if filtered and "bad" in request.text:
            return RequestRefused("Azure's content filter refused it", code="content_filter", status=400)
        return reply(request)

    files = Files(answer)
    done = await files.finished(reviews("good", "bad 1", "fine", "bad 2"))
    assert (done.state, done.answered, done.refused) == (DocumentState.DONE, 2, 2)
    container, _, name = done.moved_to.partition("/")
    files.world.blobs.upload(container, name, reviews("good", "bad 1", "finer", "bad 2").encode())
    filtered, before = False, len(files.asked)
    assert (await api.requeue(files.world.app, done.id)).status == 202
    again = await files.finished()
    assert (again.state, again.answered, again.run) == (DocumentState.DONE, 4, 2)
    assert sorted(files.asked[before:]) == ["bad 1", "bad 2", "finer"]
    assert [row[2] for row in await files.rows()] == [
        f"answer to {text}" for text in ("good", "bad 1", "finer", "bad 2")
    ]
    assert (await api.requeue(files.world.app, done.id)).status == 409, "nothing of it has failed"


async def test_a_cancelled_file_keeps_what_is_answered() -> None:
    """One that is asked now ends within half a minute; one that waits at once; a finished one stays."""
    files = Files()
    files.world.upload(NAME, reviews(*(f"t{n}" for n in range(5000))))
    await files.world.app.intake.sweep()
    waiting, clock = await files.document(), files.world.clock
    while True:
        running = asyncio.ensure_future(files.world.tick())
        while not running.done() and len(files.asked) < 500:
            await asyncio.sleep(0)
        if not running.done():
            break
        clock.advance(60)
    asked_at = clock.now()
    assert (await api.cancel(files.world.app, waiting.id)).status == 202
    await running
    ended = await files.document()
    assert ended.state is DocumentState.FAILED and ended.cancelled and "cancelled" in ended.reason
    assert ended.finished_at is not None and ended.finished_at - asked_at < timedelta(seconds=30)
    rows = await files.rows()
    assert len(rows) == 5000 and sum(row[2] != "" for row in rows) == ended.answered >= 400
    assert (await api.cancel(files.world.app, waiting.id)).status == 200, "it is cancelled already"


async def test_cancelling_a_file_that_waits_hosts_nothing() -> None:
    files = Files()
    files.world.upload(NAME, reviews("one", "two"))
    await files.world.app.intake.sweep()
    waiting = await files.document()
    assert (await api.cancel(files.world.app, waiting.id)).status == 200
    ended = await files.document()
    assert (ended.state, ended.cancelled) == (DocumentState.FAILED, True)
    assert [row[-1].split(":")[0] for row in await files.rows()] == ["not_asked"] * 2
    await files.world.tick()
    assert files.world.azure.count("put") == 0
    assert (await api.cancel(files.world.app, "clauses~20260101T000000-0123456789abcdef")).status == 404


async def test_only_files_of_records_are_cancelled() -> None:
    world = World.of(config())
    world.upload("clauses/a.txt")
    await world.app.intake.sweep()
    assert (await api.cancel(world.app, (await world.document("clauses/a.txt")).id)).status == 409
