"""The whole local stack: Azurite, the emulator and the functions host, each in a process of its own.

As in Azure, the app gets its settings as environment variables. Of the caller's environment it sees only what
every process on this machine needs.
"""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from local.azurite import Azurite, run_azurite
from local.deployments_file import ACCOUNT_ID, own_settings, topic_setting

ROOT = Path(__file__).resolve().parent.parent
# The ports in local.settings.sample.json: Azurite's three default ports, and the emulator's.
STANDARD_PORTS = (10000, 10001, 10002, 10010)
START_SECONDS = 60.0
STOP_SECONDS = 15.0
GRACE_SECONDS = 3.0  # for functions in flight when the stack is stopped

# Variables that a process needs, and those that name certificates: no credentials, proxies or app settings.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "USERPROFILE")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_ADDRESS = re.compile(r"\bhttp://127\.0\.0\.1:\d+")


class StackError(RuntimeError):
    """A part of the stack did not start or has ended. The message contains the end of its output."""


class UnusableFile(StackError):
    """The app cannot use the deployments file: nothing was started. The message is the app's own."""


@dataclass(frozen=True)
class Behaviour:
    """The emulator's timing in seconds, short so that a demonstration is quick, and its upstream server."""

    provision_median: float = 4.0
    provision_p95: float = 5.0
    delete_seconds: float = 2.0
    warmup_seconds: float = 1.0
    latency_seconds: float = 0.3
    upstream: str | None = None
    upstream_model: str | None = None

    def arguments(self) -> list[str]:
        """Return the emulator's command line arguments."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return [text for name, value in given.items() for text in (f"--{name.replace('_', '-')}", str(value))]


@dataclass(frozen=True)
class Part:
    """A running process of the stack."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        """Return what the process has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def check(self) -> None:
        """Raise StackError with the end of the output if the process has ended."""
        code = self.process.poll()
        if code is not None:
            tail = "\n".join("  | " + line for line in self.output().splitlines()[-15:])
            raise StackError(
                f"the {self.name} ended with exit code {code}:\n{tail}\nits whole output: {self.log}"
            )

    def wait_for_address(self) -> str:
        """Return the address that it prints when it is ready. Raises StackError after START_SECONDS."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            # Only whole lines: the last one may be incomplete.
            if match := _ADDRESS.search(self.output().rpartition("\n")[0]):
                return match.group()
            self.check()
            time.sleep(0.05)
        raise StackError(f"the {self.name} was not ready after {START_SECONDS:.0f} s; its output: {self.log}")


@contextmanager
def run_part(
    name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[Part]:
    """Run a Python module from the repository's root until the context ends; its output goes to ``log``.

    The process stays in the caller's process group, so a signal to the group ends it too.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Part(name, process, log)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Services:
    """The services that the app needs: storage, and an emulated Azure for its deployments."""

    azurite: Azurite
    emulator: Part
    emulator_url: str


@dataclass(frozen=True)
class Stack:
    """The app running on its services."""

    services: Services
    host: Part
    host_url: str
    function_key: str
    settings_file: Path  # the app's settings, for the command line
    workers: tuple[Part, ...] = ()  # they run the functions with a queue trigger, and `host` all others

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every Python process of the stack."""
        return (self.services.emulator, self.host, *self.workers)

    def check(self) -> None:
        """Raise StackError if a part has ended."""
        for part in self.parts:
            part.check()


@contextmanager
def run_services(
    folder: Path, behaviour: Behaviour, *, accounts: Sequence[str] = (), standard_ports: bool = False
) -> Iterator[Services]:
    """Run Azurite (in memory) and the emulator on free ports or on STANDARD_PORTS; logs go to ``folder``.

    ``accounts``: resource ids of the emulator's Azure OpenAI accounts; ACCOUNT_ID if there are none.
    """
    ports = STANDARD_PORTS if standard_ports else (0, 0, 0, 0)
    check_ports(ports)
    named = [text for account in accounts or (ACCOUNT_ID,) for text in ("--account", account)]
    command = ["local.emulator", "--port", str(ports[3]), *named, *behaviour.arguments()]
    with ExitStack() as stack:
        azurite = stack.enter_context(run_azurite(ports=ports[:3]))
        emulator = stack.enter_context(run_part("emulator", command, os.environ, folder / "emulator.log"))
        yield Services(azurite, emulator, emulator.wait_for_address())


@contextmanager
def run_host(
    services: Services, deployments_file: Path, folder: Path, *, workers: int = 0
) -> Iterator[Stack]:
    """Run the functions host with the app on these services; its log goes to ``folder``.

    ``workers``: number of further hosts that run only the functions with a queue trigger; the first one then
    runs all others. Azure's Flex Consumption, too, runs each such function on instances of its own.
    """
    key = secrets.token_hex(20)
    command = ["local.host", "--app-dir", str(ROOT), "--port", "0", "--function-key", key]
    command += ["--grace-seconds", str(GRACE_SECONDS)]
    settings = app_settings(services, deployments_file)
    settings_file = folder / "local.settings.json"
    settings_file.write_text(json.dumps({"IsEncrypted": False, "Values": settings}, indent=2), "utf-8")
    environment = machine_environment() | settings
    with ExitStack() as stack:

        def start(name: str, log: str, *only: str) -> Part:
            return stack.enter_context(run_part(name, [*command, *only], environment, folder / log))

        host = start("functions host", "host.log", *(["--only", "others"] if workers else []))
        numbers = range(1, workers + 1)
        others = tuple(start(f"worker {n}", f"worker-{n}.log", "--only", "queues") for n in numbers)
        for part in (host, *others):
            stack.callback(part.process.terminate)  # all at first: each may use its whole grace
        url = host.wait_for_address()
        for worker in others:
            worker.wait_for_address()
        yield Stack(services, host, url, key, settings_file, others)


def machine_environment() -> dict[str, str]:
    """Return the few variables that the app's process inherits from the caller's environment."""
    return {name: os.environ[name] for name in (*_PASSED_ON, *_CERTIFICATES) if name in os.environ}


def storage_settings(blob: str, queue: str, table: str) -> dict[str, str]:
    """Return the app settings that name the storage, by the URLs of its services."""
    return {
        f"{connection}__{service}ServiceUri": uri
        for connection in ("AzureWebJobsStorage", "DOCUMENTS_STORAGE")
        for service, uri in {"blob": blob, "queue": queue, "table": table}.items()
    }


def app_settings(services: Services, deployments_file: Path) -> dict[str, str]:
    """Return the app settings as in Azure; local.settings.sample.json has the same."""
    azurite = services.azurite
    return {
        **own_settings(deployments_file),
        **storage_settings(azurite.blob_uri, azurite.queue_uri, azurite.table_uri),
        **topic_setting(services.emulator_url),
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "DEPLOYMENTS_FILE": str(deployments_file),
        "AZURE_RESOURCE_MANAGER_ENDPOINT": services.emulator_url,
        "BLOB_SOURCE": "LogsAndContainerScan",
        "RECONCILE_SCHEDULE": "*/5 * * * * *",
    }


def check_ports(ports: Sequence[int]) -> None:
    """Raise StackError for the first port of 127.0.0.1 that is taken; 0 means any free port."""
    for port in ports:
        with socket.socket() as probe:
            if os.name != "nt":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                taken = f"port {port} of 127.0.0.1 is taken" if port else "127.0.0.1 has no free port"
                raise StackError(
                    f"{taken} ({error.strerror}): stop what uses it, then start again"
                ) from error


def new_folder(purpose: str) -> Path:
    """Create a working folder for one start of the stack, below ``.dev``, which git ignores."""
    folder = ROOT / ".dev" / f"{purpose}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    folder.mkdir(parents=True)
    return folder
