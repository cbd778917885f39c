"""Read and write blobs through azure-storage-blob.

ETags are kept without quotes, as listings return them; properties return them quoted. Every call ends within
seconds, and Azure's error code decides which error it raises (`shared.adapters.storage`).

Note [Lost answers]: a try whose answer was lost may have taken effect before the next try. So a blob carries
the stamp of the call that creates it, and the call chooses the id of a lease: a call recognises its own
effect. All other writes name a version or may be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobProperties, ContentSettings
from azure.storage.blob.aio import BlobClient, BlobLeaseClient, BlobServiceClient

from shared.adapters import listing
from shared.adapters.credentials import storage_credential
from shared.adapters.storage import (
    HELD,
    LEASED,
    LOST,
    PART,
    RETRIES,
    SLOWEST_UPLOAD,
    Call,
    Limits,
    Transport,
    call,
    says,
)
from shared.errors import AlreadyExists, Changed, Missing, StorageError
from shared.ports import BlobItem, BlobPage

T = TypeVar("T")

_COPY_LOOK = 0.5  # seconds between checks of a copy that is still running in Azure
_COPY_SECONDS = 60.0
_STAMP = "lamplighter"  # a blob's metadata key: which call created it


class AzureBlobs:
    """Implement `shared.ports.Blobs` on one storage account."""

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

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def list(self, container: str, token: str | None, limit: int) -> BlobPage:
        """See the port."""

        async def a_page() -> BlobPage:
            pages = self._service.get_container_client(container).list_blobs(
                results_per_page=limit, include=["metadata"], raw_response_hook=listing.take
            )
            by_page = pages.by_page(continuation_token=token)
            try:
                page = await anext(by_page)
            except listing.Listed as answer:
                return listing.read_page(answer.body)
            # The SDK drops the hook when it repeats a request after a lost connection.
            items = [_item(blob) async for blob in page]
            return BlobPage(tuple(items), by_page.continuation_token or None)  # type: ignore[attr-defined]

        async with self._call(container):
            return await self._with_container(container, a_page)

    async def stat(self, container: str, name: str) -> BlobItem | None:
        """See the port."""
        try:
            async with self._call(container):
                return _item(await self._blob(container, name).get_blob_properties())
        except Missing:
            return None

    async def read(self, container: str, name: str, etag: str | None = None) -> bytes:
        """See the port."""
        async with self._call(container) as running:
            # Read the bytes as stored: the uploader set Content-Encoding, which may be wrong or a bomb.
            stream = await self._blob(container, name).download_blob(
                decompress=False, progress_hook=running.progressed, **_if_match(etag)
            )
            data: bytes = await stream.readall()
            return data

    async def create(self, container: str, name: str, data: bytes, content_type: str) -> str:
        """See the port. A second try that finds the first one's blob returns that blob's ETag."""
        stamp = uuid.uuid4().hex

        async def upload() -> str:
            settings = ContentSettings(content_type=content_type)
            written = await self._blob(container, name).upload_blob(
                data, overwrite=False, content_settings=settings, metadata={_STAMP: stamp}
            )
            return str(written["etag"]).strip('"')

        try:
            async with self._call(container, len(data) / SLOWEST_UPLOAD) as running:
                return await self._with_container(container, upload)
        except (AlreadyExists, Changed) as error:
            if running.repeated and (etag := await self._stamped(container, name, stamp)) is not None:
                return etag
            # The call named no version, so the failed condition means that a blob exists.
            raise AlreadyExists(str(error), code=error.code) from error

    async def copy(self, container: str, name: str, etag: str, to_container: str, to_name: str) -> None:
        """See the port."""
        source, target = self._blob(container, name), self._blob(to_container, to_name)

        async def start() -> str:
            started = await target.start_copy_from_url(
                source.url, source_etag=f'"{etag}"', source_match_condition=MatchConditions.IfNotModified
            )
            return str(started["copy_status"])

        try:
            async with self._call(f"{container} to {to_container}"):
                status = await self._with_container(to_container, start)
        except StorageError as error:
            # Azure's codes for a source that is gone are those of other problems, too.
            if await self.stat(container, name) is None:
                raise Missing(f"a blob in {container} is gone") from error
            raise
        until = asyncio.get_running_loop().time() + _COPY_SECONDS
        while status == "pending" and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_COPY_LOOK)
            async with self._call(to_container):
                status = str((await target.get_blob_properties()).copy.status)
        if status != "success":
            raise StorageError(f"a copy from {container} to {to_container} ended as {status}")

    async def delete(self, container: str, name: str, etag: str) -> bool:
        """See the port."""
        async with self._call(container):
            try:
                await self._blob(container, name).delete_blob(delete_snapshots="include", **_if_match(etag))
            except HttpResponseError as error:
                # A leased blob is kept. The lease may have ended when the caller tries again.
                if not says(error, {*_GONE, "ConditionNotMet", *LEASED}):
                    raise
                return False
            return True

    async def acquire_lease(self, container: str, name: str, seconds: int) -> str | None:
        """See the port. A second try that finds the first one's lease has it: the id is the call's own."""
        blob, lease = self._blob(container, name), str(uuid.uuid4())

        async def make() -> None:
            try:
                await blob.upload_blob(b"", overwrite=False)
            except HttpResponseError as error:
                # If the blob is leased already, Azure reports the lease instead.
                if not says(error, {"BlobAlreadyExists", *LEASED}):
                    raise

        async with self._call(container):
            for attempt in range(2):
                try:
                    await blob.acquire_lease(seconds, lease_id=lease)
                except HttpResponseError as error:
                    if says(error, HELD):
                        return None
                    if attempt or not says(error, _GONE):
                        raise
                    await self._with_container(container, make)
                else:
                    return lease
        raise AssertionError("unreachable")

    async def renew_lease(self, container: str, name: str, lease: str) -> bool:
        """See the port."""
        async with self._call(container):
            try:
                await BlobLeaseClient(self._blob(container, name), lease).renew()
            except HttpResponseError as error:
                if not says(error, LOST):
                    raise
                return False
            return True

    async def release_lease(self, container: str, name: str, lease: str) -> None:
        """See the port."""
        async with self._call(container):
            try:
                await BlobLeaseClient(self._blob(container, name), lease).release()
            except HttpResponseError as error:
                if not says(error, LOST):
                    raise

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._service.get_blob_client(container, name)

    def _call(self, container: str, more_seconds: float = 0.0) -> AbstractAsyncContextManager[Call]:
        return call("blob storage", container, self._limits.call + more_seconds)

    async def _stamped(self, container: str, name: str, stamp: str) -> str | None:
        """Return the ETag of the blob if the call with that stamp created it, else None."""
        with contextlib.suppress(Missing):
            async with self._call(container):
                found = await self._blob(container, name).get_blob_properties()
                if (found.metadata or {}).get(_STAMP) == stamp:
                    return str(found.etag).strip('"')
        return None

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


_GONE = frozenset({"BlobNotFound", "ContainerNotFound", "ResourceNotFound"})


def _item(blob: BlobProperties) -> BlobItem:
    assert blob.last_modified is not None
    return BlobItem(
        blob.name,
        str(blob.etag).strip('"'),
        blob.size,
        blob.last_modified,
        is_folder=listing.is_folder(blob.metadata or {}),
        archived=str(getattr(blob.blob_tier, "value", blob.blob_tier)) == listing.ARCHIVE,
    )


def _if_match(etag: str | None) -> dict[str, Any]:
    if etag is None:
        return {}
    return {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified}
