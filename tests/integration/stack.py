"""Run the app in the local stack, and observe it from outside: its API, its storage and its hosting.

The functions host, with the repository's own function_app.py, and the emulator are separate processes.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from local.azurite import ACCOUNT_KEY, Azurite, account_name
from local.stack import ROOT, Behaviour, Part, Services, app_settings, machine_environment, run_part
from tests.integration.calls import Answer, call
from tests.integration.deployments_file import PROMPT, Section, account_id, write_deployments
from tests.integration.emulated_azure import EmulatedAzure, Session

T = TypeVar("T")

KEY = "function-key-of-the-tests"
SECRET = "Zimtstern"  # in every document, and so in every answer; it must not be in the log
TICK = 2.0  # seconds between two of the app's timers
QUICK = Behaviour(
    provision_median=1.0, provision_p95=1.0, delete_seconds=0.5, warmup_seconds=0.5, latency_seconds=0.1
)
_BOUND = 90.0  # seconds for steps that take a few, on a busy machine
_TAIL = 6000  # characters of output that a failure shows


def letter(subject: str) -> str:
    """Return a document; the emulator's answer repeats its beginning."""
    return f"{subject}, {SECRET}: please confirm that the delivery of the fourteenth has arrived."


class Stack:
    """The running app. `deployments_file` is what its setting DEPLOYMENTS_FILE names."""

    def __init__(
        self,
        folder: Path,
        services: Services,
        processes: ExitStack,
        host: str = "local.host",
        memory_limit: int | None = None,
        workers: int = 0,
    ) -> None:
        self._host_module = host
        self._memory_limit = memory_limit
        self._with_workers = workers > 0
        self.deployments_file = folder / "deployments.yaml"
        self.azure = EmulatedAzure(services.emulator_url)
        self._services = services
        self._processes = processes
        self.workers: list[Part] = []
        self._logs: list[Path] = []
        uri = services.azurite.blob_uri
        credential = AzureNamedKeyCredential(account_name(uri), ACCOUNT_KEY)
        # Without the environment's proxies: all calls stay on this machine.
        self._blobs = processes.enter_context(
            BlobServiceClient(uri, credential=credential, use_env_settings=False)
        )

    # --- the host -----------------------------------------------------------------------------

    def start_host(self) -> None:
        """Start the functions host, also after it was killed."""
        self._host = self._start("functions host", *(["--only", "others"] if self._with_workers else []))
        self._url = self._host.wait_for_address()

    def start_worker(self) -> Part:
        """Start one more host, which runs only the functions with a queue trigger."""
        worker = self._start("worker", "--only", "queues")
        worker.wait_for_address()
        return worker

    def _start(self, name: str, *options: str) -> Part:
        log = self.deployments_file.with_name(f"host-{len(self._logs)}.log")
        command = [self._host_module, "--app-dir", str(ROOT), "--port", "0", "--function-key", KEY]
        command += ["--blob-poll-seconds", "0.2", "--grace-seconds", "1", *options]
        if self._memory_limit is not None:
            command += ["--memory-limit", str(self._memory_limit)]
        settings = app_settings(self._services, self.deployments_file)
        environment = machine_environment() | settings | {"RECONCILE_SCHEDULE": f"*/{TICK:.0f} * * * * *"}
        part = self._processes.enter_context(run_part(name, command, environment, log))
        self._logs.append(log)
        return part

    def kill_host(self) -> None:
        """End the host at once, as a crash of its machine does."""
        self._host.process.kill()
        self._host.process.wait()

    def has_died(self) -> bool:
        """Return whether the host has ended by itself."""
        return self._host.process.poll() is not None

    def has_died_within(self, seconds: float) -> bool:
        """Return whether it ends by itself in that time: its connections break a little earlier."""
        with suppress(subprocess.TimeoutExpired):
            self._host.process.wait(seconds)
        return self.has_died()

    def out_of_memory(self) -> int:
        """Return how often the worker was restarted because it exceeded its memory limit."""
        return self.output.count("MB: the worker restarts")

    def peak_memory(self) -> int:
        """Return the host's peak resident memory since its start in MB; 0 if it is not reported."""
        status = Path(f"/proc/{self._host.process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(line.split()[1]) // 1000 for line in lines if line.startswith("VmHWM:")), 0)

    @property
    def output(self) -> str:
        """Return the whole output of the host and its workers, from before their kills too."""
        return "".join(log.read_text(encoding="utf-8", errors="replace") for log in self._logs)

    def wait(self, what: str, condition: Callable[[], T], within: float = _BOUND) -> T:
        """Wait until the condition is true, and return its value. `within`: seconds."""
        deadline = time.monotonic() + within
        while not (value := condition()):
            self._host.check()
            assert time.monotonic() < deadline, f"waited {within:.0f} s until {what}"
            time.sleep(0.1)
        return value

    # --- the API -----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Return the host's address, without a slash at its end."""
        return self._url

    def upload(self, name: str, content: str | bytes) -> None:
        """Put a document into the inbox; it replaces one of the same name."""
        with suppress(ResourceExistsError):
            self._blobs.create_container("inbox")
        data = content.encode() if isinstance(content, str) else content
        self._blobs.get_blob_client("inbox", name).upload_blob(data, overwrite=True)

    def remove_upload(self, name: str) -> None:
        """Delete a document from the inbox."""
        self._blobs.get_blob_client("inbox", name).delete_blob()

    def api(self, path: str) -> Answer:
        """Send a GET below /api."""
        return call(f"{self._url}/api/{path}", headers={"x-functions-key": KEY})

    def post(self, path: str, body: object = None) -> Answer:
        """Send a POST below /api, with a JSON body or without one."""
        data = b"" if body is None else json.dumps(body).encode()
        return call(f"{self._url}/api/{path}", "POST", data, {"x-functions-key": KEY})

    def delete(self, path: str) -> Answer:
        """Send a DELETE below /api."""
        return call(f"{self._url}/api/{path}", "DELETE", None, {"x-functions-key": KEY})

    def submit(
        self,
        deployment: str,
        name: str,
        content: str | bytes,
        key: str = KEY,
        prefer: str = "",
        content_type: str = "application/octet-stream",
    ) -> Answer:
        """Submit a document by HTTP."""
        data = content.encode() if isinstance(content, str) else content
        headers = {
            "x-functions-key": key,
            "X-File-Name": quote(name, safe=""),
            "Prefer": prefer,
            "Content-Type": content_type,
        }
        return call(f"{self._url}/api/deployments/{deployment}/documents", "POST", data, headers)

    def functions(self) -> set[str]:
        """Return the names of the host's functions."""
        status = call(f"{self._url}/admin/host/status").json
        return {function["name"] for function in status["functions"]}

    def documents(self, deployment: str) -> list[dict[str, Any]]:
        """Return the documents of a deployment by arrival, as the API lists them."""
        return list(self._read(f"documents?deployment={deployment}")["documents"])

    def states(self, deployment: str) -> Counter[tuple[str, str]]:
        """Return names and states of a deployment's documents, as the API lists them."""
        return Counter((document["name"], document["state"]) for document in self.documents(deployment))

    def deployment(self, name: str) -> dict[str, Any]:
        """Return a deployment as the API shows it."""
        return next(each for each in self._read("deployments")["deployments"] if each["deployment"] == name)

    def _read(self, path: str) -> Any:
        answer = self.api(path)
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            # Storage or this machine was busy, and the answer says to try again.
            answer = self.api(path)
        assert answer.status == HTTPStatus.OK, answer.body
        return answer.json

    # --- the storage ------------------------------------------------------------------------

    def stored(self, container: str, folder: str = "") -> dict[str, bytes]:
        """Return the blobs of a container, or of a folder there, by name."""
        blobs = self._blobs.get_container_client(container)
        found: dict[str, bytes] = {}
        with suppress(ResourceNotFoundError):  # the container does not exist yet
            for name in blobs.list_blob_names(name_starts_with=f"{folder}/" if folder else None):
                with suppress(ResourceNotFoundError):  # moved since it was listed; keep the others
                    found[name] = blobs.download_blob(name).readall()
        return found

    def stored_names(self, container: str) -> list[str]:
        """Return the names of a container's blobs without reading them."""
        try:
            return list(self._blobs.get_container_client(container).list_blob_names())
        except ResourceNotFoundError:  # the container does not exist yet
            return []

    def waiting(self, deployment: str) -> list[str]:
        """Return the names in a deployment's folder of the inbox."""
        inbox = self._blobs.get_container_client("inbox")
        return list(inbox.list_blob_names(name_starts_with=f"{deployment}/"))

    def results(self, deployment: str) -> list[dict[str, Any]]:
        """Return the stored results of a deployment."""
        stored = self.stored("results", deployment)
        return [json.loads(content) for name, content in stored.items() if name.endswith(".json")]

    def overwrite(self, place: str, content: str) -> None:
        """Overwrite a blob, named `container/name`, as a person would."""
        container, _, name = place.partition("/")
        self._blobs.get_blob_client(container, name).upload_blob(content.encode(), overwrite=True)

    # --- the end of every test --------------------------------------------------------------

    def wait_until_answered(self, deployment: str, documents: Mapping[str, str]) -> None:
        """Wait until the inbox is empty; check that each document has one result and is kept."""
        self.wait(f"the inbox of {deployment} is empty", lambda: not self.waiting(deployment))
        results = self.results(deployment)
        assert Counter(result["document"]["name"] for result in results) == Counter(documents.keys())
        for result in results:
            text = documents[result["document"]["name"]]
            assert result["answer"].startswith(text[:30]), result["document"]["name"]
        kept = Counter(self.stored("processed", deployment).values())
        assert kept == Counter(text.encode() for text in documents.values())

    def wait_until_gone(self, deployment: str) -> list[Session]:
        """Wait until the deployment was hosted and is deleted; check that no request was cut off."""

        def sessions_if_gone() -> list[Session]:
            sessions = self.azure.sessions(deployment)
            return [] if self.azure.get_deployment(deployment) else sessions

        sessions = self.wait(f"{deployment} was hosted and is deleted", sessions_if_gone)
        assert all(session.deleted for session in sessions)
        assert sum(session.cut for session in sessions) == 0
        return sessions

    def assert_log_is_discreet(self) -> None:
        """Check that the host's output has no text of documents, answers or prompts, and no keys."""
        output = self.output
        assert '"event"' in output, "the app's log lines are there to be searched"
        for secret in (SECRET, PROMPT, KEY, ACCOUNT_KEY):
            assert secret not in output


@contextmanager
def run_stack(
    folder: Path,
    azurite: Azurite,
    deployments: Mapping[str, Section],
    *,
    behaviour: Behaviour = QUICK,
    host: str = "local.host",
    memory_limit: int | None = None,
    workers: int = 0,
    emulator: Sequence[str] = (),
    **sections: Section,
) -> Iterator[Stack]:
    """Run the app with these deployments; a failure in the block shows the end of the host's output.

    `host`: the module that runs it; `memory_limit`: MB above which the worker restarts; `workers`: further
    hosts that run the functions with a queue trigger, and the first one then only the others; `emulator`:
    further options; `sections`: further sections of deployments.yaml.
    """
    command = ["local.emulator", *behaviour.arguments(), *emulator]
    for name in deployments:
        command += ["--account", account_id(name)]
    with ExitStack() as processes:
        part = processes.enter_context(
            run_part("emulator", command, machine_environment(), folder / "emulator.log")
        )
        services = Services(azurite, part, part.wait_for_address())
        stack = Stack(folder, services, processes, host, memory_limit, workers)
        write_deployments(stack.deployments_file, deployments, **sections)
        stack.start_host()
        for _ in range(workers):
            stack.workers.append(stack.start_worker())
        try:
            yield stack
        except BaseException:
            show_tail(stack.output)
            raise


def show_tail(output: str) -> None:
    """Print the end of the output: pytest shows it if the test fails."""
    sys.stderr.write(f"The end of the host's output:\n{output[-_TAIL:]}")
