"""The main job of ``dev.py run``: send files through the three scenarios and watch from outside.

The report comes from the places where a user or an accountant would look: the app's HTTP API, the storage
account, and the emulator's meter. It uses nothing of the app's internals.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob.aio import ContainerClient

from local.azurite import ACCOUNT_KEY, account_name
from local.display import Display, print_report
from local.emulator.upstream import why_no_answer
from local.lifetime import add_parent, run_command, stay_up
from local.progress import Deployment, Document, Snapshot, changes, unique_names
from local.scenarios import Door, Scenario, plan_scenarios, read_meter, write_deployments
from local.stack import Behaviour, Stack, StackError, new_folder, run_host, run_services
from local.up import describe

# Time after the last window for requests in flight, deletes, and the pauses between writes to one account.
SETTLE = timedelta(seconds=150)
LOOK_SECONDS = 1.0
# Seconds allowed for answering one document: the emulator is quick, a real model is not.
EMULATED_SECONDS, UPSTREAM_SECONDS = 2.0, 30.0


class Demo:
    """Submits documents, looks at the stack once a second, and stops when all is settled or time is up."""

    def __init__(
        self,
        stack: Stack,
        http: aiohttp.ClientSession,
        scenarios: Sequence[Scenario],
        files: Mapping[str, Path],
    ) -> None:
        self._stack = stack
        self._http = http
        self._scenarios = scenarios
        self._files = files
        self._refused: dict[tuple[str, str], Document] = {}

    async def run(self, display: Display) -> Snapshot:
        """Run the job and return the last snapshot. Raises StackError if a part of the stack ends."""
        deadline = max(scenario.ends for scenario in self._scenarios) + SETTLE
        submitting = asyncio.gather(*(self._submit(scenario) for scenario in self._scenarios))
        snapshot = Snapshot()
        try:
            while not self._is_settled(snapshot) and datetime.now(UTC) < deadline:
                self._stack.check()
                if submitting.done():
                    submitting.result()
                seen = await self._look(snapshot)
                display.show(seen, changes(snapshot, seen))
                snapshot = seen
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            submitting.cancel()
            with suppress(asyncio.CancelledError):
                await submitting
        return snapshot

    async def results(self, snapshot: Snapshot, folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
        """Fetch the result of every answered document and write a copy of each below ``folder``."""
        found = {}
        for (name, file), document in snapshot.documents.items():
            result = await self._get(f"/documents/{document.id}/result") if document.state == "done" else None
            if result is not None:
                found[name, file] = result
                copy = folder / name / f"{file}.json"
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(json.dumps(result, indent=2, ensure_ascii=False), encoding="utf-8")
        return found

    def _is_settled(self, snapshot: Snapshot) -> bool:
        return (
            all(snapshot.is_final(scenario.name, self._files) for scenario in self._scenarios)
            and all(scenario.ends < datetime.now(UTC) for scenario in self._scenarios)
            and snapshot.bill["open"] == 0
        )

    async def _submit(self, scenario: Scenario) -> None:
        await asyncio.sleep(max(0.0, (scenario.submit_at - datetime.now(UTC)).total_seconds()))
        submit = self._upload if scenario.door is Door.INBOX else self._post
        for file, path in self._files.items():
            content = path.read_bytes()
            # The app waits some minutes before it judges an empty upload: a program may still be writing it.
            refusal = await submit(scenario.name, file, content) if content else "the file is empty"
            if refusal:
                self._refused[scenario.name, file] = Document("failed", refusal)

    async def _upload(self, deployment: str, file: str, content: bytes) -> str | None:
        uri = self._stack.services.azurite.blob_uri
        credential = AzureNamedKeyCredential(account_name(uri), ACCOUNT_KEY)
        # Ignore the proxy settings of the environment: the address is on this machine.
        container = ContainerClient(uri, "inbox", credential=credential, use_env_settings=False)
        async with container:
            with suppress(ResourceExistsError):
                await container.create_container()
            try:
                await container.upload_blob(f"{deployment}/{file}", content)
            except AzureError as error:
                return str(error)
        return None

    async def _post(self, deployment: str, file: str, content: bytes) -> str | None:
        url = f"{self._stack.host_url}/api/deployments/{deployment}/documents"
        headers = {"x-functions-key": self._stack.function_key, "X-File-Name": quote(file)}
        try:
            async with self._http.post(url, data=content, headers=headers) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"the app cannot be reached: {error!r}"
        if response.status in (200, 202):
            return None
        with suppress(ValueError, LookupError, TypeError):
            return str(json.loads(text)["error"])
        return f"{response.status} {response.reason}: {text}"

    async def _look(self, before: Snapshot) -> Snapshot:
        """Take one snapshot; a source that does not answer now keeps the values of the snapshot before."""
        names = [scenario.name for scenario in self._scenarios]
        bill, listing, *lists = await asyncio.gather(
            self._get_json(f"{self._stack.services.emulator_url}/emulator/bill"),
            self._get("/deployments"),
            *(self._get(f"/documents?deployment={name}") for name in names),
        )
        rows = listing["deployments"] if listing else []
        deployments = {row["deployment"]: Deployment(row["observed"], row["reason"]) for row in rows}
        documents = {
            (name, row["name"]): Document(row["state"], row["reason"] or "", row["id"])
            for name, content in zip(names, lists, strict=True)
            for row in sorted(content["documents"] if content else [], key=lambda row: row["arrived_at"])
        }
        return Snapshot(
            {**before.deployments, **deployments},
            {**before.documents, **documents, **self._refused},
            bill or before.bill,
        )

    async def _get(self, path: str) -> Any:
        return await self._get_json(f"{self._stack.host_url}/api{path}")

    async def _get_json(self, url: str) -> Any:
        with suppress(aiohttp.ClientError, TimeoutError, ValueError):
            async with self._http.get(url, headers={"x-functions-key": self._stack.function_key}) as response:
                if response.status == 200:
                    return await response.json()
        return None


async def carry_out(
    stack: Stack, scenarios: Sequence[Scenario], files: Mapping[str, Path], folder: Path
) -> bool:
    """Run the job and print its report; return True if all documents were answered and nothing is hosted."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        demo = Demo(stack, http, scenarios, files)
        with Display(scenarios, list(files)) as display:
            snapshot = await demo.run(display)
        results = await demo.results(snapshot, folder / "results")
    print_report(scenarios, list(files), snapshot, results, folder)
    return (
        all((each.name, file) in results for each in scenarios for file in snapshot.files(each.name, files))
        and all(read_meter(snapshot.bill, scenario).sessions > 0 for scenario in scenarios)
        and snapshot.bill["open"] == 0
    )


async def upstream_model(upstream: str) -> str:
    """Return UPSTREAM_MODEL, else the first model that the server lists. Raises StackError."""
    if named := os.environ.get("UPSTREAM_MODEL"):
        return named
    headers = {"Authorization": f"Bearer {os.environ.get('UPSTREAM_API_KEY', '')}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), trust_env=True) as http,
            http.get(f"{upstream.rstrip('/')}/models", headers=headers, raise_for_status=True) as response,
        ):
            models = await response.json()
            return str(models["data"][0]["id"])
    except (aiohttp.ClientError, TimeoutError, LookupError, TypeError, ValueError) as error:
        raise StackError(
            f"{upstream} does not list its models: {why_no_answer(error)}. "
            "Give an OpenAI-compatible server's base URL, with its /v1, "
            "and set UPSTREAM_API_KEY if it wants a key and UPSTREAM_MODEL to name a model"
        ) from error


def _run(files: Mapping[str, Path], upstream: str | None, *, keep: bool) -> int:
    model = asyncio.run(upstream_model(upstream)) if upstream else None
    behaviour = Behaviour(upstream=upstream, upstream_model=model)
    folder = new_folder("run")
    where = os.path.relpath(folder)
    print(f"Starting Azurite, the emulator and the functions host; logs and results: {where}", flush=True)
    if not model:
        print("The emulator makes up the answers. For real answers: --upstream URL", flush=True)
    with run_services(folder, behaviour) as services:
        seconds = UPSTREAM_SECONDS if upstream else EMULATED_SECONDS
        scenarios = plan_scenarios(datetime.now(UTC), len(files), seconds)
        with run_host(services, write_deployments(scenarios, folder), folder) as stack:
            succeeded = asyncio.run(carry_out(stack, scenarios, files, folder))
            if keep:
                print(f"\n{describe(stack)}")
                stay_up(*stack.parts)
    return 0 if succeeded else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the stack, run the job, stop the stack; the exit code is 0 only if all of it succeeded."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--keep", action="store_true", help="leave the stack up until Ctrl-C")
    parser.add_argument("--upstream", metavar="URL", help="an OpenAI-compatible server, with its /v1")
    add_parent(parser)
    options = parser.parse_args(arguments)
    files = dict(zip(unique_names([path.name for path in options.files]), options.files, strict=True))
    return run_command(options.parent, lambda: _run(files, options.upstream, keep=options.keep))


if __name__ == "__main__":
    sys.exit(main())
