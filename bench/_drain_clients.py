"""The clients that `bench drain` compares, each in a process of its own: `python -m bench._drain_clients`.

It reads its work as JSON on standard input, and prints as JSON what it answered and what that cost. Each
imports only what it needs, because its memory is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from bench._process_usage import peak_memory

SYSTEM = "Say in one sentence what the document is about."
DEPLOYMENT = "clauses"
RECORDS = "lamplighter_record_file"  # the same requests as one file
_SLICE = 300.0  # seconds
_PAUSE = 0.2  # seconds between slices
_KEY = "a key"


@dataclass(frozen=True)
class Work:
    """The requests to send. `minute`: how long a minute of the limits lasts, `seconds`: when to give up.

    `settings`: the app settings of this project, whose documents wait in its storage.
    """

    base_url: str
    documents: list[str]
    max_tokens: int
    minute: float
    seconds: float
    settings: dict[str, str]

    def body(self, document: str) -> dict[str, Any]:
        """Return the request for a document, as this project sends it."""
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": document}]
        return {"model": DEPLOYMENT, "messages": messages, "max_completion_tokens": self.max_tokens}


Ask = Callable[[str], Coroutine[Any, Any, bool]]
Client = Callable[[Work], Coroutine[Any, Any, int]]


async def _in_parallel(documents: Iterable[str], workers: int, ask: Ask) -> int:
    """Ask for every document, so many at a time; return how many were answered."""
    waiting, answered = iter(documents), 0

    async def worker() -> None:
        nonlocal answered
        for document in waiting:
            was_answered = await ask(document)
            answered += was_answered

    await asyncio.gather(*(worker() for _ in range(workers)))
    return answered


def _sdk(workers: int, retries: int) -> Client:
    """Return a client that leaves everything to the openai SDK."""

    async def run(work: Work) -> int:
        import openai
        from openai import AsyncOpenAI

        async with AsyncOpenAI(base_url=work.base_url, api_key=_KEY, max_retries=retries) as client:

            async def ask(document: str) -> bool:
                try:
                    await client.chat.completions.create(**work.body(document))
                except openai.APIError:
                    return False
                return True

            return await _in_parallel(work.documents, workers, ask)

    return run


async def _tenacity(work: Work) -> int:
    """Retry as Azure documents it: random exponential pauses of 1 to 60 s, at most six tries.

    https://learn.microsoft.com/azure/ai-services/openai/how-to/quota
    """
    import openai
    from openai import AsyncOpenAI
    from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    scale = work.minute / 60
    async with AsyncOpenAI(base_url=work.base_url, api_key=_KEY, max_retries=0) as client:

        @retry(
            wait=wait_random_exponential(multiplier=scale, min=scale, max=60 * scale),
            stop=stop_after_attempt(6),
            retry=retry_if_exception_type(openai.APIError),
            reraise=True,
        )
        async def answer(document: str) -> None:
            await client.chat.completions.create(**work.body(document))

        async def ask(document: str) -> bool:
            try:
                await answer(document)
            except openai.APIError:
                return False
            return True

        return await _in_parallel(work.documents, 32, ask)


async def _bare(work: Work) -> int:
    """Send with aiohttp alone, and try again after the time that the answer names."""
    import aiohttp

    headers = {"api-key": _KEY}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def ask(document: str) -> bool:
            until = time.monotonic() + work.seconds
            while time.monotonic() < until:
                url = f"{work.base_url}chat/completions"
                async with session.post(url, json=work.body(document)) as response:
                    await response.read()
                    if response.status == 200:
                        return True
                    pause = float(response.headers.get("retry-after-ms", 1000)) / 1000
                await asyncio.sleep(pause)
            return False

        return await _in_parallel(work.documents, 32, ask)


async def _drained(app: Any, seconds: float) -> Any:
    """Drain what waits in the storage, with everything stored and settled; return the app as configured."""
    from shared.app import PartFailed

    until, current = time.monotonic() + seconds, await app.current()
    while time.monotonic() < until and (await current.documents.demand(DEPLOYMENT)).unfinished:
        try:
            await current.drain_backlog(min(_SLICE, until - time.monotonic()))
        except PartFailed as failed:
            print(failed, file=sys.stderr)
        await asyncio.sleep(_PAUSE)
    return current


async def _records(work: Work) -> int:
    """Drain one file of records."""
    from shared.wiring import App

    app = App(work.settings)
    try:
        current = await _drained(app, work.seconds)
        found = (await current.documents.listed(DEPLOYMENT, None, "", 10)).documents
        return sum(document.answered for document in found)
    finally:
        await app.close()


async def _lamplighter(work: Work) -> int:
    """Drain many documents."""
    from shared.wiring import App

    app = App(work.settings)
    try:
        await _drained(app, work.seconds)
        answered, token = 0, None
        while True:
            page = await app.blobs.list("results", token, 5000)
            answered += sum(item.name.endswith(".json") for item in page.items)
            token = page.token
            if token is None:
                return answered
    finally:
        await app.close()


CLIENTS: dict[str, Client] = {
    "lamplighter": _lamplighter,
    RECORDS: _records,
    "sdk_20_retries_256_workers": _sdk(256, 20),
    "sdk_defaults_32_workers": _sdk(32, 2),
    "tenacity": _tenacity,
    "aiohttp_retry_after": _bare,
}


def main() -> None:
    """Run the client that the first argument names; a second one, a core, pins the process to it."""
    client = CLIENTS[sys.argv[1]]
    if len(sys.argv) > 2 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[2])})
    work = Work(**json.load(sys.stdin))
    began, cpu = time.perf_counter(), time.process_time()
    answered = asyncio.run(client(work))
    print(
        json.dumps(
            {
                "answered": answered,
                "wall_s": round(time.perf_counter() - began, 1),
                "cpu_s": time.process_time() - cpu,
                "peak_rss_mb": peak_memory(),
            }
        )
    )


if __name__ == "__main__":
    main()
