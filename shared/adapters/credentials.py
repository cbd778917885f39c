"""Who we are to Azure: the app's identity, and nothing secret.

On http at a loopback address, which Azure never is, Azurite and the emulator are meant: Azurite's public
development key and a token that says nothing. It is the one place where a key appears.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken, AzureNamedKeyCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.identity.aio import DefaultAzureCredential

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

# https://learn.microsoft.com/azure/storage/common/storage-use-azurite: the same for everybody.
_AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class LocalCredential:
    """A token for the emulator."""

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """A token that says nothing and lives an hour."""
        return AccessToken("local", int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> LocalCredential:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def is_local(url: str) -> bool:
    """Whether a URL means the local stack: http at a loopback address."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def may_have_token(url: str) -> bool:
    """Whether a token may be sent there: over https to a named host, or to the local stack."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return is_local(url) or (parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc)


def token_credential(url: str) -> AsyncTokenCredential:
    """The app's identity for Azure (the user-assigned one that AZURE_CLIENT_ID names, if it does)."""
    return LocalCredential() if is_local(url) else DefaultAzureCredential()


def storage_credential(url: str) -> AsyncTokenCredential | AzureNamedKeyCredential:
    """The app's identity for storage; for Azurite its public key and the account that the path names."""
    if is_local(url):
        return AzureNamedKeyCredential(urlsplit(url).path.strip("/").split("/")[0], _AZURITE_KEY)
    return DefaultAzureCredential()
