"""Run work in a thread if it would delay the event loop, and leases with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SMALL = 64 * 1024
"""Bytes up to which a document neither waits nor uses a thread: that would cost more than it saves."""
_THREADS = ThreadPoolExecutor(2, "documents")  # not asyncio's pool, which resolves host names and more


async def in_thread(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run work on `size` bytes, if they are many in a thread, to its end even if the caller is cancelled."""
    if size <= SMALL:
        return work(*args, **kwargs)
    running = asyncio.get_running_loop().run_in_executor(_THREADS, lambda: work(*args, **kwargs))
    try:
        await asyncio.wait([running])
    except asyncio.CancelledError:
        await asyncio.wait([running])  # the file is in memory until then
        raise
    return running.result()
