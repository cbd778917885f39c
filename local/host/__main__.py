"""The host's command line, `python -m local.host`: load the app, start its triggers, run until a signal."""

import argparse
import asyncio
import importlib
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from aiohttp import web
from azure.core.exceptions import ResourceExistsError
from azure.functions.decorators.function_app import Function
from azure.functions.decorators.queue import QueueTrigger

from local.host import memory
from local.host.host_json import read_queue_settings, read_time_limit
from local.host.outputs import Outputs
from local.host.queues import QueueTriggers
from local.host.storage import Queues, open_blob_service
from local.host.triggers import Triggers
from local.host.worker import Worker

CLEAN_UP_SECONDS = 1.0  # for handlers, after they were cancelled


async def serve(options: argparse.Namespace) -> None:
    """Run the functions that function_app.py registers in `app` until SIGTERM or SIGINT, then exit."""
    time_limit = options.function_timeout or read_time_limit(options.app_dir)
    queue_settings, queues = read_queue_settings(options.app_dir), Queues()
    loop, worker = asyncio.get_running_loop(), Worker(time_limit, Outputs(queues))
    listener = socket.create_server(("127.0.0.1", options.port))
    worker.port = listener.getsockname()[1]
    os.environ["WEBSITE_HOSTNAME"] = f"127.0.0.1:{worker.port}"  # as in Azure, and as Core Tools do
    for number in (signal.SIGTERM, signal.SIGINT):  # loop.add_signal_handler is not on every system
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(worker.stop.set))
    if options.memory_limit:
        memory.watch(options.memory_limit * 1024 * 1024, worker.cut_all)
    sys.path.insert(0, str(options.app_dir.resolve()))
    registered = importlib.import_module("function_app").app.get_functions()  # may be called only once
    functions = [function for function in registered if _runs_here(function, options.only)]

    async def status(_: web.Request) -> web.Response:
        names = [function.get_function_name() for function in functions]
        return web.json_response({"functions": [{"name": name} for name in names]})

    web_app = web.Application(client_max_size=100 * 1024 * 1024)  # bytes, as in Azure
    web_app.router.add_get("/admin/host/status", status)
    async with open_blob_service("AzureWebJobsStorage") as storage, queues:
        records = storage.get_container_client(
            "azure-webjobs-hosts"
        )  # where the host in Azure keeps its records
        with suppress(ResourceExistsError):
            await records.create_container()
        triggers = Triggers(
            worker,
            records,
            options.blob_poll_seconds,
            web_app.router,
            options.function_key,
            QueueTriggers(worker, queues, queue_settings),
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as grace, asyncio.TaskGroup() as group:
                triggers.start(functions, group)
                runner = web.AppRunner(web_app, access_log=None, shutdown_timeout=options.grace_seconds)
                await runner.setup()
                await web.SockSite(runner, listener).start()
                print(f"host ready http://127.0.0.1:{worker.port}", flush=True)
                await worker.stop.wait()
                grace.reschedule(loop.time() + options.grace_seconds)
                # Handlers that continue after they were cancelled are cut off, as in Azure.
                loop.call_later(options.grace_seconds + CLEAN_UP_SECONDS, os._exit, 0)
                await runner.cleanup()
    os._exit(0)  # do not wait for the threads of handlers


def _runs_here(function: Function, only: str | None) -> bool:
    return only is None or isinstance(function.get_trigger(), QueueTrigger) is (only == "queues")


def main() -> None:
    """Parse the command line and run the host."""
    parser = argparse.ArgumentParser("python -m local.host", description="Runs a Python v2 function app.")
    parser.add_argument(
        "--app-dir", type=Path, default=Path(), help="folder of function_app.py and host.json"
    )
    parser.add_argument("--port", type=int, default=7071, help="0 takes a free port")
    parser.add_argument("--blob-poll-seconds", type=float, default=1.0)
    parser.add_argument("--function-timeout", type=float, help="seconds; overrides host.json")
    parser.add_argument("--memory-limit", type=int, help="MB; the worker restarts when it uses more")
    parser.add_argument(
        "--only",
        choices=("queues", "others"),
        help="run only the functions with a queue trigger, or only the others; default: all",
    )
    key = os.environ.get("LOCAL_FUNCTION_KEY")
    parser.add_argument("--function-key", default=key, required=not key, help="default: LOCAL_FUNCTION_KEY")
    parser.add_argument(
        "--grace-seconds", type=float, default=10.0, help="time for running invocations at the stop"
    )
    options = parser.parse_args()
    # The root logger at INFO, as in Microsoft's worker: the app itself must quieten its packages.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
