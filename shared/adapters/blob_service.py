"""Call the blob service of one storage account within time limits, in containers that the first use creates.

ETags are kept without quotes, as listings return them; properties return them quoted.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, BlobServiceClient

from shared.adapters import listing
from shared.adapters.credentials import storage_credential
from shared.adapters.storage import PART, RETRIES, Call, Limits, Transport, call, says
from shared.errors import StorageError
from shared.ports import BlobItem

T = TypeVar("T")

GONE = frozenset({"BlobNotFound", "ContainerNotFound", "ResourceNotFound"})
"""Codes of a blob that does not exist."""
_CLIENTS = (
    32  # kept; the SDK builds one with a pipeline in 0.5 ms of CPU time, a third of what an append takes
)


class BlobService:
    """The blob service of a storage account."""

    def __init__(self, url: str, limits: Limits = Limits()) -> None:  # noqa: B008 - it is frozen
        self._limits = limits
        self._service = BlobServiceClient(
            url,
            credential=storage_credential(url),
            transport=Transport(limits),
            # Pauses of 1 to 5 s: the SDK's own first one of 15 s would outlast the call.
            retry_total=RETRIES,
            initial_backoff=0,
            increment_base=2,
            random_jitter_range=1,
            max_single_get_size=PART,
            max_chunk_get_size=PART,
        )
        self._client = functools.lru_cache(_CLIENTS)(self._service.get_blob_client)

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def _range(self, container: str, name: str, start: int, size: int, etag: str | None) -> bytes:
        """Return at most `size` bytes from `start`, as they are stored; none at the end or beyond."""
        assert start >= 0 and size > 0
        try:
            async with self._call(container) as running:
                stream = await self._blob(container, name).download_blob(
                    start, size, decompress=False, progress_hook=running.progressed, **if_match(etag)
                )
                data: bytes = await stream.readall()
                return data
        except StorageError as error:
            if error.code != "InvalidRange":
                raise
            return b""

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._client(container, name)

    def _call(self, container: str, more_seconds: float = 0.0) -> AbstractAsyncContextManager[Call]:
        return call("blob storage", container, self._limits.call + more_seconds)

    async def _with_container(self, container: str, action: Callable[[], Awaitable[T]]) -> T:
        """Run the action; if the container does not exist yet, create it and run the action again."""
        try:
            return await action()
        except HttpResponseError as error:
            if not says(error, {"ContainerNotFound"}):
                raise
        try:
            await self._service.create_container(container)
        except HttpResponseError as error:
            if not says(error, {"ContainerAlreadyExists"}):
                raise
        return await action()


def if_match(etag: str | None) -> dict[str, Any]:
    """Return the SDK's options that name a version of a blob; none for any version."""
    if etag is None:
        return {}
    return {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified}


def item_of(blob: BlobProperties) -> BlobItem:
    """Return a blob's properties as the port has them."""
    assert blob.last_modified is not None
    return BlobItem(
        blob.name,
        str(blob.etag).strip('"'),
        blob.size,
        blob.last_modified,
        is_folder=listing.is_folder(blob.metadata or {}),
        archived=str(getattr(blob.blob_tier, "value", blob.blob_tier)) == listing.ARCHIVE,
    )
