"""Check the storage: containers and tables exist or are created, and a test call for each right succeeds.

The test calls leave nothing behind."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta

from shared.batches.files import FILES
from shared.batches.ledger import BATCHES
from shared.batches.ledger import FILES as FILE_ROWS
from shared.documents.backlog import DOCUMENTS
from shared.documents.checkpoints import CHECKPOINTS
from shared.documents.identity import INBOX
from shared.documents.intake import SWEEPS
from shared.documents.places import FAILED, PROCESSED, RESULTS
from shared.documents.records.staging import STAGING
from shared.documents.unpack import UNPACKED
from shared.errors import StorageError
from shared.hosting.leases import LEASES, WORK_LEASES
from shared.hosting.ledger import DECISIONS, DEPLOYMENTS, HOLDS, SESSIONS
from shared.ports import Blobs, Clock, Insert, Remove, Tables
from shared.reports.doctor.findings import Finding, failed, ok, warning
from shared.sources.arrivals import TAKEN
from shared.sources.taken import SOURCES

CONTAINERS = (INBOX, RESULTS, PROCESSED, FAILED, CHECKPOINTS, STAGING, FILES, TAKEN, UNPACKED, LEASES)
TABLES = (
    DOCUMENTS,
    FILE_ROWS,
    BATCHES,
    DEPLOYMENTS,
    SESSIONS,
    SOURCES,
    DECISIONS,
    HOLDS,
    WORK_LEASES,
    SWEEPS,
)
LARGEST_SKEW = timedelta(seconds=5)

_REMEDY = (
    "check the address in the app settings, the account's network rules, and that the identity has the role "
    "Storage {}; on a laptop it is yours (az login), and docs/commands.md, Rights, has the commands"
)
_BLOBS = _REMEDY.format("Blob Data Contributor on these containers")
_TABLES = _REMEDY.format("Table Data Contributor on the account")
_LEASE_SECONDS = 15  # the shortest that Azure allows
_PARTITION = "doctor"  # never an account's partition: those begin with "subscriptions"


async def blobs(store: Blobs) -> Sequence[Finding]:
    """Check every container, then write, lease and delete a blob of our own."""
    check = "blob storage"
    try:
        for container in CONTAINERS:
            await store.list(container, None, 1)  # creates it if it does not exist
    except StorageError as error:
        # One finding is enough: the other checks would fail in the same way.
        return [failed(check, str(error), _BLOBS)]
    return [ok(check, f"the containers {', '.join(CONTAINERS)} are there"), await _blob_rights(store)]


async def _blob_rights(store: Blobs) -> Finding:
    check, name = "blob rights", f"doctor/{uuid.uuid4().hex}"
    try:
        etag = await store.create(LEASES, name, b"", "application/octet-stream")
        lease = await store.acquire_lease(LEASES, name, _LEASE_SECONDS)
        if lease is not None:
            await store.release_lease(LEASES, name, lease)
        deleted = await store.delete(LEASES, name, etag)
    except StorageError as error:
        return failed(check, str(error), _BLOBS)
    if lease is None or not deleted:
        what = "leased" if lease is None else "deleted"
        return failed(check, f"a blob could be written, but not {what}", _BLOBS)
    return ok(check, "a blob was written, leased and deleted")


async def tables(store: Tables, clock: Clock) -> Sequence[Finding]:
    """Check every table, write and delete a row of our own, and compare our clock with the server's."""
    check = "table storage"
    try:
        for table in TABLES:
            await store.page(table, _PARTITION, " ", "~", 1)  # creates it if it does not exist
    except StorageError as error:
        return [failed(check, str(error), _TABLES)]
    return [
        ok(check, f"the tables {', '.join(TABLES)} are there"),
        await _table_rights(store),
        await _skew(store, clock),
    ]


async def _table_rights(store: Tables) -> Finding:
    check, key = "table rights", uuid.uuid4().hex
    try:
        (etag,) = await store.write(HOLDS, _PARTITION, [Insert(key, {"by": "doctor"})])
        await store.write(HOLDS, _PARTITION, [Remove(key, etag)])
    except StorageError as error:
        return failed(check, str(error), _TABLES)
    return ok(check, "a row was written and deleted")


async def _skew(store: Tables, clock: Clock) -> Finding:
    """Compare the clocks. The server's Date has whole seconds, and is of a moment during the call."""
    check, before = "clock", clock.now()
    try:
        server = (await store.page(HOLDS, _PARTITION, " ", "~", 1)).server_time
    except StorageError as error:
        return failed(check, str(error), _TABLES)
    after = clock.now()
    skew = max(before - server - timedelta(seconds=1), server - after, timedelta(0))
    if skew > LARGEST_SKEW:
        remedy = "set this machine's clock by NTP: windows open and close by it"
        return warning(check, f"it differs from the server's by {skew.total_seconds():.0f} s", remedy)
    return ok(check, "it agrees with the server's")
