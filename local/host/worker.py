"""Runs handlers as Azure's language worker does, within the function time limit."""

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from local.host.app import Function

log = logging.getLogger(__name__)


class Worker:
    """Invokes handlers, coroutines on the event loop and others in threads; logs each, never its content.

    `time_limit` in seconds, None for none. Exceeding it makes Azure restart the whole worker, which cuts
    every invocation: `restart` is called, from a thread, as a handler may be blocking the event loop.
    """

    def __init__(self, time_limit: float | None, restart: Callable[[], None]) -> None:
        self._time_limit = time_limit
        self._restart = restart
        self._threads = ThreadPoolExecutor()
        self._attempts: set[asyncio.Task[None]] = set()

    async def invoke(self, function: Function, value: object) -> Any:
        """Call the handler with its trigger's value. Raises what the handler raises, after logging it."""
        label = f"function={function.name} invocation={uuid4()}"
        started, outcome = time.monotonic(), "failed"
        watchdog = threading.Timer(self._time_limit or 0, self._cut_all, (label,))
        watchdog.daemon = True
        if self._time_limit:
            watchdog.start()
        try:
            if inspect.iscoroutinefunction(function.handler):
                answer = await function.handler(value)
            else:
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(self._threads, function.handler, value)
            outcome = "succeeded"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception:
            log.exception("%s raised", label)
            raise
        finally:
            watchdog.cancel()
            log.info("%s outcome=%s duration=%.3fs", label, outcome, time.monotonic() - started)
        return answer

    def start(self, attempt: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a trigger's attempt in the background, so that stopping the trigger does not cut it."""
        task = asyncio.create_task(attempt)
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)
        return task

    async def drain(self, seconds: float) -> None:
        """Give running attempts `seconds`, then cancel them."""
        for grace in (seconds, 1.0):  # the second for what they do when cancelled
            if self._attempts:
                _, late = await asyncio.wait(self._attempts, timeout=grace)
                for task in late:
                    task.cancel()

    def _cut_all(self, label: str) -> None:
        log.error("%s outcome=timeout: the worker restarts, which cuts every invocation", label)
        self._restart()
