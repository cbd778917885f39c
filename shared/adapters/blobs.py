"""Blobs on azure-storage-blob. ETags are kept without quotes: listings give them so, properties do not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobProperties, ContentSettings
from azure.storage.blob.aio import BlobClient, BlobLeaseClient, BlobServiceClient

from shared.adapters import listing
from shared.adapters.credentials import storage_credential
from shared.errors import AlreadyExists, Changed, Missing, StorageError
from shared.ports import BlobItem, BlobPage

T = TypeVar("T")

_COPY_LOOK = 0.5  # seconds between looks at a copy that Azure goes on with
_COPY_LOOKS = 120


class AzureBlobs:
    """Fulfils `shared.ports.Blobs` on one storage account."""

    def __init__(self, url: str) -> None:
        # The SDK's own first pause of 15 s would outlast a pass.
        self._service = BlobServiceClient(
            url, credential=storage_credential(url), retry_total=3, initial_backoff=1, increment_base=2
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
            try:
                await anext(pages.by_page(continuation_token=token))
            except listing.Listed as answer:
                return listing.read_page(answer.body)
            raise StorageError(f"blob storage answered a listing with what is none ({container})")

        with _translated(container):
            return await self._with_container(container, a_page)

    async def stat(self, container: str, name: str) -> BlobItem | None:
        """See the port."""
        with _translated(container):
            try:
                return _item(await self._blob(container, name).get_blob_properties())
            except ResourceNotFoundError:
                return None

    async def read(self, container: str, name: str, etag: str | None = None) -> bytes:
        """See the port."""
        with _translated(container):
            # As it was stored: a Content-Encoding is the uploader's word, and may be wrong or a bomb.
            stream = await self._blob(container, name).download_blob(decompress=False, **_if_match(etag))
            data: bytes = await stream.readall()
            return data

    async def create(self, container: str, name: str, data: bytes, content_type: str) -> str:
        """See the port."""

        async def upload() -> str:
            settings = ContentSettings(content_type=content_type)
            written = await self._blob(container, name).upload_blob(
                data, overwrite=False, content_settings=settings
            )
            return str(written["etag"]).strip('"')

        with _translated(container):
            return await self._with_container(container, upload)

    async def copy(self, container: str, name: str, etag: str, to_container: str, to_name: str) -> None:
        """See the port."""
        source, target = self._blob(container, name), self._blob(to_container, to_name)

        async def start() -> str:
            started = await target.start_copy_from_url(
                source.url, source_etag=f'"{etag}"', source_match_condition=MatchConditions.IfNotModified
            )
            return str(started["copy_status"])

        with _translated(container):
            if await self.stat(container, name) is None:
                raise Missing(f"a blob in {container} is gone")
            status = await self._with_container(to_container, start)
            for _ in range(_COPY_LOOKS):
                if status != "pending":
                    break
                await asyncio.sleep(_COPY_LOOK)
                status = str((await target.get_blob_properties()).copy.status)
            if status != "success":
                raise StorageError(f"a copy from {container} to {to_container} ended as {status}")

    async def delete(self, container: str, name: str, etag: str) -> bool:
        """See the port."""
        with _translated(container):
            try:
                await self._blob(container, name).delete_blob(delete_snapshots="include", **_if_match(etag))
            except (ResourceNotFoundError, ResourceModifiedError):
                return False
            except HttpResponseError as error:
                if getattr(error, "error_code", None) != "LeaseIdMissing":
                    raise
                return False  # somebody holds a lease on it; whoever asks again finds it free some day
            return True

    async def acquire_lease(self, container: str, name: str, seconds: int) -> str | None:
        """See the port."""
        blob = self._blob(container, name)

        async def make() -> None:
            with contextlib.suppress(ResourceExistsError):
                await blob.upload_blob(b"", overwrite=False)

        with _translated(container):
            for attempt in range(2):
                try:
                    lease = await blob.acquire_lease(seconds)
                except ResourceNotFoundError:
                    if attempt:
                        raise
                    await self._with_container(container, make)
                except HttpResponseError as error:
                    if error.status_code in (409, 412):
                        return None
                    raise
                else:
                    return str(lease.id)
        raise AssertionError("unreachable")

    async def renew_lease(self, container: str, name: str, lease: str) -> bool:
        """See the port."""
        with _translated(container):
            try:
                await BlobLeaseClient(self._blob(container, name), lease).renew()
            except HttpResponseError as error:
                if error.status_code in (404, 409, 412):
                    return False
                raise
            return True

    async def release_lease(self, container: str, name: str, lease: str) -> None:
        """See the port."""
        with _translated(container):
            try:
                await BlobLeaseClient(self._blob(container, name), lease).release()
            except HttpResponseError as error:
                if error.status_code not in (404, 409, 412):
                    raise

    def _blob(self, container: str, name: str) -> BlobClient:
        return self._service.get_blob_client(container, name)

    async def _with_container(self, container: str, action: Callable[[], Awaitable[T]]) -> T:
        """Do it, and if the container is not there yet, make it and do it again."""
        try:
            return await action()
        except ResourceNotFoundError as error:
            if getattr(error, "error_code", None) != "ContainerNotFound":
                raise
        with contextlib.suppress(ResourceExistsError):
            await self._service.create_container(container)
        return await action()


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


@contextlib.contextmanager
def _translated(container: str) -> Iterator[None]:
    """Vendor errors → ours. Blob names stay out of messages: they are untrusted and may be private."""
    try:
        yield
    except ResourceNotFoundError as error:
        raise Missing(f"there is no such blob in {container}") from error
    except ResourceModifiedError as error:
        raise Changed(f"a blob in {container} is not the version that was named") from error
    except ResourceExistsError as error:
        raise AlreadyExists(f"a blob of that name is in {container} already") from error
    except AzureError as error:
        code = str(getattr(error, "error_code", None) or type(error).__name__).rpartition(".")[2]
        raise StorageError(f"blob storage refused or did not answer ({container}): {code}") from error
