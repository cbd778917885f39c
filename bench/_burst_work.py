"""The processes that `bench burst` measures: `python -m bench._burst_work app|floor`.

It reads its work as JSON on standard input, and prints as JSON what it did and what that cost.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

import aiohttp

from bench._drain_clients import SYSTEM
from bench._process_usage import peak_memory

_INVOCATIONS = 24  # that the host runs at once: batchSize 16 + newBatchThreshold 8 of host.json's defaults
_TICK = 60.0  # seconds between two calls of a timer
_POLL = 5.0  # so seldom that our own calls do not count


@dataclass(frozen=True)
class Work:
    """What to do. `names`: uploads whose events come now; `waiting`: none come, the sweep must find them.

    `apart`: seconds between two documents of the floor, as the deployments' limits admit them to the app. A
    process that mostly waits needs about a fifth more CPU time for the same calls.
    """

    settings: dict[str, str]
    names: list[str]
    waiting: bool
    seconds: float
    apart: float


class Calls:
    """Count the HTTP requests of this process by host and port."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}
        send = aiohttp.ClientSession._request

        async def counted(session: aiohttp.ClientSession, method: str, url: Any, **given: Any) -> Any:
            key = str(url).split("/")[2]
            self.of[key] = self.of.get(key, 0) + 1
            return await send(session, method, url, **given)

        aiohttp.ClientSession._request = cast(Any, counted)  # type: ignore[method-assign]

    def to(self, *urls: str) -> int:
        """Return the number of requests to the hosts of these URLs."""
        return sum(self.of.get(url.split("/")[2], 0) for url in urls)


async def _app(work: Work) -> dict[str, Any]:
    """Handle the events as the host does, beside the timers, until every document is done."""
    from shared.app import PartFailed
    from shared.serve import SLICE_SECONDS
    from shared.wiring import App

    calls = Calls()
    app, until = App(work.settings), time.monotonic() + work.seconds
    current = await app.current()
    gate, before = asyncio.Semaphore(_INVOCATIONS), time.process_time()

    messages = asyncio.TaskGroup()

    async def message(name: str) -> None:
        while await current.drain(name, SLICE_SECONDS):
            pass  # the next message

    async def event(name: str) -> None:
        async with gate:
            following = await current.document_uploaded(name)
        if following is not None:
            await message(following)

    async def queue_drains() -> None:
        for name in await current.due():
            messages.create_task(message(name))

    async def tick(timer: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await timer()
            except PartFailed as failed:
                print(failed, file=sys.stderr)
            await asyncio.sleep(_TICK - time.time() % _TICK)

    async def has_unfinished() -> bool:
        for name in current.settings.deployments:
            if await current.documents.has_unfinished(name):
                return True
        return False

    timers = [
        asyncio.create_task(tick(current.reconcile)),
        asyncio.create_task(tick(queue_drains)),
    ]
    async with messages:
        await asyncio.gather(*(event(name) for name in ([] if work.waiting else work.names)))
        while time.monotonic() < until:
            if not await has_unfinished() and len(await stored_results(app)) >= len(work.names):
                break
            await asyncio.sleep(_POLL)
        for timer in timers:
            timer.cancel()
        await asyncio.gather(*timers, return_exceptions=True)
    cpu, calls_made = time.process_time() - before, calls.to(*(work.settings[key] for key in _STORAGE))
    demands = [await current.documents.demand(name) for name in current.settings.deployments]
    finished, opened = await stored_results(app), []
    for config in current.settings.deployments.values():
        opened.append((await current.context.ledger.record(config.hosted_id)).generation.opened_at)
    await app.close()
    ready = min((at for at in opened if at is not None), default=None)
    return {
        "answered": len(finished),
        "unfinished": sum(demand.unfinished for demand in demands),
        "cpu_s": cpu,
        "storage_calls": calls_made,
        "first_answer_s": (min(finished) - ready).total_seconds() if ready and finished else None,
    }


_STORAGE = ("DOCUMENTS_STORAGE__blobServiceUri", "DOCUMENTS_STORAGE__tableServiceUri")


async def stored_results(app: Any) -> list[datetime]:
    """Return when each result was stored."""
    found, token = [], None
    while True:
        page = await app.blobs.list("results", token, 5000)
        found += [item.modified_at for item in page.items if item.name.endswith(".json")]
        token = page.token
        if token is None:
            return found


async def _floor(work: Work) -> dict[str, Any]:
    """Make the SDK's calls that a document needs, without this project: read, ask, store, row, move."""
    from azure.core.credentials import AzureNamedKeyCredential
    from azure.data.tables.aio import TableServiceClient
    from azure.storage.blob.aio import BlobServiceClient
    from openai import AsyncOpenAI

    from local.azurite import ACCOUNT_KEY, account_name

    blob_url, table_url = (work.settings[key] for key in _STORAGE)
    key = AzureNamedKeyCredential(account_name(blob_url), ACCOUNT_KEY)
    gate = asyncio.Semaphore(_INVOCATIONS)
    async with (
        BlobServiceClient(blob_url, credential=key) as blobs,
        TableServiceClient(table_url, credential=key) as tables,
        AsyncOpenAI(base_url=work.settings["MODEL"], api_key="a key", max_retries=0) as model,
    ):
        table = await tables.create_table_if_not_exists("floor")
        inbox, kept = blobs.get_container_client("inbox"), blobs.get_container_client("floor")
        await kept.create_container()

        async def document(number: int, name: str) -> None:
            await asyncio.sleep(number * work.apart)
            async with gate:
                text = await (await inbox.download_blob(name)).readall()
                messages = [
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": text.decode()},
                ]
                answer = await model.chat.completions.create(
                    model=work.settings["DEPLOYMENT"],
                    messages=messages,  # type: ignore[arg-type]
                    max_completion_tokens=40,
                )
                await kept.upload_blob(f"results/{name}", answer.model_dump_json())
                await table.create_entity({"PartitionKey": "p", "RowKey": uuid4().hex, "name": name})
                await kept.get_blob_client(name).start_copy_from_url(f"{blob_url}/inbox/{name}")
                await inbox.delete_blob(name)

        before = time.process_time()
        await asyncio.gather(*(document(number, name) for number, name in enumerate(work.names)))
        return {"cpu_s": time.process_time() - before}


def main() -> None:
    """Do the work that the first argument names."""
    work = Work(**json.load(sys.stdin))
    run = {"app": _app, "floor": _floor}[sys.argv[1]]
    print(json.dumps(asyncio.run(run(work)) | {"peak_rss_mb": peak_memory()}))


if __name__ == "__main__":
    main()
