"""Run `python -m local.host` as a child process, with a small app whose functions write notes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import TracebackType
from typing import Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient

from local.azurite import ACCOUNT_KEY, Azurite, account_name

KEY = "key-of-the-tests"
ROOT = Path(__file__).parents[3]
_PREAMBLE = """
import asyncio, os, time
import azure.functions as func

app = func.FunctionApp()

def note(*words):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(" ".join(map(str, words)) + "\\n")

def noted():
    return open(os.environ["NOTES"]).read().splitlines()
"""


def blob_service(azurite: Azurite) -> BlobServiceClient:
    credential = AzureNamedKeyCredential(account_name(azurite.blob_uri), ACCOUNT_KEY)
    return BlobServiceClient(azurite.blob_uri, credential=credential)


def queue(azurite: Azurite, name: str) -> QueueClient:
    """Return a queue whose messages are as stored: in base64, if the host or its app wrote them."""
    credential = AzureNamedKeyCredential(account_name(azurite.queue_uri), ACCOUNT_KEY)
    return QueueClient(azurite.queue_uri, name, credential=credential)


class HostProcess:
    """A host that starts on entry and ends on exit. Notes of its app, by `note(…)`, survive its restarts."""

    module = "local.host"

    def __init__(self, folder: Path, app: str, azurite: Azurite, *options: str, **settings: str):
        folder.mkdir(exist_ok=True)
        (folder / "function_app.py").write_text(_PREAMBLE + dedent(app))
        self._notes, self._output = folder / "notes.txt", folder / "output.txt"
        self._notes.touch()
        self._command = [
            sys.executable,
            "-m",
            self.module,
            "--app-dir",
            str(folder),
            "--port",
            "0",
            *options,
        ]
        self._settings = {**os.environ, "NOTES": str(self._notes), "LOCAL_FUNCTION_KEY": KEY, **settings}
        for connection in ("AzureWebJobsStorage", "Docs"):
            self._settings.setdefault(f"{connection}__blobServiceUri", azurite.blob_uri)
            self._settings.setdefault(f"{connection}__queueServiceUri", azurite.queue_uri)
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        self.wait(lambda: "host ready" in self.output)
        self.url = self.output.split("host ready ")[1].split()[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ):
        if error:
            sys.stderr.write(self.output)
        self.process.kill()
        self.process.wait()

    def start(self) -> None:
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._settings, stdout=output, stderr=subprocess.STDOUT
            )

    def stop(self) -> int:
        """Stop the host as Ctrl-C does, and return its exit code."""
        self.process.terminate()
        return self.process.wait(30)

    @property
    def notes(self) -> list[str]:
        return self._notes.read_text().splitlines()

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s; notes: {self.notes}"
            assert self.process.poll() is None or condition(), (
                f"the host ended with {self.process.returncode}"
            )
            time.sleep(0.05)

    def call(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a call; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(self.url + path, body, named, method=method)
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()
