"""The worker of the host, which runs the app's handlers."""

import asyncio
import inspect
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any
from uuid import uuid4

from azure.functions.decorators.function_app import Function

from local.host.outputs import Outputs


class Worker:
    """Invokes handlers, coroutines on the event loop and others in threads; logs invocations, never content.

    Azure restarts the whole worker when an invocation exceeds `time_limit` (seconds) or the instance its
    memory, which cuts off all invocations. Here the process replaces itself on the same `port`, or ends if
    `stop` is set.
    """

    def __init__(self, time_limit: float, outputs: Outputs) -> None:
        self._time_limit = time_limit
        self.outputs = outputs
        self.stop = asyncio.Event()
        self.port = 0

    async def invoke(self, function: Function, value: object) -> Any:
        """Call the handler with its trigger's value, then send its outputs; if it raises, nothing is sent.

        Raises what the handler raises, or AzureError if its outputs cannot be sent, after logging it.
        """
        label = f"function={function.get_function_name()} invocation={uuid4()}"
        run, started, outcome = function.get_user_function(), time.monotonic(), "cancelled"
        trigger, boxes = function.get_trigger(), self.outputs.boxes(function)
        assert trigger is not None
        arguments = {trigger.name: value, **boxes}
        # In a thread, because a handler may block the event loop.
        watchdog = threading.Timer(self._time_limit, self.cut_all, (f"{label} outcome=timeout",))
        watchdog.daemon = True
        watchdog.start()
        try:
            is_async = inspect.iscoroutinefunction(run)
            answer = await (run(**arguments) if is_async else asyncio.to_thread(run, **arguments))
            await self.outputs.send(function, boxes)
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
