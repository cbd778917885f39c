"""Files of records, told as stories: every row has its outcome once, whatever happens to those who ask."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.app import PartFailed
from shared.documents.record_files.finish import Finish
from shared.documents.results import Results
from shared.doors import api
from shared.errors import Changed, ModelUnavailable, RateLimited, RequestRefused, StorageError
from shared.model import Column, Document, DocumentState, ModelRequest, Records, Task, prompt
from shared.ports import Blobs
from shared.wiring import assemble
from tests.fakes.world import World, config, settings
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
        ("id,review," + ",".join(f"the answer to question {n}" for n in range(1300)) + "\r\n1,x", "keep"),
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


async def ticked(files: Files, ticks: int) -> Document:
    """Tick every minute; errors of a tick are those of its storage. Return the document."""
    for _ in range(ticks):
        began = files.world.clock.monotonic()
        with contextlib.suppress(StorageError, asyncio.CancelledError, PartFailed):
            await files.world.tick()
        assert files.world.clock.monotonic() - began < 600, "Azure ends a function after ten minutes"
        files.world.clock.advance(max(1.0, began + 60 - files.world.clock.monotonic()))
    return await files.document()


async def test_a_low_limit_is_used_whole() -> None:
    """Ten requests a minute, of which slices of 50 seconds admit half: no try that a slice ends rests."""
    files = Files(capacity=10)
    files.world.upload(NAME, reviews(*(f"t{n}" for n in range(1000))))
    assert (await ticked(files, 30)).unanswered == 0 and len(files.asked) >= 120


@pytest.mark.parametrize("seed", range(3))
async def test_two_processes_whose_storage_fails_now_and_then_ask_each_row_once(seed: int) -> None:
    """One call in fifty fails, half of these after their effect."""
    files, chance = Files(), random.Random(seed)
    world = files.world

    def flaky(port: Any) -> Any:
        return _Flaky(port, chance)

    ports = flaky(world.tables), flaky(world.blobs), world.azure, world.azure
    apps = [assemble(settings(files.reader.config), world.clock, *ports) for _ in range(2)]
    world.upload(NAME, reviews(*(f"t{n}" for n in range(400))))
    await world.app.intake.sweep()

    async def worked(app: Any) -> None:
        for part in (app.reconcile(), app.drain_backlog(50.0)):
            with contextlib.suppress(StorageError, PartFailed):
                await part

    for _ in range(60):
        await asyncio.gather(*map(worked, apps))
        world.clock.advance(60)
    done = await files.document()
    assert (done.state, done.answered, len(files.asked)) == (DocumentState.DONE, 400, 400)
    assert [row[2] for row in await files.rows()] == [f"answer to t{n}" for n in range(400)]


class _Flaky:
    def __init__(self, port: Any, chance: random.Random) -> None:
        self._port, self._chance = port, chance

    def __getattr__(self, name: str) -> Any:
        async def called(*given: Any, **named: Any) -> Any:
            luck = self._chance.random()
            if luck < 0.01:
                raise StorageError("503")
            found = await getattr(self._port, name)(*given, **named)
            if luck < 0.02:
                raise StorageError("the answer was lost")
            return found

        return called


async def test_answers_that_cannot_be_kept_end_the_try_and_no_others_are_bought() -> None:
    files = Files()
    files.world.blobs.append = _refuse  # type: ignore[method-assign]
    files.world.upload(NAME, reviews(*(f"t{n}" for n in range(3000))))
    assert (await ticked(files, 4)).answered == 0 and len(files.asked) < 256
    del files.world.blobs.append
    assert (await ticked(files, 10)).answered == 3000


async def _refuse(*_: Any) -> None:
    raise StorageError("503")


async def test_tries_that_time_out_stay_below_the_cap() -> None:
    """Azure may charge for each."""

    def answer(request: ModelRequest) -> str | Exception:
        return ModelUnavailable("timeout", code="timeout")

    files = Files(answer, task=replace(TASK, max_cost_per_file=0.05))
    files.world.upload(NAME, reviews(*(f"t{n}" for n in range(3000))))
    stopped = await ticked(files, 30)
    assert "max_cost_per_file" in stopped.reason and 0.045 < stopped.cost <= 0.05


async def test_a_file_that_is_cancelled_while_its_results_are_written_is_finished_at_once() -> None:
    files, cancelled = Files(), list[int]()
    create_from = files.world.blobs.create_from

    async def cancelling(container: str, *given: Any) -> str:
        if container == "results" and not cancelled:
            document = await files.document()
            cancelled.append((await api.cancel(files.world.app, document.id)).status)
        return await create_from(container, *given)

    files.world.blobs.create_from = cancelling  # type: ignore[method-assign]
    done = await files.finished(reviews(*(f"t{n}" for n in range(300))))
    assert set(cancelled) == {202}
    assert (done.state, done.answered, done.crashes) == (DocumentState.DONE, 300, 0)


async def test_a_cancellation_that_storage_has_stopped_is_completed_by_the_next_one() -> None:
    """Nothing is hosted for it."""
    files = Files()
    files.world.upload(NAME, reviews("one", "two"))
    await files.world.app.intake.sweep()
    waiting, blobs = await files.document(), files.world.blobs
    blobs.create_from = _refuse  # type: ignore[assignment]
    with contextlib.suppress(StorageError):
        await api.cancel(files.world.app, waiting.id)
    del blobs.create_from
    files.world.clock.advance(300)
    assert (await api.cancel(files.world.app, waiting.id)).status == 200
    assert (await files.document()).cancelled and len(await files.rows()) == 2


async def test_a_worker_that_comes_back_late_leaves_the_results_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One died after it had written the result: the next one counts as it does. A third was paused before."""
    files, late, complete, settle = Files(), list[Any](), Finish.complete, Results.settle

    async def noted(*given: Any) -> None:
        late.append(given)
        await complete(*given)

    async def dying(self: Results, document: Document, *given: Any) -> bool:
        monkeypatch.setattr(Results, "settle", settle)
        raise asyncio.CancelledError

    monkeypatch.setattr(Finish, "complete", noted)
    monkeypatch.setattr(Results, "settle", dying)
    files.world.upload(NAME, reviews(*(f"t{n}" for n in range(20)), ""))
    done = await ticked(files, 20)
    assert (done.state, done.answered, done.refused) == (DocumentState.DONE, 20, 1)
    blobs: Blobs = files.world.blobs
    name = next(each for each in files.world.blobs.names("results") if each.endswith(f".{done.run}.json"))
    item, answers = [await blobs.stat("results", each) for each in (name, name.replace(".json", ".csv"))]
    assert item is not None
    await blobs.delete("results", name, item.etag)  # it looked for it before it was there
    with pytest.raises(Changed):
        await complete(*late[0])
    assert await blobs.stat("results", name.replace(".json", ".csv")) == answers
