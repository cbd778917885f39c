"""OpenAI's files and batches through the openai client itself, told as stories."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import openai
import pytest
from openai.types import Batch, FileObject
from openai.types.chat import ChatCompletion

from shared.batches.intake import CLAIM, MOST_TRIES
from shared.batches.rows import JobState
from shared.errors import StorageError
from shared.model import Column, DocumentState, OneOffWindow, Records, Task, UploadStart, prompt
from shared.operations import batches
from tests.fakes.clock import START
from tests.fakes.world import World, config
from tests.unit.large_documents import no_threads  # noqa: F401
from tests.unit.openai_client import KEY, STYLES, client, jobs, jsonl, line

CHAT: Any = "/v1/chat/completions"
HOUR: Any = "1h"  # OpenAI knows 24h only
_LARGEST = {f"{n:02}" + 62 * "é": 512 * "\U0001f600" for n in range(16)}
ENDED = ("completed", "failed", "cancelled")


async def uploaded(api: openai.AsyncOpenAI, data: bytes, name: str = "batch.jsonl") -> str:
    return (await api.files.create(file=(name, data), purpose="batch")).id


async def created(api: openai.AsyncOpenAI, data: bytes, **given: Any) -> Batch:
    file_id = await uploaded(api, data)
    asked: dict[str, Any] = {"endpoint": CHAT, "completion_window": "1h", **given}
    return await api.batches.create(input_file_id=file_id, **asked)


async def ended(world: World, api: openai.AsyncOpenAI, batch_id: str) -> Batch:
    async def has_ended() -> bool:
        return (await api.batches.retrieve(batch_id)).status in ENDED

    await world.until(has_ended, timedelta(days=8))
    return await api.batches.retrieve(batch_id)


async def lines_of(api: openai.AsyncOpenAI, file_id: str | None) -> list[Any]:
    assert file_id is not None
    return [json.loads(each) for each in (await api.files.content(file_id)).content.splitlines()]


@pytest.mark.parametrize("style", STYLES)
async def test_files_to_batch_to_answers(style: str) -> None:
    """In order, each with its id; a bad line is a line of the error file; objects are the SDK's own."""
    world = World.of(config(), config("other"))
    api = client(world, style)
    lines = [line(f"r{n}", f"text {n}") for n in range(20)]
    lines[3] = line("r3", model="other")
    data = jsonl(lines).replace(b'"custom_id": "r7"', b"oops")
    file = await api.files.create(file=("my batch.jsonl", data), purpose="batch")
    assert (file.bytes, file.filename, file.status) == (len(data), "my batch.jsonl", "processed")
    batch = await api.batches.create(
        input_file_id=file.id, endpoint=CHAT, completion_window=HOUR, metadata=_LARGEST
    )
    assert (batch.status, batch.metadata, batch.errors) == ("validating", _LARGEST, None)
    waiting = await api.batches.retrieve(batch.id)
    assert (waiting.status, waiting.model) == ("in_progress", "clauses")
    assert waiting.request_counts and waiting.request_counts.total == 20
    done = await ended(world, api, batch.id)
    counts = done.request_counts
    assert counts and (done.status, counts.completed, counts.failed) == ("completed", 18, 2)
    answers, errors = await lines_of(api, done.output_file_id), await lines_of(api, done.error_file_id)
    assert [each["custom_id"] for each in answers] == [f"r{n}" for n in range(20) if n not in (3, 7)]
    assert all(each["response"]["status_code"] == 200 for each in answers)
    assert ChatCompletion.model_validate(answers[0]["response"]["body"]).choices
    assert [each["error"]["code"] for each in errors] == ["model_mismatch", "invalid_json_line"]
    assert (await api.files.content(file.id)).content == data
    output = await api.files.retrieve(done.output_file_id or "")
    whole = (await api.files.content(output.id)).content
    assert (output.purpose, output.bytes) == ("batch_output", len(whole))
    for each in (batch, waiting, done):
        Batch.model_validate(each.to_dict(), strict=True)
    for one in (file, output):
        FileObject.model_validate(one.to_dict(), strict=True)
    times = (done.created_at, done.in_progress_at, done.completed_at)
    assert all(times) and list(times) == sorted(filter(None, times))


async def test_files_are_listed_in_pages_and_deleted() -> None:
    """The SDK's paginator finds all of them, in either order; a batch keeps what it was made of."""
    world = World.of(config())
    api = client(world)
    ids = []
    for n in range(7):
        ids.append(await uploaded(api, jsonl([line(f"r{n}")])))
        world.clock.advance(1)
    batch = await api.batches.create(input_file_id=ids[0], endpoint=CHAT, completion_window=HOUR)
    assert [each.id async for each in api.files.list(limit=3)] == ids[::-1]
    assert [each.id async for each in api.files.list(limit=3, order="asc")] == ids
    assert [each async for each in api.files.list(purpose="batch_output")] == []
    assert (await api.files.delete(ids[0])).deleted
    for gone in (ids[0], "file-unknown", "file-output-" + "0" * 32):
        with pytest.raises(openai.NotFoundError) as refused:
            await api.files.content(gone)
        assert isinstance(refused.value.body, dict)
        assert refused.value.body["type"] == "invalid_request_error"
    assert world.blobs.names("files") == sorted(ids[1:])
    done = await ended(world, api, batch.id)
    assert (done.status, done.error_file_id) == ("completed", None)
    assert (await api.files.delete(done.output_file_id or "")).deleted
    with pytest.raises(openai.NotFoundError):
        await api.files.retrieve(done.output_file_id or "")
    later = [(await created(api, jsonl([line("r")]))).id for _ in range(4)]
    assert {each.id async for each in api.batches.list(limit=2)} == {batch.id, *later}


async def test_a_part_of_a_large_file_is_asked_for_by_its_range() -> None:
    api = client(World.of(config()))
    file_id = await uploaded(api, jsonl([line("r")]))
    part = await api.files.with_raw_response.content(file_id, extra_headers={"Range": "bytes=1-11"})
    assert (part.status_code, part.content) == (206, b'"custom_id"')
    assert part.headers["Content-Range"].startswith("bytes 1-11/")
    with pytest.raises(openai.APIStatusError) as refused:
        await api.files.content(file_id, extra_headers={"Range": "bytes=9999-"})
    assert refused.value.status_code == 416


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (jsonl([line("a", model="claues")]), "invalid_model", "did you mean 'clauses'?"),
        (b"just text\n", "invalid_request", "no request was found"),
        (b'{"body": {"model": "clauses"}}\n', "invalid_request", "Batch format"),
    ],
)
async def test_a_file_that_is_no_batch_fails_as_a_whole(data: bytes, code: str, said: str) -> None:
    """Before anything is hosted, with the code and what to do."""
    world = World.of(config())
    api = client(world)
    failed = await api.batches.retrieve((await created(api, data)).id)
    assert failed.status == "failed" and failed.failed_at and failed.errors and failed.errors.data
    assert failed.errors.data[0].code == code and said in (failed.errors.data[0].message or "")
    Batch.model_validate(failed.to_dict(), strict=True)
    assert world.blobs.names("unpacked") == [] and world.azure.count("put") == 0
    with pytest.raises(openai.ConflictError, match="status 'failed'"):
        await api.batches.cancel(failed.id)


async def test_lines_that_are_all_bad_end_at_once() -> None:
    """Nothing is hosted; the error file says why."""
    world = World.of(config())
    api = client(world)
    bad = await api.batches.retrieve((await created(api, jsonl([line("a", method="GET")]))).id)
    assert (bad.status, bad.output_file_id, world.azure.count("put")) == ("completed", None, 0)
    [error] = await lines_of(api, bad.error_file_id)
    assert (error["custom_id"], error["error"]["code"]) == ("a", "invalid_request")


async def test_a_resent_create_is_one_batch() -> None:
    """The same key and request, also at once and after the file was deleted; another request is refused."""
    world = World.of(config())
    api = client(world)
    file_id = await uploaded(api, jsonl([line("r")]))
    key = {"Idempotency-Key": "night-2026-12-01"}

    async def create(window: Any = "24h") -> Batch:
        return await api.batches.create(
            input_file_id=file_id, endpoint=CHAT, completion_window=window, extra_headers=key
        )

    first = await asyncio.gather(create(), create())
    await api.files.delete(file_id)
    assert {each.id for each in (*first, await create())} == {first[0].id}
    with pytest.raises(openai.BadRequestError, match="another request"):
        await create("12h")
    assert (
        len(await jobs(world))
        == 1
        == len((await world.app.documents.listed("clauses", None, "", 9)).documents)
    )


async def test_a_batch_is_cancelled_wherever_it_is() -> None:
    """Before it is taken in; while it waits; and while it runs, with what is answered."""
    world = World.of(config())
    api = client(world, works=False)
    early = await created(api, jsonl([line("r")]))
    assert (await api.batches.cancel(early.id)).status == "cancelling"
    assert (await api.batches.cancel(early.id)).status == "cancelling"
    await batches.take_in_all(world.app)
    cancelled = await api.batches.retrieve(early.id)
    assert (cancelled.status, cancelled.output_file_id) == ("cancelled", None)
    assert cancelled.cancelling_at and cancelled.cancelled_at

    later = await created(client(world), jsonl([line("a"), line("b")]))
    assert (await api.batches.cancel(later.id)).status in ("cancelling", "cancelled")
    stopped = await api.batches.retrieve(later.id)
    assert (stopped.status, stopped.output_file_id, stopped.cancelled_at is None) == (
        "cancelled",
        None,
        False,
    )
    assert [each["error"]["code"] for each in await lines_of(api, stopped.error_file_id)] == ["not_asked"] * 2
    assert (await api.batches.cancel(later.id)).status == "cancelled"
    assert world.azure.count("put") == 0


async def test_a_cancellation_meets_a_batch_that_is_just_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever is first, the batch ends as cancelled and is not asked."""
    world = World.of(config())
    api, ledger = client(world, works=False), world.app.batches.ledger
    batch = await created(api, jsonl([line("r")]))
    settle = ledger.settle

    async def late(job: Any) -> None:
        if job.cancelling_at is None:
            await api.batches.cancel(batch.id)
        await settle(job)

    monkeypatch.setattr(ledger, "settle", late)
    await batches.take_in_all(world.app)
    assert (await api.batches.retrieve(batch.id)).status == "cancelled"
    assert (await jobs(world))[0].state is JobState.TAKEN_IN


@pytest.mark.parametrize("broken", range(1, 20))
async def test_a_crash_at_any_call_makes_neither_two_documents_nor_none(
    broken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends at its nth call of the storage; another one finds the batch with a later tick."""
    world = World.of(config())
    await created(client(world, works=False), jsonl([line("a"), line("b")]))
    calls = 0

    def dying(call: Any) -> Any:
        async def run(*args: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == broken:
                raise asyncio.CancelledError
            return await call(*args, **named)

        return run

    with monkeypatch.context() as patched:
        for port, names in (
            (world.blobs, ("stat", "read_range", "create_from", "copy", "delete")),
            (world.tables, ("get", "write", "page")),
        ):
            for name in names:
                patched.setattr(port, name, dying(getattr(port, name)))
        try:
            await batches.take_in_all(world.app)
        except asyncio.CancelledError:
            assert calls >= broken
    world.clock.advance(CLAIM.total_seconds() + 1)
    await batches.take_in_all(world.app)
    [document] = (await world.app.documents.listed("clauses", None, "", 9)).documents
    assert (document.state, document.records) == (DocumentState.WAITING, 2)
    [job] = await jobs(world)
    assert (job.state, job.document) == (JobState.TAKEN_IN, document.id)
    assert await world.app.batches.ledger.pending() == []


async def test_what_ends_the_process_each_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five times; storage that does not answer is no such end."""
    world = World.of(config())
    api = client(world, works=False)
    batch = await created(api, jsonl([line("r")]))

    def failing(error: BaseException) -> Any:
        async def copy(*_: Any) -> None:
            raise error

        return copy

    monkeypatch.setattr(world.blobs, "copy", failing(StorageError("503")))
    for _ in range(MOST_TRIES + 1):
        await batches.take_in_all(world.app)
    assert (await api.batches.retrieve(batch.id)).status == "validating"
    monkeypatch.setattr(world.blobs, "copy", failing(asyncio.CancelledError()))
    for _ in range(MOST_TRIES):
        with pytest.raises(asyncio.CancelledError):
            await batches.take_in_all(world.app)
        assert await batches.due(world.app) == []
        world.clock.advance(CLAIM.total_seconds() + 1)
    await batches.take_in_all(world.app)
    failed = await api.batches.retrieve(batch.id)
    assert failed.errors and failed.errors.data and "split the file" in (failed.errors.data[0].message or "")


async def test_a_batch_waits_for_its_window_and_ends_within_it() -> None:
    """40 requests at six a minute: nothing is hosted for 23 hours, and the answers are there in time."""
    world = World.of(config(capacity=6))
    api = client(world)
    batch = await created(api, jsonl([line(f"r{n}") for n in range(40)]), completion_window="24h")
    world.clock.advance(23 * 3600)
    await world.tick()
    assert world.azure.count("put") == 0
    done = await ended(world, api, batch.id)
    assert done.completed_at and done.status == "completed" and done.expires_at
    assert done.expires_at - 1800 < done.completed_at <= done.expires_at


async def test_scheduled_uploads_wait_for_their_window() -> None:
    """Whatever the completion window says: the deployment is hosted by schedule only."""
    night = OneOffWindow(START + timedelta(hours=3), START + timedelta(hours=9), stop_when_empty=True)
    world = World.of(config("clauses", night, uploads=UploadStart.SCHEDULED))
    api = client(world)
    done = await ended(world, api, (await created(api, jsonl([line("r")]))).id)
    assert done.completed_at and done.completed_at > night.start.timestamp() - 3600


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint must be"),
        ({"completion_window": "30m"}, "1h to 7d"),
        ({"completion_window": "soon"}, "write a duration"),
        ({"metadata": {"a": "b" * 513}}, "metadata must have"),
        ({"metadata": {"a": 1}}, "metadata must have"),
        ({"extra_body": {"output_expires_after": {}}}, "Unknown parameter: 'output_expires_after'"),
        ({"extra_query": {"state": "x"}}, "no query parameter 'state'"),
        ({"input_file_id": "file-gone"}, "No such File"),
    ],
)
async def test_a_create_that_cannot_be_kept_is_refused(given: dict[str, Any], said: str) -> None:
    world = World.of(config())
    asked: dict[str, Any] = {"endpoint": CHAT, "completion_window": "24h", "input_file_id": "file-x", **given}
    with pytest.raises(openai.BadRequestError, match=said):
        await client(world).batches.create(**asked)
    assert await jobs(world) == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"[" * 9999, b'{"metadata": {"a": "\\ud800"}}', b"{" + b" " * 200_000]
)
async def test_a_body_that_no_client_sends_is_refused_as_well(body: bytes) -> None:
    http, url = client(World.of(config()))._client, "https://app/api/openai/v1/batches"
    refused = await http.post(url, content=body, headers={"api-key": KEY})
    assert refused.status_code == 400 and "send a JSON object" in refused.json()["error"]["message"]


async def test_a_file_that_cannot_be_kept_is_refused() -> None:
    """Another purpose, an expiry that nobody would keep, nothing at all, and no form."""
    world = World.of(config())
    api = client(world)
    data = jsonl([line("r")])
    for given, said in (
        ({"file": ("a", data), "purpose": "fine-tune"}, "purpose must be batch"),
        ({"file": ("a", b""), "purpose": "batch"}, "the file is empty"),
        (
            {"file": ("a", data), "purpose": "batch", "extra_body": {"expires_after": "x"}},
            "Unknown parameter: 'expires_after'",
        ),
    ):
        with pytest.raises(openai.BadRequestError, match=said):
            await api.files.create(**given)  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError, match="send a form"):
        await api.post("/files", body={"purpose": "batch"}, cast_to=object)
    assert world.blobs.names("files") == []


async def test_nothing_is_told_without_a_key() -> None:
    """Whatever the route, and even whether there is one."""
    api = client(World.of(config()), key="guessed")
    for call in (api.files.list(), api.batches.retrieve("batch_1"), api.get("/nothing", cast_to=object)):
        with pytest.raises(openai.AuthenticationError) as refused:
            await call
        assert isinstance(refused.value.body, dict) and refused.value.body["code"] == "invalid_api_key"
    known = client(World.of(config()))
    with pytest.raises(openai.NotFoundError, match="no such route"):
        await known.models.list()


async def test_a_batch_is_one_whatever_the_deployment_asks_of_files() -> None:
    """A task that asks row by row, a name that no blob may have: it is a batch all the same."""
    task = Task(prompt("Answer."), 100, records=Records((Column("review"),)))
    world = World.of(config(task=task))
    api = client(world)
    file_id = await uploaded(api, b"\xef\xbb\xbf" + jsonl([line("r", model="CLAUSES")]), "a/b\\..\x01.jsonl")
    batch = await api.batches.create(input_file_id=file_id, endpoint=CHAT, completion_window=HOUR)
    done = await ended(world, api, batch.id)
    assert (done.status, done.error_file_id) == ("completed", None)
    document = await world.app.documents.get((await jobs(world))[0].document)
    assert document is not None and document.unpacked_from == batch.id
    assert replace(document, etag=None).moved_to.startswith("processed/clauses/")
