"""Blob connections, and what the host remembers over restarts: timer status and blob receipts."""

import json
from contextlib import suppress
from typing import Any

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient, LinearRetry

from local.azurite import ACCOUNT_KEY, account_name
from local.host.app import resolve


def open_blob_service(connection: str) -> BlobServiceClient:
    """Open what the identity-based connection `connection` names, which must be Azurite.

    A host on somebody's machine must not take uploads away from the app in Azure. Raises ValueError
    when the setting is missing or names another service.
    """
    uri = resolve(f"%{resolve(connection)}__blobServiceUri%")
    credential = AzureNamedKeyCredential(account_name(uri), ACCOUNT_KEY)
    return BlobServiceClient(uri, credential=credential, retry_policy=LinearRetry(backoff=1, retry_total=2))


class Records:
    """JSON records in the container `azure-webjobs-hosts`, where Azure's host keeps its own.

    Every method raises AzureError when the storage fails, and may be repeated.
    """

    def __init__(self, service: BlobServiceClient) -> None:
        self._container = service.get_container_client("azure-webjobs-hosts")

    async def open(self) -> None:
        """Create the container unless it is there."""
        with suppress(ResourceExistsError):
            await self._container.create_container()

    async def read(self, name: str) -> Any:
        """Return the record, or None."""
        try:
            return json.loads(await (await self._container.download_blob(name)).readall())
        except ResourceNotFoundError:
            return None

    async def write(self, name: str, record: object) -> None:
        """Write the record over what was there."""
        await self._container.upload_blob(name, json.dumps(record), overwrite=True)
