"""Starting and ending the host."""

import asyncio
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from socket import socket
from typing import Any

import azure.functions as functions
import pytest
from aiohttp import web
from azure.storage.blob.aio import ContainerClient
from host_process import HostProcess

from local.azurite import Azurite
from local.host.app import HostError
from local.host.host_json import QueueSettings
from local.host.outputs import Outputs
from local.host.queues import QueueTriggers
from local.host.storage import Queues
from local.host.triggers import Triggers
from local.host.worker import Worker

WAITING = """
@app.route(route="wait", auth_level=func.AuthLevel.ANONYMOUS)
def wait(req: func.HttpRequest) -> str:
    note("http start")
    time.sleep(float(req.params["seconds"]))
    return "http end"

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
async def work(timer: func.TimerRequest) -> None:
    note("start")
    try:
        await asyncio.sleep(float(os.environ["SECONDS"]))
        note("end")
    except asyncio.CancelledError:
        note("cancelled")
        await asyncio.sleep(float(os.environ["SECONDS_MORE"]))
        raise
"""


@pytest.mark.parametrize(
    ("seconds", "more", "last"), [("1.5", "0", "end"), ("60", "0", "cancelled"), ("60", "600", "cancelled")]
)
def test_a_signal_gives_running_invocations_their_grace(
    tmp_path: Path, azurite: Azurite, seconds: str, more: str, last: str
) -> None:
    """An invocation may end within the grace, then it is cancelled, then cut off. The code is always 0."""
    grace = ("--grace-seconds", "10" if last == "end" else "0.2")
    with HostProcess(tmp_path, WAITING, azurite, *grace, SECONDS=seconds, SECONDS_MORE=more) as host:
        host.wait(lambda: host.notes == ["start"])
        assert host.stop() == 0
        assert host.notes == ["start", last]


def test_a_call_in_flight_is_answered(tmp_path: Path, azurite: Azurite) -> None:
    """An HTTP call that is in progress when the signal comes gets its answer."""
    with HostProcess(tmp_path, WAITING, azurite, SECONDS="0") as host, ThreadPoolExecutor() as threads:
        call = threads.submit(host.call, "/api/wait?seconds=1")
        host.wait(lambda: "http start" in host.notes)
        assert host.stop() == 0
        assert call.result()[2] == b"http end"


@pytest.mark.skipif(sys.platform != "linux", reason="the memory is read from Linux")
def test_more_memory_than_the_limit_restarts_the_worker(tmp_path: Path, azurite: Azurite) -> None:
    """Even if the memory is freed at once, every call is cut off, and the worker restarts on its port."""
    app = """
@app.route(route="hold", auth_level=func.AuthLevel.ANONYMOUS)
def hold(req: func.HttpRequest) -> str:
    note("hold")
    held = bytearray(int(req.params["mb"]) * 1_000_000)
    del held
    time.sleep(2)
    return "held"
"""
    with HostProcess(tmp_path, app, azurite, "--memory-limit", "300") as host:
        assert host.call("/api/hold?mb=50")[2] == b"held"
        with pytest.raises((ConnectionError, HTTPException)):
            host.call("/api/hold?mb=300")
        host.wait(lambda: host.output.count(f"host ready {host.url}\n") == 2)
        assert "MB: the worker restarts, which cuts every invocation" in host.output
        assert host.call("/api/hold?mb=50")[2] == b"held"


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("raise KeyError('MODEL_ENDPOINT')", "KeyError: 'MODEL_ENDPOINT'"),
        ("app = None", "'NoneType' object has no attribute 'get_functions'"),
    ],
)
def test_a_broken_app_is_named_and_ends_the_host(
    tmp_path: Path, azurite: Azurite, app: str, message: str
) -> None:
    """The host ends with 1 and says which file and why."""
    host = HostProcess(tmp_path, app, azurite)
    host.start()
    assert host.process.wait(30) == 1
    assert "function_app" in host.output
    assert message in host.output
    assert "host ready" not in host.output


def test_a_port_in_use(tmp_path: Path, azurite: Azurite) -> None:
    """The host ends with 1 and names the port and the remedy."""
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        host = HostProcess(tmp_path, WAITING, azurite, "--port", port)
        host.start()
        assert host.process.wait(30) == 1
    assert f"('127.0.0.1', {port})" in host.output
    assert "address already in use" in host.output.lower()


def test_a_key_is_needed(tmp_path: Path, azurite: Azurite) -> None:
    """Without a key the host does not start, and says how to set one."""
    host = HostProcess(tmp_path, WAITING, azurite, LOCAL_FUNCTION_KEY="")
    host.start()
    assert host.process.wait(30) == 2
    assert "--function-key" in host.output


@pytest.mark.parametrize(
    ("register", "reason"),
    [
        (
            lambda app: app.service_bus_queue_trigger(arg_name="it", queue_name="q", connection="Docs"),
            "function: ServiceBusQueueTrigger is not supported here",
        ),
        (
            lambda app: app.queue_trigger(arg_name="it", queue_name="q", connection="Docs"),
            "set the setting Docs__queueServiceUri",
        ),
        (lambda app: app.route(route="optional/{id?}"), "optional/{id?}"),
        (lambda app: app.route(route="files/{*rest}/x"), "files/{*rest}/x"),
        (
            lambda app: app.route(route="typed/{id:guid}"),
            "only {name} and {*name} in a route, not '/api/typed/{id:guid}'",
        ),
    ],
)
async def test_what_is_not_modelled_ends_the_host(register: Callable[..., Any], reason: str) -> None:
    """The error names a trigger or route that would behave otherwise than in Azure."""
    app = functions.FunctionApp()

    @register(app)
    def function(it: object) -> None: ...

    with pytest.raises((HostError, ValueError), match=re.escape(reason)):
        start(app)


@pytest.mark.parametrize("annotation", [functions.Out[list[str]], functions.Out[int], str])
async def test_an_output_that_azures_worker_refuses_ends_the_host(
    annotation: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker does not load a function with func.Out[list[str]], only with func.Out[typing.List[str]]."""
    monkeypatch.setenv("Docs__queueServiceUri", "http://127.0.0.1:9/devstoreaccount1")
    app = functions.FunctionApp()

    def function(it: object, out: object) -> None: ...

    function.__annotations__["out"] = annotation
    output = app.queue_output(arg_name="out", queue_name="q", connection="Docs")
    app.route(route="x", trigger_arg_name="it")(output(function))
    with pytest.raises(HostError, match=r"function: Azure's worker refuses the annotation .* of out"):
        start(app)


def start(app: functions.FunctionApp) -> None:
    storage, queues = ContainerClient("http://127.0.0.1:9/nobody", "azure-webjobs-hosts"), Queues()
    worker = Worker(60, Outputs(queues))
    triggers = Triggers(
        worker,
        storage,
        1.0,
        web.UrlDispatcher(),
        "key",
        QueueTriggers(worker, queues, QueueSettings()),
    )
    triggers.start(app.get_functions(), asyncio.TaskGroup())


def test_storage_is_needed(tmp_path: Path, azurite: Azurite) -> None:
    """Storage that is on another machine, or does not answer, ends the host with the reason."""
    for uri, reason in [
        ("https://contoso.blob.core.windows.net", "is not Azurite"),
        ("http://127.0.0.1:9/devstoreaccount1", "Cannot connect to host 127.0.0.1:9"),
    ]:
        host = HostProcess(tmp_path, WAITING, azurite, AzureWebJobsStorage__blobServiceUri=uri)
        host.start()
        assert host.process.wait(30) == 1
        assert reason in host.output
