"""`python -m local.host`: load the app, start its triggers, run until a signal ends it."""

import argparse
import asyncio
import logging
import os
import secrets
import signal
import sys
import threading
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import web
from azure.core.exceptions import AzureError

from local.host.app import Function, HostError, load_functions, read_host_json
from local.host.blobs import BlobTrigger
from local.host.routes import Routes
from local.host.storage import Records, open_blob_service
from local.host.timers import TimerTrigger
from local.host.worker import Worker

log = logging.getLogger("local.host")

_BODY_LIMIT = 100 * 1024 * 1024  # bytes, as in Azure


async def serve(options: argparse.Namespace, key: str) -> None:
    """Run the app until SIGTERM or SIGINT. Raises HostError, and AzureError when the storage fails."""
    app_dir, stop, loop = options.app_dir.resolve(), asyncio.Event(), asyncio.get_running_loop()
    stopping = threading.Event()

    def end(*_: object) -> None:
        stopping.set()
        loop.call_soon_threadsafe(stop.set)
        # Whatever blocks the event loop, or swallows its cancellation, is left behind.
        deadline = threading.Timer(options.grace_seconds + 2, os._exit, (0,))
        deadline.daemon = True
        deadline.start()

    for number in (signal.SIGTERM, signal.SIGINT):  # loop.add_signal_handler is not on every system
        signal.signal(number, end)
    prefix, limit = read_host_json(app_dir)
    worker = Worker(options.function_timeout or limit, lambda: restart(port, stopping.is_set()))
    application = web.Application(client_max_size=_BODY_LIMIT)
    routes = Routes(application.router, worker, key)
    loaded: list[Function] = []
    triggers: dict[str, TimerTrigger | BlobTrigger] = {}
    async with AsyncExitStack() as stack:
        records = Records(await stack.enter_async_context(open_blob_service("AzureWebJobsStorage")))
        await records.open()
        for function in load_functions(app_dir):
            try:
                if function.trigger["type"] == "httpTrigger":
                    routes.add_function(function, prefix)
                elif function.trigger["type"] == "timerTrigger":
                    triggers[function.name] = TimerTrigger(function, worker, records)
                elif function.trigger["type"] == "blobTrigger":
                    source = open_blob_service(function.trigger["connection"])
                    await stack.enter_async_context(source)
                    trigger = BlobTrigger(function, worker, records, source, options.blob_poll_seconds)
                    triggers[function.name] = trigger
                else:
                    raise HostError(f"the local host does not model {function.trigger['type']}")
                loaded.append(function)
            except ValueError as error:  # in error, it does not stop the others: as in Azure
                log.error("The '%s' function is in error: %s", function.name, error)
        routes.add_admin(loaded, triggers)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=options.grace_seconds)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", options.port).start()
        except OSError as error:
            raise HostError(f"port {options.port} cannot be used: choose another with --port") from error
        port = runner.addresses[0][1]
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(each.run()) for each in triggers.values()]
        print(f"host ready http://127.0.0.1:{port}", flush=True)
        tasks.append(asyncio.create_task(stop.wait()))
        ended, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
        await asyncio.gather(worker.drain(options.grace_seconds), runner.cleanup())
        for task in ended:
            task.result()  # a trigger ends by an error only, and raises it here


def restart(port: int, stopping: bool) -> None:
    """Cut all that runs: replace this process by the same one on the same port, or end it if `stopping`."""
    if stopping:
        os._exit(0)
    arguments = sys.orig_argv[1:]
    if arguments[-2:] != (suffix := ["--port", str(port)]):
        arguments += suffix
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *arguments])


def main() -> int:
    """Parse the command line, run the host and return its exit code."""
    parser = argparse.ArgumentParser("python -m local.host", description="Runs a Python v2 function app.")
    parser.add_argument("--app-dir", type=Path, default=Path(), help="holds function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="0: a free one")
    parser.add_argument("--blob-poll-seconds", type=float, default=1.0)
    parser.add_argument("--function-timeout", type=float, help="seconds; overrides host.json")
    parser.add_argument("--function-key", default=os.environ.get("LOCAL_FUNCTION_KEY"))
    parser.add_argument("--grace-seconds", type=float, default=10.0, help="for invocations when stopped")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.Formatter.converter = time.gmtime
    logging.getLogger("azure").setLevel(logging.WARNING)  # it logs each request
    if not (key := options.function_key):
        key = os.environ["LOCAL_FUNCTION_KEY"] = secrets.token_urlsafe(24)  # kept over restarts
        print(f"function key {key}", flush=True)
    try:
        asyncio.run(serve(options, key))
    except HostError as error:
        log.critical("%s", error, exc_info=error.__cause__)
        return 1
    except AzureError as error:
        log.critical("the storage does not answer: is Azurite running? %s", error)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # at once, though a handler's thread may still be running
