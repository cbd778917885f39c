"""The triggers of the app's functions: timer, blob and HTTP, with the host's records of what it has done."""

import asyncio
import hashlib
import hmac
import json
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, get_type_hints

from aiohttp import web
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.functions import AuthLevel, HttpRequest, HttpResponse
from azure.functions.blob import InputStream
from azure.functions.decorators import blob, http, queue, timer
from azure.functions.decorators.function_app import Function
from azure.functions.timer import TimerRequest
from azure.storage.blob.aio import BlobClient, ContainerClient
from azurefunctions.extensions.base import Datum, get_binding_registry
from cronsim import CronSim, CronSimError

from local.host.app import HostError, resolve
from local.host.queues import QueueTriggers
from local.host.storage import open_blob_service
from local.host.worker import Worker

TRIES = 5  # for a blob; after that, Azure puts a message on the queue webjobs-blobtrigger-poison


def next_occurrence(schedule: str, when: datetime) -> datetime:
    """Return the first time after `when`, in UTC, that a six-field NCRONTAB schedule names.

    cronsim walks the calendar. NCRONTAB differs from its cron (NCrontab's CrontabSchedule.cs): day and day
    of week must both match, and there is no 7 for Sunday, no L, W or #. Raises HostError for other syntax.
    """
    fields = schedule.upper().split()
    known = re.fullmatch(r"([*,/\s\d-]|[A-Z]{3})+", schedule.upper())
    if len(fields) != 6 or not known or re.search(r"(?<!/)7", fields[5]):
        raise HostError(f"schedule {schedule!r} is not NCRONTAB: six fields, without L, W, # and 7")
    fields[5] = re.sub(r"(?<![-\w])(\w+)/", r"\1-6/", fields[5])  # else a step would reach cron's 7
    try:
        occurrences = CronSim(" ".join(fields), when)
        occurrences.day_and = True
        return next(occurrences)
    except (CronSimError, StopIteration) as error:
        raise HostError(f"schedule {schedule!r} is not valid: {error or 'it never occurs'}") from error


async def _parameter(function: Function, source: BlobClient, etag: str) -> object:
    """Return the argument of a blob trigger's handler as Microsoft's worker builds it. Raises AzureError.

    For an SDK type it is a reference (see bindings/meta.py of the worker), for an InputStream the whole
    content. The blob must still have this ETag.
    """
    unchanged: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
    trigger = function.get_trigger()
    assert trigger is not None
    kind = get_type_hints(function.get_user_function()).get(trigger.name)
    if get_binding_registry().check_supported_type(kind):
        await source.get_blob_properties(**unchanged)
        content = {"ContainerName": source.container_name, "BlobName": source.blob_name}
        reference = SimpleNamespace(source="AzureStorageBlobs", content=json.dumps(content).encode())
        converter = get_binding_registry().get("blobTrigger")
        return converter.decode(Datum(reference, "model_binding_data"), trigger_metadata={}, pytype=kind)
    reading = await source.download_blob(**unchanged)
    name = f"{source.container_name}/{source.blob_name}"
    return InputStream(data=await reading.readall(), name=name, uri=source.url, length=reading.size)


@dataclass(frozen=True)
class Triggers:
    """Runs functions by their triggers until the host stops. Raises AzureError if the storage fails."""

    worker: Worker
    records: ContainerClient
    poll_seconds: float
    router: web.UrlDispatcher
    key: str  # used in place of Azure's function, host and master keys
    queues: QueueTriggers

    def start(self, functions: list[Function], group: asyncio.TaskGroup) -> None:
        """Start all triggers. Raises HostError for a type that this host does not support."""
        for function in functions:
            self.worker.outputs.check(function)
            match trigger := function.get_trigger():
                case http.HttpTrigger():
                    self._add_route(function, trigger)
                case timer.TimerTrigger():
                    group.create_task(self._run_timer(function, trigger))
                case blob.BlobTrigger():
                    group.create_task(self._poll_blobs(function, trigger))
                case queue.QueueTrigger():
                    group.create_task(self.queues.open(function, trigger).run())
                case _:
                    name = function.get_function_name()
                    raise HostError(f"{name}: {type(trigger).__name__} is not supported here")

    async def _run_timer(self, function: Function, trigger: timer.TimerTrigger) -> None:
        """Fire on schedule, never twice at once; fire once with `past_due` if the host was down meanwhile."""
        path, schedule = f"timers/{function.get_function_name()}/status", resolve(trigger.schedule)
        now = datetime.now(UTC)
        due, record = next_occurrence(schedule, now), await self._read(path)
        if record and record["schedule"] == schedule:  # a changed schedule has missed no run
            due = datetime.fromisoformat(record["next"])
        past_due, due = due < now, min(due, now) if trigger.run_on_startup else due
        while True:
            await self._write(path, {"schedule": schedule, "next": due.isoformat()})
            if not await self.worker.sleep((due - datetime.now(UTC)).total_seconds()):
                return
            now = max(due, datetime.now(UTC))
            with suppress(Exception):  # logged by the worker; the next occurrence is the retry
                await self.worker.invoke(function, TimerRequest(past_due=past_due))
            due, past_due = next_occurrence(schedule, now), False

    async def _poll_blobs(self, function: Function, trigger: blob.BlobTrigger) -> None:
        """List the container repeatedly and invoke the function at least once per version (name and ETag)."""
        folder, _, template = resolve(trigger.path).partition("/")
        names = re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(template)), re.DOTALL)
        taken: set[tuple[str, str]] = set()  # versions in work or finished

        async def hand_over(name: str, etag: str) -> None:
            try:
                await self._try(function, container.get_blob_client(name), etag)
            except AzureError as error:  # such as a blob that was deleted or overwritten meanwhile
                logging.warning("function=%s %r not read: %s", function.get_function_name(), name, error)
                taken.discard((name, etag))

        async with open_blob_service(trigger.connection) as service, asyncio.TaskGroup() as group:
            container = service.get_container_client(folder)
            while await self.worker.sleep(self.poll_seconds):
                listed = set()
                with suppress(ResourceNotFoundError):  # the container is created on first use
                    async for found in container.list_blobs():
                        listed.add(version := (found.name, found.etag))
                        if names.fullmatch(found.name) and version not in taken:
                            taken.add(version)
                            group.create_task(hand_over(*version))
                taken &= listed

    async def _try(self, function: Function, source: BlobClient, etag: str) -> None:
        """Invoke until it succeeds, five times at most; the receipt survives a restart of the host."""
        name, label = f"{source.container_name}/{source.blob_name}", function.get_function_name()
        key = hashlib.sha256(f"{name} {etag}".encode()).hexdigest()  # the name may be too long for a path
        path = f"blobreceipts/{label}/{key}"
        receipt = await self._read(path) or {"blob": name, "tries": 0, "state": "started"}
        while receipt["state"] == "started" and receipt["tries"] < TRIES:
            if not await self.worker.sleep(self.poll_seconds if receipt["tries"] else 0):
                return
            value = await _parameter(function, source, etag)
            receipt["tries"] += 1  # before it starts, so that a crash counts as a try
            await self._write(path, receipt)
            with suppress(Exception):  # logged by the worker
                await self.worker.invoke(function, value)
                receipt["state"] = "done"
            await self._write(path, receipt)
        if receipt["state"] == "started":
            logging.error("function=%s blob=%r poisoned after %d tries", label, name, TRIES)
            await self._write(path, receipt | {"state": "poisoned"})

    def _add_route(self, function: Function, trigger: http.HttpTrigger) -> None:
        """Serve one. Raises HostError or ValueError for a route with other syntax than {name} or {*name}."""

        async def serve(request: web.Request) -> web.Response:
            key = request.headers.get("x-functions-key") or request.query.get("code", "")
            guarded = trigger.auth_level is not AuthLevel.ANONYMOUS
            if guarded and not hmac.compare_digest(key.encode(), self.key.encode()):
                return web.Response(status=401)
            given = {"params": dict(request.query), "route_params": dict(request.match_info)}
            body = await request.read()
            call = HttpRequest(request.method, str(request.url), headers=request.headers, body=body, **given)
            try:
                answer = await self.worker.invoke(function, call)
            except Exception:  # logged by the worker
                return web.Response(status=500)
            answer = HttpResponse(answer) if isinstance(answer, str) else answer
            answer.headers.setdefault("Content-Type", answer.mimetype)
            return web.Response(status=answer.status_code, headers=answer.headers, body=answer.get_body())

        path = "/api/" + (trigger.route or "").strip("/")
        if ":" in path:  # to aiohttp it would be a regular expression
            raise HostError(f"the local host supports only {{name}} and {{*name}} in a route, not {path!r}")
        path = re.sub(r"\{\*(\w+)\}$", r"{\1:.*}", path)
        for method in [method.name for method in trigger.methods or ()] or ["*"]:
            self.router.add_route(method, path, serve)

    async def _read(self, path: str) -> Any:
        with suppress(ResourceNotFoundError):
            return json.loads(await (await self.records.download_blob(path)).readall())

    async def _write(self, path: str, record: object) -> None:
        await self.records.upload_blob(path, json.dumps(record), overwrite=True)
