"""Lease blobs through azure-storage-blob.

The call chooses the id of the lease, so it recognises its own effect: see Note [Lost answers] in
`shared.adapters.blobs`.
"""

from __future__ import annotations

import uuid

from azure.core.exceptions import HttpResponseError
from azure.storage.blob.aio import BlobLeaseClient

from shared.adapters.blob_service import GONE, BlobService
from shared.adapters.storage import HELD, LEASED, LOST, says


class BlobLeases(BlobService):
    """Implement the leases of `shared.ports.Blobs`."""

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
                    if attempt or not says(error, GONE):
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
