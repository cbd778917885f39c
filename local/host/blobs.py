"""Blob triggers, by polling; `source` makes no difference here, as Azurite has no Event Grid."""

import asyncio
import hashlib
import logging
import re
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.functions.blob import InputStream
from azure.storage.blob.aio import BlobServiceClient

from local.host.app import Function, HostError, resolve
from local.host.storage import Records
from local.host.worker import Worker

log = logging.getLogger(__name__)

TRIES = 5  # then Azure puts a message on the queue webjobs-blobtrigger-poison
_CONCURRENCY = 16


class BlobTrigger:
    """Hands each blob version (name and ETag) under one path to one function, at least once.

    Lists the container every `poll` seconds. A receipt for each version counts its tries, each before it
    starts, so that a crash spends one, and tells a restarted host what is done. Raises HostError for a
    path that is not `container/pattern`.
    """

    def __init__(
        self, function: Function, worker: Worker, records: Records, source: BlobServiceClient, poll: float
    ) -> None:
        self._function = function
        self._worker = worker
        self._records = records
        self._poll = poll
        container, self._pattern = blob_pattern(resolve(function.trigger["path"]))
        self._container = source.get_container_client(container)
        self._slots = asyncio.Semaphore(_CONCURRENCY)
        self._taken: set[tuple[str, str]] = set()  # versions being tried, or settled

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            try:
                await self._scan()
            except ResourceNotFoundError:
                pass  # the container is created on first use
            except AzureError as error:
                log.warning("function=%s container not listed: %s", self._function.name, error)
            await asyncio.sleep(self._poll)

    async def _scan(self) -> None:
        listed = set()
        async for blob in self._container.list_blobs():
            listed.add(version := (blob.name, blob.etag))
            if self._pattern.fullmatch(blob.name) and version not in self._taken:
                await self._slots.acquire()
                self._taken.add(version)
                self._worker.start(self._attempt(*version))
        self._taken &= listed

    async def _attempt(self, name: str, etag: str) -> None:
        settled = False
        try:
            settled = await self._settle(name, etag)
        except AzureError as error:  # or it was deleted or overwritten, and is listed no more
            log.warning("function=%s blob=%r not read: %s", self._function.name, name, error)
        finally:
            if not settled:
                self._taken.discard((name, etag))
            self._slots.release()

    async def _settle(self, name: str, etag: str) -> bool:
        """Make a try if one is left. False when it failed and the next poll is to make another."""
        blob = self._container.get_blob_client(name)
        full_name = f"{blob.container_name}/{name}"
        key = hashlib.sha256(f"{full_name} {etag}".encode()).hexdigest()  # the name may be too long to nest
        path = f"blobreceipts/{self._function.name}/{key}"
        fresh: dict[str, Any] = {"blob": full_name, "etag": etag, "tries": 0, "state": "new"}
        receipt = await self._records.read(path) or fresh
        if receipt["state"] in {"done", "poisoned"}:
            return True
        if receipt["tries"] < TRIES:
            # The whole content is read into memory, whatever its size, as in Azure.
            reading = await blob.download_blob(etag=etag, match_condition=MatchConditions.IfNotModified)
            content = await reading.readall()
            stream = InputStream(data=content, name=full_name, uri=blob.url, length=len(content))
            receipt |= {"tries": receipt["tries"] + 1, "state": "started"}
            await self._records.write(path, receipt)
            try:
                await self._worker.invoke(self._function, stream)
                receipt["state"] = "done"
            except Exception:  # logged by the worker
                if receipt["tries"] < TRIES:
                    return False
        if receipt["state"] != "done":
            receipt["state"] = "poisoned"
            log.error("function=%s blob=%r poisoned after %d tries", self._function.name, full_name, TRIES)
        await self._records.write(path, receipt)
        return True


def blob_pattern(path: str) -> tuple[str, re.Pattern[str]]:
    """Split a trigger's path into its container and the pattern of blob names; {name} may hold slashes.

    Raises HostError for a path without a container or without a pattern.
    """
    container, _, pattern = path.partition("/")
    if not container or not pattern:
        raise HostError(f"path {path!r} is not of the form container/{{name}}")
    literals = re.split(r"\{\w+\}", pattern)
    return container, re.compile(".+".join(map(re.escape, literals)), re.DOTALL)
