"""Read and write blobs through azure-storage-blob.

Every call ends within seconds, and Azure's error code decides which error it raises
(`shared.adapters.storage`).

Note [Lost answers]: a try whose answer was lost may have taken effect before the next try. So a blob carries
the stamp of the call that creates it, and the call chooses the id of a lease: a call recognises its own
effect. An append finds its own data at the end. All other writes name a version or may be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import uuid
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, ContentSettings

from shared.adapters import listing
from shared.adapters.blob_leases import BlobLeases
from shared.adapters.blob_service import GONE, if_match, item_of
from shared.adapters.storage import BLOCK, LEASED, SLOWEST_UPLOAD, says
from shared.errors import AlreadyExists, Changed, Missing, StorageError
from shared.ports import BlobItem, BlobPage

_COPY_LOOK = 0.5  # seconds between checks of a copy that is still running in Azure
_COPY_SECONDS = 60.0
_DISPLACED = frozenset({"InvalidBlobType", "InvalidBlockList"})
"""Codes that a creation gets from a blob of another type, or after another one has discarded its blocks."""
_STAMP = "lamplighter"  # a blob's metadata key: which call created it


class AzureBlobs(BlobLeases):
    """Implement `shared.ports.Blobs` on one storage account."""

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
            items = [item_of(blob) async for blob in page]
            return BlobPage(tuple(items), by_page.continuation_token or None)  # type: ignore[attr-defined]

        async with self._call(container):
            return await self._with_container(container, a_page)

    async def stat(self, container: str, name: str) -> BlobItem | None:
        """See the port."""
        try:
            async with self._call(container):
                return item_of(await self._blob(container, name).get_blob_properties())
        except Missing:
            return None

    async def read(self, container: str, name: str, etag: str | None = None) -> bytes:
        """See the port."""
        async with self._call(container) as running:
            # Read the bytes as stored: the uploader set Content-Encoding, which may be wrong or a bomb.
            stream = await self._blob(container, name).download_blob(
                decompress=False, progress_hook=running.progressed, **if_match(etag)
            )
            data: bytes = await stream.readall()
            return data

    async def read_range(
        self, container: str, name: str, start: int, size: int, etag: str | None = None
    ) -> bytes:
        """See the port."""
        return await self._range(container, name, start, size, etag)

    async def create(self, container: str, name: str, data: bytes, content_type: str) -> str:
        """See the port. A second try that finds the first one's blob returns that blob's ETag."""
        stamp = uuid.uuid4().hex
        upload = functools.partial(
            self._blob(container, name).upload_blob,
            data,
            overwrite=False,
            content_settings=ContentSettings(content_type=content_type),
            metadata={_STAMP: stamp},
        )
        return await self._creates(container, name, stamp, upload, len(data))

    async def create_from(
        self, container: str, name: str, pieces: AsyncIterable[bytes], content_type: str
    ) -> str:
        """See the port. Each block is a call of its own; what fits into one is written as by `create`."""
        blob, stamp = self._blob(container, name), uuid.uuid4().hex
        staged = list[BlobBlock]()

        async def stage(data: bytes) -> None:
            # Ids of the call's own: several calls may stage blocks of one blob, of which one commits its own.
            block = BlobBlock(f"{stamp}{len(staged):06}")
            # Never a stream: aiohttp closes it, and the SDK's next try would send an empty block.
            step = functools.partial(blob.stage_block, block.id, data)
            await self._creates(container, name, stamp, step, len(data))
            staged.append(block)

        waiting, size = list[bytes](), 0
        async for piece in pieces:
            for start in range(0, len(piece), BLOCK):
                part = piece[start : start + BLOCK]
                if size + len(part) > BLOCK:
                    block = b"".join(waiting)
                    waiting, size = [], 0
                    await stage(block)
                    del block
                waiting.append(part)
                size += len(part)
        rest = b"".join(waiting)
        if not staged:
            return await self.create(container, name, rest, content_type)
        await stage(rest)
        commit = functools.partial(
            blob.commit_block_list,
            staged,
            content_settings=ContentSettings(content_type=content_type),
            metadata={_STAMP: stamp},
            match_condition=MatchConditions.IfMissing,
        )
        return await self._creates(container, name, stamp, commit, 0)

    async def append(self, container: str, name: str, data: bytes, at: int) -> None:
        """See the port. A second try that finds just its own data after `at` has written them."""
        assert 0 < len(data) <= BLOCK
        blob = self._blob(container, name)

        async def create() -> None:
            try:
                await blob.create_append_blob(match_condition=MatchConditions.IfMissing)
            except HttpResponseError as error:
                if not says(error, {"BlobAlreadyExists", "ConditionNotMet", *LEASED}):
                    raise

        if at == 0:
            async with self._call(container):
                await self._with_container(container, create)
        try:
            async with self._call(container, len(data) / SLOWEST_UPLOAD) as running:
                with contextlib.suppress(_Appended):
                    await blob.append_block(data, appendpos_condition=at, raw_response_hook=_take)
        except Changed:
            if not running.repeated or await self.read_range(container, name, at, len(data) + 1) != data:
                raise

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
                await self._blob(container, name).delete_blob(delete_snapshots="include", **if_match(etag))
            except HttpResponseError as error:
                # A leased blob is kept. The lease may have ended when the caller tries again.
                if not says(error, {*GONE, "ConditionNotMet", *LEASED}):
                    raise
                return False
            return True

    async def _creates(
        self, container: str, name: str, stamp: str, step: Callable[[], Awaitable[dict[str, Any]]], size: int
    ) -> str:
        """Run a step of a blob's creation that sends so many bytes; return the blob's ETag if it has one.

        Raises AlreadyExists if there is a blob, unless an earlier try of the step created it.
        """
        try:
            async with self._call(container, size / SLOWEST_UPLOAD) as running:
                written = await self._with_container(container, step)
                return str(written.get("etag", "")).strip('"')
        except StorageError as error:
            displaced = error.code in _DISPLACED
            if not displaced and not isinstance(error, AlreadyExists | Changed):
                raise
            if running.repeated and (etag := await self._stamped(container, name, stamp)) is not None:
                return etag
            if displaced and await self.stat(container, name) is None:
                raise
            # The call named no version, so the failed condition means that a blob exists.
            raise AlreadyExists(str(error), code=error.code) from error

    async def _stamped(self, container: str, name: str, stamp: str) -> str | None:
        """Return the ETag of the blob if the call with that stamp created it, else None."""
        with contextlib.suppress(Missing):
            async with self._call(container):
                found = await self._blob(container, name).get_blob_properties()
                if (found.metadata or {}).get(_STAMP) == stamp:
                    return str(found.etag).strip('"')
        return None


class _Appended(Exception):
    """An exception that passes a successful answer by the SDK's parser, which takes 0.2 ms of CPU time."""


def _take(response: Any) -> None:
    """Serve as a `raw_response_hook`. Raises _Appended; the SDK handles errors."""
    if response.http_response.status_code == 201:
        raise _Appended
