"""Choose the credentials for Azure: the app's identity, without any secret.

A URL with http and a loopback address is never Azure. It means Azurite or the emulator, which take Azurite's
public development key and a token without content. No other file holds a key.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken, AzureNamedKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import DefaultAzureCredential

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

# The same on every machine: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
_AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class LocalCredential:
    """A credential for the emulator."""

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Return a token without content that is valid for an hour."""
        return AccessToken("local", int(time.time()) + 3600)

    async def close(self) -> None:
        """Do nothing: there is no connection to close."""

    async def __aenter__(self) -> LocalCredential:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def is_local(url: str) -> bool:
    """Return whether a URL means the local stack: http on a loopback address."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def may_have_token(url: str) -> bool:
    """Return whether a token may be sent to a URL: https to a named host, or the local stack."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return is_local(url) or (parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc)


def token_credential(url: str) -> AsyncTokenCredential:
    """Return the app's identity for Azure: the user-assigned one if AZURE_CLIENT_ID names it."""
    return LocalCredential() if is_local(url) else DefaultAzureCredential()


def storage_credential(url: str) -> AsyncTokenCredential | AzureNamedKeyCredential:
    """Return the app's identity for storage; for Azurite its public key and the account in the path."""
    if is_local(url):
        return AzureNamedKeyCredential(urlsplit(url).path.strip("/").split("/")[0], _AZURITE_KEY)
    return DefaultAzureCredential()


def local_queue_address(url: str) -> str:
    """Return the URL of something in one of Azurite's queues, with a signature by its public key."""
    from azure.storage.blob import ResourceTypes, Services, generate_account_sas

    return f"{url}?" + generate_account_sas(
        urlsplit(url).path.strip("/").split("/")[0],
        _AZURITE_KEY,
        resource_types=ResourceTypes(object=True),
        permission="rwdlacup",
        expiry=datetime.now(UTC) + timedelta(hours=1),
        services=Services(queue=True),
    )
