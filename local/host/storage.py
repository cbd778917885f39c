"""Azurite's blobs and queues, by the name of a connection as bindings have it."""

import logging
from contextlib import suppress
from types import TracebackType
from typing import Self

from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient, LinearRetry
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.azurite import ACCOUNT_KEY, account_name
from local.host.app import resolve

_QUIET = logging.getLogger(__name__)  # in Azure the host is another process with its own log
_QUIET.setLevel(logging.WARNING)


def open_blob_service(connection: str) -> BlobServiceClient:
    """Open the blob service of a connection. Raises HostError, or ValueError if it is not Azurite."""
    uri = resolve(f"%{connection}__blobServiceUri%")
    credential = AzureNamedKeyCredential(account_name(uri), ACCOUNT_KEY)
    retry = LinearRetry(backoff=1, retry_total=2)
    return BlobServiceClient(uri, credential=credential, retry_policy=retry, logger=_QUIET)


def _open_queue_service(connection: str) -> QueueServiceClient:
    uri = resolve(f"%{connection}__queueServiceUri%")
    credential = AzureNamedKeyCredential(account_name(uri), ACCOUNT_KEY)
    # The package has no linear retry to pass in: these are pauses of one and two seconds.
    return QueueServiceClient(
        uri, credential=credential, retry_total=2, initial_backoff=1, increment_base=1, logger=_QUIET
    )


class Queues:
    """The queues of all connections, until the context ends. Contents are as stored: in base64."""

    def __init__(self) -> None:
        self._services: dict[str, QueueServiceClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for service in self._services.values():
            await service.close()

    def open(self, connection: str, name: str) -> QueueClient:
        """Return a queue, which need not exist. Raises HostError, or ValueError if it is not Azurite's."""
        if connection not in self._services:
            self._services[connection] = _open_queue_service(connection)
        return self._services[connection].get_queue_client(resolve(name))


async def send(queue: QueueClient, content: str) -> None:
    """Put a message on a queue, which is created if it is missing. Raises AzureError."""
    try:
        await queue.send_message(content)
    except ResourceNotFoundError:
        with suppress(ResourceExistsError):
            await queue.create_queue()
        await queue.send_message(content)
