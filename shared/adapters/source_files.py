"""Read the files of a container that belongs to somebody else. Nothing there is written, moved or deleted."""

from __future__ import annotations

from shared.adapters.blob_service import BlobService, item_of
from shared.model import ContainerSource
from shared.ports import BlobPage


class AzureFolder(BlobService):
    """The implementation of `shared.ports.Folder` on a storage account."""

    def __init__(self, source: ContainerSource) -> None:
        super().__init__(source.account)
        self._container = source.container
        self._prefix = source.prefix

    async def page(self, token: str | None, limit: int) -> BlobPage:
        """See the port."""
        async with self._call(self._container):
            blobs = self._service.get_container_client(self._container).list_blobs(
                name_starts_with=self._prefix or None, results_per_page=limit, include=["metadata"]
            )
            by_page = blobs.by_page(continuation_token=token)
            items = [item_of(blob) async for blob in await anext(by_page) if blob.last_modified is not None]
            return BlobPage(tuple(items), by_page.continuation_token or None)  # type: ignore[attr-defined]

    async def read_range(self, name: str, start: int, size: int, etag: str) -> bytes:
        """See the port. Of a file that is gone it may raise Changed, as storage does."""
        return await self._range(self._container, name, start, size, etag)
