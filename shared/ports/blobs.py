"""Blobs in containers, and leases on them."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class BlobItem:
    """The properties of a blob: name in its container, ETag, size in bytes, server time of its last change.

    `is_folder`: its metadata (hdi_isfolder) or the storage mark it as a folder. `archived`: it is in the
    access tier Archive, also while it is being rehydrated, and can be neither read nor copied.
    """

    name: str
    etag: str
    size: int
    modified_at: datetime
    is_folder: bool = False
    archived: bool = False


@dataclass(frozen=True)
class BlobPage:
    """Blobs in name order, and the token that continues the listing."""

    items: tuple[BlobItem, ...]
    token: str | None


class Blobs(Protocol):
    """Blobs in containers. The first list, create, append, copy or lease creates a container.

    Every call ends within seconds (of a read or an upload, every part). Raises StorageError, whose `code` is
    Azure's.
    """

    async def list(self, container: str, token: str | None, limit: int) -> BlobPage:
        """Return a page of at most `limit` blobs from `token` on. Safe to repeat."""
        ...

    async def stat(self, container: str, name: str) -> BlobItem | None:
        """Return a blob's properties, or None. Safe to repeat. Raises ContainerMissing."""
        ...

    async def read(self, container: str, name: str, etag: str | None = None) -> bytes:
        """Return the content, of that version if an ETag is named. Safe to repeat.

        Raises Missing, Changed, ContainerMissing, BlobRefused.
        """
        ...

    async def read_range(
        self, container: str, name: str, start: int, size: int, etag: str | None = None
    ) -> bytes:
        """Return `size` bytes from `start` on, fewer at the end and none beyond it. Safe to repeat.

        Raises what `read` raises.
        """
        ...

    async def create(self, container: str, name: str, data: bytes, content_type: str) -> str:
        """Write a blob that must not exist yet and return its ETag. A repetition raises AlreadyExists.

        AlreadyExists means that a blob exists, not whose it is: read it to know.
        """
        ...

    async def create_from(
        self, container: str, name: str, pieces: AsyncIterable[bytes], content_type: str
    ) -> str:
        """Do what `create` does with a content that comes in pieces, however large, in 12 MiB of memory.

        Nothing is visible before all pieces are written; an error of `pieces` is passed on.
        """
        ...

    async def append(self, container: str, name: str, data: bytes, at: int) -> None:
        """Append 1 byte to 4 MiB to an append blob of `at` bytes; with 0, create it if it does not exist.

        A repetition raises Changed, as another length does. Raises Missing, ContainerMissing, BlobRefused;
        and StorageError: BlockCountExceedsLimit after 50,000 appends, InvalidBlobType for a blob of `create`.
        """
        ...

    async def copy(self, container: str, name: str, etag: str, to_container: str, to_name: str) -> None:
        """Copy that version and overwrite the target. Safe to repeat.

        Raises Missing, Changed, ContainerMissing, BlobRefused (for the source or the target).
        """
        ...

    async def delete(self, container: str, name: str, etag: str) -> bool:
        """Delete that version; False if it does not exist, has changed, or is leased. Safe to repeat.

        Raises BlobRefused.
        """
        ...

    async def acquire_lease(self, container: str, name: str, seconds: int) -> str | None:
        """Lease a blob (created if absent) and return the lease's id; None if another holder has it."""
        ...

    async def renew_lease(self, container: str, name: str, lease: str) -> bool:
        """Renew a lease for its duration; False if it was lost. Safe to repeat."""
        ...

    async def release_lease(self, container: str, name: str, lease: str) -> None:
        """Release a lease. Safe to repeat; a lost lease is no error."""
        ...
