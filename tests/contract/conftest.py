"""Azurite behind a proxy that refuses, hangs, stalls, or loses answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.azurite import Azurite
from tests.integration.storage_proxy import StorageProxy, storage_proxy


@pytest.fixture
async def blob_proxy(azurite: Azurite) -> AsyncIterator[StorageProxy]:
    async with storage_proxy(azurite.blob_uri) as proxy:
        yield proxy


@pytest.fixture
async def table_proxy(azurite: Azurite) -> AsyncIterator[StorageProxy]:
    async with storage_proxy(azurite.table_uri) as proxy:
        yield proxy
