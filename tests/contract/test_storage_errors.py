"""Errors and hangs of Azure Storage become our errors by their code and within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.adapters.blobs import AzureBlobs
from shared.adapters.storage import BLOCK, Limits
from shared.adapters.tables import AzureTables
from shared.errors import AlreadyExists, BlobRefused, ContainerMissing, Missing, StorageError
from shared.ports import Insert, Remove, Replace
from tests.integration.storage_proxy import StorageProxy

TEXT = "text/plain"
SHORT = Limits(one_try=0.4, call=1.5)  # seconds
_HANGING = 60.0  # seconds; far below the SDK's own limits, far above ours on a busy machine


@pytest.fixture
async def blobs(blob_proxy: StorageProxy) -> AsyncIterator[AzureBlobs]:
    real = AzureBlobs(blob_proxy.url, SHORT)
    yield real
    await real.close()


@pytest.fixture
async def tables(table_proxy: StorageProxy) -> AsyncIterator[AzureTables]:
    real = AzureTables(table_proxy.url, SHORT)
    yield real
    await real.close()


# --- the code of a 409 decides ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("BlobAlreadyExists", 409, AlreadyExists),
        ("ResourceAlreadyExists", 409, AlreadyExists),
        ("ContainerBeingDeleted", 409, StorageError),
        ("BlobArchived", 409, BlobRefused),
        ("BlobBeingRehydrated", 409, BlobRefused),
        ("BlobImmutableDueToPolicy", 409, BlobRefused),
        ("BlobUsesCustomerSpecifiedEncryption", 409, BlobRefused),
        ("PendingCopyOperation", 409, StorageError),
        ("SnapshotsPresent", 409, StorageError),
        ("LeaseIdMissing", 412, StorageError),
        ("NobodyHasHeardOfThis", 409, StorageError),
        ("NobodyHasHeardOfThis", 412, StorageError),
        ("NobodyHasHeardOfThis", 404, StorageError),
    ],
)
async def test_a_refused_blob_write_is_translated_by_its_code(
    blobs: AzureBlobs, blob_proxy: StorageProxy, code: str, status: int, kind: type[StorageError]
) -> None:
    """Only its own code means AlreadyExists; an unknown code is a plain StorageError."""
    blob_proxy.refuse("PUT", "results/r.json", status=status, code=code)
    with pytest.raises(StorageError) as caught:
        await blobs.create("results", "r.json", b"x", TEXT)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert code in str(caught.value)
    assert "r.json" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("BlockCountExceedsLimit", StorageError),
        ("BlobImmutableDueToPolicy", BlobRefused),
        ("LeaseIdMissing", StorageError),
    ],
)
async def test_a_refused_append_keeps_its_code(
    blobs: AzureBlobs, blob_proxy: StorageProxy, code: str, kind: type[StorageError]
) -> None:
    """The writer must tell a log that is full from one that has another writer."""
    blob_proxy.refuse("PUT", "comp=appendblock", status=409, code=code)
    with pytest.raises(StorageError) as caught:
        await blobs.append("checkpoints", "log", b"x", 0)
    assert (type(caught.value), caught.value.code) == (kind, code)


@pytest.mark.parametrize("exists", [False, True])
async def test_blocks_that_another_creation_has_discarded(
    blobs: AzureBlobs, blob_proxy: StorageProxy, exists: bool
) -> None:
    """The commit fails as a conflict if a blob is there, and otherwise as an error that may pass."""
    if exists:
        await blobs.create("results", "r.csv", b"x", TEXT)
    blob_proxy.refuse("PUT", "comp=blocklist", status=400, code="InvalidBlockList")
    with pytest.raises(StorageError) as caught:
        await blobs.create_from("results", "r.csv", _pieces(2), TEXT)
    assert type(caught.value) is (AlreadyExists if exists else StorageError)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("EntityAlreadyExists", AlreadyExists),
        ("TableBeingDeleted", StorageError),
        ("NobodyHasHeardOfThis", StorageError),
    ],
)
async def test_a_refused_row_is_translated_by_its_code(
    tables: AzureTables, table_proxy: StorageProxy, code: str, kind: type[StorageError]
) -> None:
    """This holds for one insert and for a transaction."""
    table_proxy.refuse("POST", "things", status=409, code=code)
    table_proxy.refuse("POST", "$batch", status=409, code=code)
    for changes in ([Insert("a", {"n": 1})], [Insert("a", {"n": 1}), Insert("b", {"n": 1})]):
        with pytest.raises(StorageError) as caught:
            await tables.write("things", "p", changes)
        assert type(caught.value) is kind
        assert caught.value.code == code


async def test_a_container_that_is_being_deleted_is_an_error(
    blobs: AzureBlobs, blob_proxy: StorageProxy
) -> None:
    """Nothing counts as existing or as absent; the error says to wait."""
    blob_proxy.refuse("PUT", "results/r.json", status=404, code="ContainerNotFound")
    blob_proxy.refuse("PUT", "restype=container", status=409, code="ContainerBeingDeleted")
    for attempt in (
        blobs.create("results", "r.json", b"x", TEXT),
        blobs.list("results", None, 10),
        blobs.acquire_lease("results", "l", 60),
    ):
        with pytest.raises(StorageError, match=r"ContainerBeingDeleted.*30 s") as caught:
            await attempt
        assert type(caught.value) is StorageError


async def test_blobs_of_a_deleted_container_are_unknown(blobs: AzureBlobs, blob_proxy: StorageProxy) -> None:
    """The container may be restored, so no call reports one of its blobs as missing."""
    blob_proxy.refuse("PUT", "restype=container", status=409, code="ContainerBeingDeleted")
    for attempt in (
        blobs.stat("gone", "a"),
        blobs.read("gone", "a"),
        blobs.read("gone", "a", "0x1"),
        blobs.copy("gone", "a", "0x1", "processed", "a"),
    ):
        with pytest.raises(ContainerMissing):
            await attempt


async def test_a_table_that_is_being_deleted_is_an_error(
    tables: AzureTables, table_proxy: StorageProxy
) -> None:
    """A write does not find existing rows, and a listing is not empty: both raise."""
    table_proxy.refuse("POST", "/Tables", status=409, code="TableBeingDeleted")
    for attempt in (
        tables.write("things", "p", [Insert("a", {"n": 1})]),
        tables.page("things", "p", "a", "z", 9),
        tables.keys("things", "p", "a", "z", 9),
    ):
        with pytest.raises(StorageError, match=r"TableBeingDeleted.*30 s") as caught:
            await attempt
        assert type(caught.value) is StorageError


@pytest.mark.parametrize(
    "code", ["BlobArchived", "BlobBeingRehydrated", "BlobUsesCustomerSpecifiedEncryption"]
)
async def test_an_unreadable_blob_has_a_reason_for_its_owner(
    blobs: AzureBlobs, blob_proxy: StorageProxy, code: str
) -> None:
    """The reason contains a remedy and no file name."""
    await blobs.create("inbox", "d/secret.txt", b"x", TEXT)
    blob_proxy.refuse("GET", "secret.txt", status=409, code=code)
    with pytest.raises(BlobRefused) as caught:
        await blobs.read("inbox", "d/secret.txt")
    assert caught.value.code == code
    assert "submit it again" in caught.value.reason
    assert "secret" not in caught.value.reason + str(caught.value)


async def test_a_lease_is_not_taken_for_held_or_lost_by_another_conflict(
    blobs: AzureBlobs, blob_proxy: StorageProxy
) -> None:
    """Only the lease codes mean that another process holds it or that it was lost."""
    lease = await blobs.acquire_lease("leases", "l", 60)
    assert lease is not None
    assert await blobs.acquire_lease("leases", "l", 60) is None
    assert not await blobs.renew_lease("leases", "never", lease)
    blob_proxy.refuse("PUT", "comp=lease", status=409, code="ContainerBeingDeleted")
    for attempt in (
        blobs.acquire_lease("leases", "l", 60),
        blobs.renew_lease("leases", "l", lease),
        blobs.release_lease("leases", "l", lease),
    ):
        with pytest.raises(StorageError, match="ContainerBeingDeleted"):
            await attempt


# --- services that hang -------------------------------------------------------------------------


async def test_a_blob_service_that_hangs_is_an_error_within_the_limit(
    blobs: AzureBlobs, blob_proxy: StorageProxy
) -> None:
    """Every call of the port ends within its time limit."""
    etag = await blobs.create("inbox", "a", b"x", TEXT)
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        blob_proxy.hang(method, "/")
    calls = (
        blobs.list("inbox", None, 10),
        blobs.stat("inbox", "a"),
        blobs.read("inbox", "a"),
        blobs.read_range("inbox", "a", 0, 1),
        blobs.create("inbox", "b", b"x", TEXT),
        blobs.create_from("inbox", "c", _pieces(2), TEXT),
        blobs.append("inbox", "d", b"x", 0),
        blobs.append("inbox", "d", b"x", 1),
        blobs.copy("inbox", "a", etag, "processed", "a"),
        blobs.delete("inbox", "a", etag),
        blobs.acquire_lease("leases", "l", 60),
        blobs.renew_lease("leases", "l", "0" * 32),
        blobs.release_lease("leases", "l", "0" * 32),
    )
    await _all_end_in_time(*calls)


async def test_a_table_service_that_hangs_is_an_error_within_the_limit(
    tables: AzureTables, table_proxy: StorageProxy
) -> None:
    """Every call ends within its time limit; the SDK's own limit would be four times 300 s."""
    for method in ("GET", "PUT", "POST"):
        table_proxy.hang(method, "/")
    await _all_end_in_time(
        tables.get("things", "p", "k"),
        tables.page("things", "p", "a", "z", 10),
        tables.keys("things", "p", "a", "z", 10),
        tables.write("things", "p", [Insert("k", {"n": 1})]),
        tables.write("things", "p", [Replace("k", {"n": 1}, "v1")]),
        tables.write("things", "p", [Insert("a", {"n": 1}), Remove("b", "v1")]),
    )


async def _all_end_in_time(*calls: object) -> None:
    async with asyncio.timeout(_HANGING):
        outcomes = await asyncio.gather(*calls, return_exceptions=True)  # type: ignore[call-overload]
    for outcome in outcomes:
        assert type(outcome) is StorageError, outcome
        assert "did not answer within" in str(outcome)


async def test_a_stalled_download_fails_and_a_slow_one_succeeds(
    blobs: AzureBlobs, blob_proxy: StorageProxy
) -> None:
    """A large file may take longer than the limit of a call, as long as its parts arrive."""
    data = bytes(range(256)) * 40_000  # 10 MB
    await blobs.create("inbox", "large", data, TEXT)
    blob_proxy.slow("large", size=1_500_000, pause=0.3)
    reading = asyncio.create_task(blobs.read("inbox", "large"))
    await asyncio.sleep(SHORT.call)
    assert not reading.done(), "the limit of a call is over, and parts are still to come"
    assert await reading == data
    await blobs.create("inbox", "stalled", data, TEXT)
    blob_proxy.stall("stalled", after=100_000)
    await _all_end_in_time(blobs.read("inbox", "stalled"))


async def test_a_streamed_upload_may_take_longer_than_a_call(
    blobs: AzureBlobs, blob_proxy: StorageProxy
) -> None:
    """The limit holds for each block; a content of one block is one request."""
    await blobs.create("results", "small", b"", TEXT)
    before = len(blob_proxy.calls)
    await blobs.create_from("results", "r.csv", _pieces(1), TEXT)
    assert len(blob_proxy.calls) == before + 1
    await blobs.create_from("results", "large.csv", _pieces(3, pause=SHORT.call / 2), TEXT)
    assert len(await blobs.read("results", "large.csv")) == 3 * BLOCK


async def _pieces(number: int, pause: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(number):
        await asyncio.sleep(pause)
        yield b"x" * BLOCK


async def test_an_error_without_a_code_is_unknown(blobs: AzureBlobs, blob_proxy: StorageProxy) -> None:
    """Only Azure's own code means missing; a 404 without a code, as from a proxy, is unknown."""
    await blobs.create("inbox", "a", b"x", TEXT)
    with pytest.raises(Missing):
        await blobs.read("inbox", "b")
    assert await blobs.stat("inbox", "b") is None
    blob_proxy.refuse("HEAD", "inbox/c", status=404, code="")
    with pytest.raises(StorageError):
        await blobs.stat("inbox", "c")
