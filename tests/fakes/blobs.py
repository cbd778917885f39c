"""Blobs in memory."""

from __future__ import annotations

import itertools
import uuid
from bisect import bisect_right
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, replace

from shared.errors import (
    AlreadyExists,
    BlobRefused,
    Changed,
    ContainerMissing,
    Missing,
    StorageError,
)
from shared.ports import BlobItem, BlobPage, Clock


@dataclass
class _Blob:
    item: BlobItem
    data: bytes | bytearray
    appends: int | None = None  # of an append blob
    lease: str | None = None
    lease_seconds: int = 0
    leased_until: float = 0.0
    refused: str = ""  # Azure's code with which reads are refused


class MemoryBlobs:
    """An implementation of `shared.ports.Blobs` in memory."""

    most_appends = 50_000  # to one blob, as in Azure

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._containers: dict[str, dict[str, _Blob]] = {}
        self._etags = itertools.count(1)
        self._being_deleted: set[str] = set()

    async def list(self, container: str, token: str | None, limit: int) -> BlobPage:
        blobs = self._blobs(container)
        names = sorted(blobs)
        first = 0 if token is None else bisect_right(names, token)
        page, more = names[first : first + limit], first + limit < len(names)
        return BlobPage(tuple([blobs[name].item for name in page]), page[-1] if more else None)

    async def stat(self, container: str, name: str) -> BlobItem | None:
        blob = self._there(container).get(name)
        return blob.item if blob else None

    async def read(self, container: str, name: str, etag: str | None = None) -> bytes:
        return bytes(self._readable(container, name, etag).data)

    async def read_range(
        self, container: str, name: str, start: int, size: int, etag: str | None = None
    ) -> bytes:
        assert start >= 0 and size > 0
        return bytes(self._readable(container, name, etag).data[start : start + size])

    async def create(self, container: str, name: str, data: bytes, content_type: str) -> str:
        if name in self._blobs(container):
            raise AlreadyExists("a blob of that name is there already")
        return self.upload(container, name, data)

    async def create_from(
        self, container: str, name: str, pieces: AsyncIterable[bytes], content_type: str
    ) -> str:
        data = b"".join([piece async for piece in pieces])
        return await self.create(container, name, data, content_type)

    async def append(self, container: str, name: str, data: bytes, at: int) -> None:
        assert 0 < len(data) <= 4 * 1024 * 1024
        if at == 0 and name not in self._blobs(container):
            self._write(container, name, bytearray(), appends=0)
        blob = self._version(container, name, None)
        if blob.appends is None:
            raise _wrong_type()
        if len(blob.data) != at:
            raise Changed("the blob has another length", code="AppendPositionConditionNotMet")
        if blob.refused:
            raise _refused(blob)
        if blob.appends >= self.most_appends:
            raise StorageError("the blob is full", code="BlockCountExceedsLimit")
        blob.data += data
        blob.appends += 1
        blob.item = self._item(name, len(blob.data))

    async def copy(self, container: str, name: str, etag: str, to_container: str, to_name: str) -> None:
        source = self._readable(container, name, etag)
        if (target := self._blobs(to_container).get(to_name)) is not None:
            if target.refused:
                raise _refused(target)
            if (target.appends is None) != (source.appends is None):
                raise _wrong_type()
        self._write(to_container, to_name, source.data[:], appends=source.appends)

    async def delete(self, container: str, name: str, etag: str) -> bool:
        try:
            self._version(container, name, etag)
        except (Missing, Changed, ContainerMissing):
            return False
        del self._blobs(container)[name]
        return True

    async def acquire_lease(self, container: str, name: str, seconds: int) -> str | None:
        if name not in self._blobs(container):
            self.upload(container, name, b"")
        blob = self._blobs(container)[name]
        now = self._clock.monotonic()
        if blob.lease is not None and now < blob.leased_until:
            return None
        blob.lease, blob.lease_seconds, blob.leased_until = uuid.uuid4().hex, seconds, now + seconds
        return blob.lease

    async def renew_lease(self, container: str, name: str, lease: str) -> bool:
        blob = self._containers.get(container, {}).get(name)
        # As in Azure, an expired lease can be renewed if no other lease was taken since.
        if blob is None or blob.lease != lease:
            return False
        blob.leased_until = self._clock.monotonic() + blob.lease_seconds
        return True

    async def release_lease(self, container: str, name: str, lease: str) -> None:
        blob = self._containers.get(container, {}).get(name)
        if blob is not None and blob.lease == lease:
            blob.lease = None

    # --- changes from outside the app -----------------------------------------------------------

    def upload(self, container: str, name: str, data: bytes, *, is_folder: bool = False) -> str:
        """Write or overwrite a blob from outside the app; return its ETag."""
        return self._write(container, name, data, is_folder=is_folder)

    def set_archived(self, container: str, name: str, archived: bool) -> None:
        """Move a blob to the archive tier or back. As in Azure, its ETag and time do not change."""
        blob = self._blobs(container)[name]
        blob.item = replace(blob.item, archived=archived)

    def item(self, container: str, name: str) -> BlobItem:
        """Return a blob's entry as a listing shows it."""
        return self._blobs(container)[name].item

    def has(self, container: str, name: str) -> bool:
        """Return whether a blob is there."""
        return name in self._containers.get(container, {})

    def names(self, container: str) -> Sequence[str]:
        """Return the names of the blobs in a container, sorted."""
        return sorted(self._containers.get(container, {}))

    def remove(self, container: str, name: str) -> None:
        """Delete a blob of any version from outside the app."""
        del self._blobs(container)[name]

    def refuse(self, container: str, name: str, code: str) -> None:
        """Let Azure refuse to read or overwrite a blob with this code; an empty code ends that."""
        self._blobs(container)[name] = replace(self._blobs(container)[name], refused=code)

    def delete_container(self, container: str) -> None:
        """Delete a container with its blobs. Until `deleted` is called it cannot be read or created."""
        self._containers.pop(container, None)
        self._being_deleted.add(container)

    def deleted(self, container: str) -> None:
        """Finish a container's deletion, which takes Azure about 30 s."""
        self._being_deleted.discard(container)

    def _write(
        self,
        container: str,
        name: str,
        data: bytes | bytearray,
        *,
        is_folder: bool = False,
        appends: int | None = None,
    ) -> str:
        item = self._item(name, len(data), is_folder)
        self._blobs(container)[name] = _Blob(item, data, appends)
        return item.etag

    def _item(self, name: str, size: int, is_folder: bool = False) -> BlobItem:
        now = self._clock.now().replace(microsecond=0)
        return BlobItem(name, f"0x{next(self._etags):X}", size, now, is_folder)

    def _blobs(self, container: str) -> dict[str, _Blob]:
        """Return a container's blobs, and create the container if it is missing, as a write does."""
        if container in self._being_deleted:
            raise StorageError("the container is being deleted", code="ContainerBeingDeleted")
        return self._containers.setdefault(container, {})

    def _there(self, container: str) -> dict[str, _Blob]:
        if container in self._being_deleted:
            raise StorageError("the container is being deleted", code="ContainerBeingDeleted")
        if container not in self._containers:
            raise ContainerMissing("the container is not there")
        return self._containers[container]

    def _readable(self, container: str, name: str, etag: str | None) -> _Blob:
        blob = self._version(container, name, etag)
        if blob.refused:
            raise _refused(blob)
        if blob.item.archived:
            raise _refused(replace(blob, refused="BlobArchived"))
        return blob

    def _version(self, container: str, name: str, etag: str | None) -> _Blob:
        blob = self._there(container).get(name)
        if blob is None:
            raise Missing("there is no such blob")
        if etag is not None and blob.item.etag != etag:
            raise Changed("the blob is not the version that was named")
        return blob


def _wrong_type() -> StorageError:
    return StorageError("a blob of another type stands there", code="InvalidBlobType")


def _refused(blob: _Blob) -> BlobRefused:
    return BlobRefused("storage refused a blob", code=blob.refused, reason=f"the file is {blob.refused}")
