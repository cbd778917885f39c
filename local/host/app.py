"""The app in the host: its settings, its time limit, and the worker that runs its handlers."""

import asyncio
import inspect
import json
import logging
import os
import re
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from azure.functions.decorators.function_app import Function


class HostError(SystemExit):
    """The app cannot run here. Ends the host with exit code 1 and a message with the remedy."""


def read_time_limit(app_dir: Path) -> float:
    """Return the function time limit of host.json in seconds; other keys are ignored. Raises HostError."""
    path = app_dir / "host.json"
    try:
        content = json.loads(path.read_text()) if path.exists() else {}
        hours, minutes, seconds = map(int, content.get("functionTimeout", "00:05:00").split(":"))
    except (AttributeError, ValueError) as error:
        raise HostError(f"{path} is not valid ({error}); functionTimeout is written hh:mm:ss") from error
    return hours * 3600 + minutes * 60 + seconds


def resolve(text: str) -> str:
    """Replace each %NAME% by the app setting NAME. Raises HostError for one that is missing."""
    try:
        return re.sub(r"%([^%]+)%", lambda match: os.environ[match[1]], text)
    except KeyError as error:
        raise HostError(f"{text!r} does not resolve to a value: set the setting {error.args[0]}") from None


class Worker:
    """Invokes handlers, coroutines on the event loop and others in threads; logs invocations, never content.

    Azure restarts the whole worker when an invocation exceeds `time_limit` (seconds) or the instance its
    memory, which cuts off all invocations. Here the process replaces itself on the same `port`, or ends if
    `stop` is set.
    """

    def __init__(self, time_limit: float) -> None:
        self._time_limit = time_limit
        self.stop = asyncio.Event()
        self.port = 0

    async def invoke(self, function: Function, value: object) -> Any:
        """Call the handler with its trigger's value. Raises what the handler raises, after logging it."""
        label = f"function={function.get_function_name()} invocation={uuid4()}"
        run, started, outcome = function.get_user_function(), time.monotonic(), "cancelled"
        # In a thread, because a handler may block the event loop.
        watchdog = threading.Timer(self._time_limit, self.cut_all, (f"{label} outcome=timeout",))
        watchdog.daemon = True
        watchdog.start()
        try:
            answer = await (run(value) if inspect.iscoroutinefunction(run) else asyncio.to_thread(run, value))
            outcome = "succeeded"
            return answer
        except Exception:
            outcome = "failed"
            logging.exception("%s raised", label)
            raise
        finally:
            watchdog.cancel()
            logging.info("%s outcome=%s duration=%.3fs", label, outcome, time.monotonic() - started)

    async def sleep(self, seconds: float) -> bool:
        """Sleep for that time or until the host stops; return False if it stops."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)
        return not self.stop.is_set()

    def cut_all(self, cause: str) -> None:
        """Restart the worker at once, which cuts off all invocations."""
        logging.error("%s: the worker restarts, which cuts every invocation", cause)
        if self.stop.is_set():
            os._exit(0)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], "--port", str(self.port)])
