"""Starting and ending the host."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import socket

import pytest
from host_process import HostProcess

from local.azurite import Azurite

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
        raise
"""


@pytest.mark.parametrize(("seconds", "last"), [("1.5", "end"), ("60", "cancelled")])
def test_a_signal_gives_running_invocations_their_grace(
    tmp_path: Path, azurite, seconds: str, last: str
) -> None:
    """What ends within the grace ends; what does not is cancelled; the host ends with 0 either way."""
    grace = ("--grace-seconds", "10" if last == "end" else "0.2")
    with HostProcess(tmp_path, WAITING, azurite, *grace, SECONDS=seconds) as host:
        host.wait(lambda: host.notes == ["start"])
        assert host.stop() == 0
        assert host.notes == ["start", last]


def test_a_call_in_flight_is_answered(tmp_path: Path, azurite: Azurite) -> None:
    """An HTTP call that is being worked on when the signal comes gets its answer."""
    with HostProcess(tmp_path, WAITING, azurite, SECONDS="0") as host, ThreadPoolExecutor() as threads:
        call = threads.submit(host.call, "/api/wait?seconds=1")
        host.wait(lambda: "http start" in host.notes)
        assert host.stop() == 0
        assert call.result()[2] == b"http end"


def test_a_handler_that_blocks_does_not_keep_the_host(tmp_path: Path, azurite: Azurite) -> None:
    """A signal is obeyed though a handler blocks the event loop, and no time limit restarts the host then."""
    app = WAITING.replace("await asyncio.sleep", "time.sleep")
    options = ("--grace-seconds", "0.5", "--function-timeout", "60")
    with HostProcess(tmp_path, app, azurite, *options, SECONDS="60") as host:
        host.wait(lambda: host.notes == ["start"])
        assert host.stop() == 0
        assert host.notes == ["start"]


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("raise KeyError('MODEL_ENDPOINT')", "cannot be loaded: KeyError: 'MODEL_ENDPOINT'"),
        ("import surely_missing_module", "ModuleNotFoundError: No module named 'surely_missing_module'"),
        ("app = None", "0 of its variables are a FunctionApp"),
    ],
)
def test_a_broken_app_is_named_and_ends_the_host(
    tmp_path: Path, azurite: Azurite, app: str, message: str
) -> None:
    """The host ends with 1 and says which file and why."""
    host = HostProcess(tmp_path, app, azurite)
    host.start()
    assert host.process.wait(30) == 1
    assert str(tmp_path / "function_app.py") in host.output
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
    assert f"port {port} cannot be used" in host.output
    assert "--port" in host.output


def test_a_generated_key_outlives_a_restart(tmp_path: Path, azurite: Azurite) -> None:
    """Without a key in the environment the host makes one and prints it once; a time-out keeps it."""
    app = """
@app.route(route="work")
def work(req: func.HttpRequest) -> str:
    time.sleep(float(req.params["seconds"]))
    return "worked"
"""
    with HostProcess(tmp_path, app, azurite, "--function-timeout", "2", LOCAL_FUNCTION_KEY="") as host:
        key = host.output.split("function key ")[1].split()[0]
        assert host.call("/api/work?seconds=0")[0] == 401
        assert host.call("/api/work?seconds=0", x_functions_key=key)[2] == b"worked"
        with pytest.raises(OSError):
            host.call("/api/work?seconds=60", x_functions_key=key)
        host.wait(lambda: host.output.count(f"host ready {host.url}\n") == 2)
        assert host.call("/api/work?seconds=0", x_functions_key=key)[2] == b"worked"
        assert host.output.count(key) == 1


def test_functions_that_cannot_run_here_are_left_out(tmp_path: Path, azurite: Azurite) -> None:
    """A queue trigger and an unknown route are errors of these functions; the others run."""
    app = (
        WAITING
        + """
@app.queue_trigger(arg_name="message", queue_name="q", connection="Docs")
def queued(message: func.QueueMessage) -> None: ...

@app.route(route="optional/{id?}")
def optional(req: func.HttpRequest) -> str: ...
"""
    )
    with HostProcess(tmp_path, app, azurite, SECONDS="0") as host:
        assert "The 'queued' function is in error: the local host does not model queueTrigger" in host.output
        assert "The 'optional' function is in error" in host.output
        assert host.call("/api/wait?seconds=0")[2] == b"http end"


def test_storage_is_needed(tmp_path: Path, azurite: Azurite) -> None:
    """Storage elsewhere than on this machine, or that does not answer, ends the host with its reason."""
    for uri, reason in [
        ("https://contoso.blob.core.windows.net", "is not Azurite"),
        ("http://127.0.0.1:9/devstoreaccount1", "is Azurite running?"),
    ]:
        host = HostProcess(tmp_path, WAITING, azurite, AzureWebJobsStorage__blobServiceUri=uri)
        host.start()
        assert host.process.wait(30) == 1
        assert reason in host.output
