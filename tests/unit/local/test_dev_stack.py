"""The local stack's own part: starting, watching and ending processes, and their settings."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from local import lifetime, stack, up
from local.azurite import ACCOUNT, Azurite, AzuriteError
from local.deployments_file import accounts_in
from local.emulator.__main__ import parser
from local.stack import Behaviour, Services, StackError, UnusableFile, run_part

# Any server that prints its address will do; this one comes with Python.
SERVER = ["http.server", "0", "--bind", "127.0.0.1"]
UNBUFFERED = {**os.environ, "PYTHONUNBUFFERED": "1"}


def standard_services(tmp_path: Path) -> Services:
    """The addresses of ``dev.py up --no-host``; nothing runs there."""
    blob, queue, table, emulator = (f"http://127.0.0.1:{port}" for port in stack.STANDARD_PORTS)
    azurite = Azurite(*(f"{uri}/{ACCOUNT}" for uri in (blob, table, queue)))
    return Services(azurite, stack.Part("emulator", None, tmp_path / "log"), emulator)  # type: ignore[arg-type]


def test_a_part_is_ready_when_it_prints_its_address_and_gone_when_the_block_is_left(tmp_path: Path) -> None:
    """A server starts, answers at the address that it printed, and is ended."""
    with run_part("server", SERVER, UNBUFFERED, tmp_path / "log") as part:
        port = int(part.wait_for_address().rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        part.check()
    assert part.process.poll() is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


def test_a_part_that_fails_to_start_shows_the_end_of_its_output(tmp_path: Path) -> None:
    """Its name, its exit code, what it wrote last, and where the rest is."""
    with (
        run_part("functions host", ["local.no_such_module"], os.environ, tmp_path / "log") as part,
        pytest.raises(StackError, match="functions host ended with exit code 1") as failure,
    ):
        part.wait_for_address()
    assert "No module named local.no_such_module" in str(failure.value)
    assert str(tmp_path / "log") in str(failure.value)


def test_a_part_that_never_gets_ready_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs, but prints no address: a bounded wait, then an error that names its output."""
    monkeypatch.setattr(stack, "START_SECONDS", 0.3)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with (
        run_part("server", SERVER, buffered, tmp_path / "log") as part,
        pytest.raises(StackError, match="the server was not ready"),
    ):
        part.wait_for_address()
    assert part.process.poll() is not None


def test_a_taken_port_is_named_before_anything_starts() -> None:
    """The standard ports may be somebody else's; 0 is always free."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port} of 127.0.0.1 is taken"):
            stack.check_ports([0, port])
    stack.check_ports([0, port])


def test_the_app_sees_none_of_the_callers_secrets_and_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH, HOME and certificates pass; credentials, proxies and other people's settings do not."""
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/company.pem")
    for name in ("AZURE_CLIENT_SECRET", "OPENAI_API_KEY", "HTTPS_PROXY", "BLOB_SOURCE", "PYTHONPATH"):
        monkeypatch.setenv(name, "not for the app")
    passed = stack.machine_environment()
    assert passed["PATH"] == "/usr/bin"
    assert passed["SSL_CERT_FILE"] == "/etc/ssl/company.pem"
    assert "not for the app" not in passed.values()


def test_the_sample_settings_are_those_of_the_stack_on_its_standard_ports(tmp_path: Path) -> None:
    """``func start`` with the sample runs the same app on the same services as ``dev.py up``."""
    sample = json.loads((stack.ROOT / "local.settings.sample.json").read_text())["Values"]
    here = stack.app_settings(standard_services(tmp_path), Path("deployments.yaml"))
    # Core Tools know Azurite by its own name; the host here takes addresses.
    host_storage = {name: value for name, value in here.items() if name.startswith("AzureWebJobsStorage")}
    assert host_storage.items().isdisjoint(sample.items())
    assert (
        sample.pop("AzureWebJobsStorage") == sample.pop("DOCUMENTS_STORAGE") == "UseDevelopmentStorage=true"
    )
    assert sample == {name: value for name, value in here.items() if name not in host_storage}


def test_accounts_of_one_s_own_file_are_there_in_the_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written out, or as ${NAME} from the environment; what cannot be read is the app's to say."""
    one = stack.ACCOUNT_ID.replace("local-openai", "one")
    two = stack.ACCOUNT_ID.replace("local-openai", "two")
    monkeypatch.setenv("SECOND_ACCOUNT", two)
    monkeypatch.setenv("HOOK_KEY", "a secret")
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        f"accounts:\n  a: {{resource_id: {one}}}\n  b: {{resource_id: '${{SECOND_ACCOUNT}}'}}\n"
        "  c: {resource_id: '${AZURE_OPENAI_ACCOUNT_ID}'}\n  d: {resource_id: nonsense}\n"
        "deployments: {x: {notify: [{webhook: 'https://x.example', secret: '${HOOK_KEY}'}]}}\n"
    )
    assert accounts_in(mine) == [one, two, stack.ACCOUNT_ID]
    settings = stack.app_settings(standard_services(tmp_path), mine)
    assert (settings["SECOND_ACCOUNT"], settings["HOOK_KEY"]) == (two, "a secret")
    for broken in ("accounts: [", "accounts: 7", "- a list", "", "accounts: {a: 7}"):
        mine.write_text(broken)
        assert accounts_in(mine) == []


def test_a_file_that_the_app_cannot_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    """In the app's own words, with key and remedy; the example of this repository can be used."""
    settings = {"AZURE_OPENAI_ACCOUNT_ID": stack.ACCOUNT_ID}
    up.check_file(stack.ROOT / "deployments.yaml", settings)
    broken = tmp_path / "broken.yaml"
    broken.write_text("installation: mine\ndefaults: {time_zone: EST}\n")
    with pytest.raises(UnusableFile, match="'EST' is an abbreviation"):
        up.check_file(broken, settings)


def test_a_running_stack_says_how_to_reach_it(tmp_path: Path) -> None:
    """The command line puts a document in; a program for blobs connects by Azurite's public key."""
    services, settings = standard_services(tmp_path), tmp_path / "local.settings.json"
    running = stack.Stack(services, services.emulator, "http://127.0.0.1:7071", "key", settings)
    said = up.describe(running)
    where = os.path.relpath(settings)
    assert f"-m shared submit DEPLOYMENT FILE --settings {where}" in said
    assert f"-m shared status --settings {where}" in said
    assert "workers" not in said
    with_worker = up.describe(replace(running, workers=(services.emulator,)))
    assert "The workers     1, for the functions with a queue trigger\nThe emulator" in with_worker
    for text in (said, up.describe_services(services)):
        (connection,) = re.findall(r"^ +(DefaultEndpointsProtocol=http;.*)$", text, re.MULTILINE)
        blobs = BlobServiceClient.from_connection_string(connection)
        assert blobs.url.rstrip("/") == services.azurite.blob_uri
        assert blobs.account_name == ACCOUNT
        assert "1.70 dollars an hour, whatever prices deployments.yaml has" in text


def test_the_emulator_understands_every_behaviour() -> None:
    """Each setting has a flag of the same name, and what is not given is left to the emulator."""
    behaviour = Behaviour(provision_median=7.5, upstream="http://127.0.0.1:1/v1", upstream_model="m")
    options = parser().parse_args(["--account", stack.ACCOUNT_ID, *behaviour.arguments()])
    assert vars(behaviour).items() <= vars(options).items()
    assert "--upstream" not in Behaviour().arguments()


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (StackError("the emulator ended"), 1, "Stopped: the emulator ended\n"),
        (UnusableFile("mine.yaml cannot be used:"), 2, "Stopped: mine.yaml cannot be used:\n"),
        (AzuriteError("Azurite is not installed"), 1, "Stopped: Azurite is not installed\n"),
        (OSError("the disk is full"), 1, "Stopped: the disk is full\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_stops_the_stack_is_reported_with_an_exit_code(
    error: BaseException,
    code: int,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of ``dev.py up`` and ``dev.py run`` alike; what went well has its own code."""
    monkeypatch.setattr(lifetime, "stop_with_parent", lambda parent: None)

    def stopped() -> int:
        raise error

    assert lifetime.run_command(1, stopped) == code
    assert capsys.readouterr().err == shown
    assert lifetime.run_command(1, lambda: 7) == 7


CHILD = """
import os, pathlib, sys, time
from local.lifetime import run_command
parent, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
while sys.argv[3] == "before" and os.getppid() == parent:
    time.sleep(0.01)

def work():
    (folder / "working").touch()
    time.sleep(600)

code = run_command(parent, work)
(folder / "unfinished").write_text(str(code))
(folder / "unfinished").rename(folder / "code")
"""
PARENT = """
import os, pathlib, subprocess, sys, time
code, folder, when = sys.argv[1:]
subprocess.Popen([sys.executable, "-c", code, str(os.getpid()), folder, when])
while when == "after" and not (pathlib.Path(folder) / "working").exists():
    time.sleep(0.01)
os._exit(9)
"""
not_windows = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows does not tell a child that its parent is gone"
)


@not_windows
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_stack_stops_when_the_process_that_started_it_was_killed(tmp_path: Path, when: str) -> None:
    """The parent ends without a word, before or after the child looks: the child leaves as on Ctrl-C."""
    command = [sys.executable, "-c", PARENT, CHILD, str(tmp_path), when]
    assert subprocess.run(command, cwd=stack.ROOT, check=False).returncode == 9
    code, deadline = tmp_path / "code", time.monotonic() + 60
    while not code.exists():
        assert time.monotonic() < deadline, "the child did not notice"
        time.sleep(0.05)
    assert code.read_text() == "130"


@not_windows
@pytest.mark.parametrize("module", ["local.up", "local.demo"])
def test_each_program_compares_its_parent_with_the_one_that_it_is_given(module: str) -> None:
    """Started by a process that has ended meanwhile: nothing is left to run for."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, "-m", module, "--parent", str(gone.pid), "--", "deployments.yaml"]
    done = subprocess.run(command, cwd=stack.ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == 130, done.stderr
