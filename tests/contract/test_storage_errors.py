"""What Azure's storage does at its worst, and what becomes of it: by code, and within seconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from azure.core.pipeline.transport import AsyncHttpTransport

from local.azurite import Azurite
from shared.adapters.blobs import AzureBlobs
from shared.adapters.storage import RETRIES, Limits
from shared.adapters.tables import AzureTables
from shared.errors import AlreadyExists, BlobRefused, Changed, ContainerMissing, Missing, StorageError
from shared.ports import Insert, Remove, Replace
from tests.integration.storage_proxy import StorageProxy, storage_proxy

TEXT = "text/plain"
SHORT = Limits(one_try=0.4, call=1.5)  # seconds
PATIENT = Limits(one_try=0.4, call=9.0)  # with room for a second try
_HANGING = 60.0  # seconds; far below the SDK's own limits, far above ours on a busy machine


@pytest.fixture
async def blob_proxy(azurite: Azurite) -> AsyncIterator[StorageProxy]:
    async with storage_proxy(azurite.blob_uri) as proxy:
        yield proxy


@pytest.fixture
async def table_proxy(azurite: Azurite) -> AsyncIterator[StorageProxy]:
    async with storage_proxy(azurite.table_uri) as proxy:
        yield proxy


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


# --- a 409 says what it is by its code ----------------------------------------------------------


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
async def test_a_blob_write_that_is_refused_says_why(
    blobs: AzureBlobs, blob_proxy: StorageProxy, code: str, status: int, kind: type[StorageError]
) -> None:
    """Only "already exists" means that; an unknown code is neither there, nor absent, nor changed."""
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
        ("EntityAlreadyExists", AlreadyExists),
        ("TableBeingDeleted", StorageError),
        ("NobodyHasHeardOfThis", StorageError),
    ],
)
async def test_a_row_that_is_refused_says_why(
    tables: AzureTables, table_proxy: StorageProxy, code: str, kind: type[StorageError]
) -> None:
    """One insert, and a transaction."""
    table_proxy.refuse("POST", "things", status=409, code=code)
    table_proxy.refuse("POST", "$batch", status=409, code=code)
    for changes in ([Insert("a", {"n": 1})], [Insert("a", {"n": 1}), Insert("b", {"n": 1})]):
        with pytest.raises(StorageError) as caught:
            await tables.write("things", "p", changes)
        assert type(caught.value) is kind
        assert caught.value.code == code


async def test_a_container_that_is_being_deleted_is_no_container(
    blobs: AzureBlobs, blob_proxy: StorageProxy
) -> None:
    """Neither there already, nor empty: it says to wait, and nothing in it is taken for absent."""
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


async def test_what_lies_in_a_container_that_is_gone_is_unknown(
    blobs: AzureBlobs, blob_proxy: StorageProxy
) -> None:
    """It may be restored: no call reports one of its blobs as missing."""
    blob_proxy.refuse("PUT", "restype=container", status=409, code="ContainerBeingDeleted")
    for attempt in (
        blobs.stat("gone", "a"),
        blobs.read("gone", "a"),
        blobs.read("gone", "a", "0x1"),
        blobs.copy("gone", "a", "0x1", "processed", "a"),
    ):
        with pytest.raises(ContainerMissing):
            await attempt


async def test_a_table_that_is_being_deleted_is_no_table(
    tables: AzureTables, table_proxy: StorageProxy
) -> None:
    """Its rows are not there already, and a listing of it is not empty."""
    table_proxy.refuse("POST", "/Tables", status=409, code="TableBeingDeleted")
    for attempt in (
        tables.write("things", "p", [Insert("a", {"n": 1})]),
        tables.page("things", "p", "a", "z", 9),
    ):
        with pytest.raises(StorageError, match=r"TableBeingDeleted.*30 s") as caught:
            await attempt
        assert type(caught.value) is StorageError


@pytest.mark.parametrize(
    "code", ["BlobArchived", "BlobBeingRehydrated", "BlobUsesCustomerSpecifiedEncryption"]
)
async def test_a_blob_that_cannot_be_read_tells_its_owner_why(
    blobs: AzureBlobs, blob_proxy: StorageProxy, code: str
) -> None:
    """With a reason that holds no name, and a remedy."""
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
    """Only the codes that say so mean that somebody holds it, or that it was lost."""
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


# --- who never answers --------------------------------------------------------------------------


async def test_a_blob_service_that_hangs_is_an_error_within_the_limit(
    blobs: AzureBlobs, blob_proxy: StorageProxy
) -> None:
    """Every call, whatever it does."""
    etag = await blobs.create("inbox", "a", b"x", TEXT)
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        blob_proxy.hang(method, "/")
    calls = (
        blobs.list("inbox", None, 10),
        blobs.stat("inbox", "a"),
        blobs.read("inbox", "a"),
        blobs.create("inbox", "b", b"x", TEXT),
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
    """Every call; the SDK's own limit would be 300 s, four times."""
    for method in ("GET", "PUT", "POST"):
        table_proxy.hang(method, "/")
    await _all_end_in_time(
        tables.get("things", "p", "k"),
        tables.page("things", "p", "a", "z", 10),
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


async def test_a_download_that_stalls_ends_and_one_that_progresses_does_not(
    blobs: AzureBlobs, blob_proxy: StorageProxy
) -> None:
    """A large file may take longer than the limit of a call, as long as its parts come."""
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


# --- whose answer is lost -----------------------------------------------------------------------


async def test_a_write_whose_answer_was_lost_is_known_by_its_author(blob_proxy: StorageProxy) -> None:
    """The second try finds what the first has written: no stranger's, nothing twice, no lease of nobody."""
    blobs = AzureBlobs(blob_proxy.url, PATIENT)
    await blobs.list("inbox", None, 1)
    blob_proxy.lose("PUT", "inbox/a.txt")
    etag = await blobs.create("inbox", "a.txt", b"mine", TEXT)
    assert await blobs.read("inbox", "a.txt", etag) == b"mine"
    assert len([each for each in blob_proxy.calls if each.startswith("PUT") and "a.txt" in each]) == 2
    with pytest.raises(AlreadyExists):
        await blobs.create("inbox", "a.txt", b"mine", TEXT)

    await blobs.create("leases", "l", b"", TEXT)
    blob_proxy.lose("PUT", "comp=lease")
    lease = await blobs.acquire_lease("leases", "l", 60)
    assert lease is not None
    assert await blobs.renew_lease("leases", "l", lease)
    assert await blobs.acquire_lease("leases", "l", 60) is None
    await blobs.close()


async def test_a_row_whose_answer_was_lost_is_known_by_its_author(table_proxy: StorageProxy) -> None:
    """A compare-and-swap that happened is not reported as somebody else's; one that did not happen is."""
    tables = AzureTables(table_proxy.url, PATIENT)
    (etag,) = await tables.write("things", "p", [Insert("k", {"n": 1, "half": 0.5})])
    table_proxy.lose("PUT", "things")
    (newer,) = await tables.write("things", "p", [Replace("k", {"n": 2, "half": 0.5}, etag)])
    (newest,) = await tables.write("things", "p", [Replace("k", {"n": 3}, newer)])
    table_proxy.hang("PUT", "things", times=1)
    with pytest.raises(Changed):
        await tables.write("things", "p", [Replace("k", {"n": 4}, newer)])
    row = await tables.get("things", "p", "k")
    assert row is not None and (row.values, row.etag) == ({"n": 3}, newest)
    await tables.close()


async def test_a_transaction_that_happened_before_a_500_is_known_by_its_author(
    table_proxy: StorageProxy,
) -> None:
    """The SDK repeats it: its own rows are no conflict; other rows of these keys still are."""
    tables = AzureTables(table_proxy.url, PATIENT)
    (etag,) = await tables.write("things", "p", [Insert("w", {"n": 1})])
    table_proxy.lose("POST", "$batch", status=500)
    finish = [Insert("d", {"n": 2}), Remove("w", etag)]
    written = await tables.write("things", "p", finish)
    row = await tables.get("things", "p", "d")
    assert row is not None and written == (row.etag, "")
    table_proxy.lose("POST", "things", status=500)
    await tables.write("things", "p", [Insert("k", {"n": 1})])
    for changes in (finish, [Insert("k", {"n": 1})]):
        with pytest.raises((AlreadyExists, Changed)):
            await tables.write("things", "p", changes)
    await tables.close()


async def test_no_write_is_sent_twice_behind_our_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks is one try, of which the SDK makes a few; aiohttp alone would double each."""
    seen = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            seen += 1
        writer.close()

    async def no_pause(*_: object) -> None:
        return None

    monkeypatch.setattr(AsyncHttpTransport, "sleep", no_pause)
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        blobs = AzureBlobs(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/nobody", PATIENT)
        with pytest.raises(StorageError, match="did not answer"):
            await blobs.delete("inbox", "a", "0x1")
        await blobs.close()
    assert seen == 1 + RETRIES


async def test_what_has_no_code_is_unknown(blobs: AzureBlobs, blob_proxy: StorageProxy) -> None:
    """Missing is what Azure calls so by name; without a code, as from a middlebox, it is unknown."""
    await blobs.create("inbox", "a", b"x", TEXT)
    with pytest.raises(Missing):
        await blobs.read("inbox", "b")
    assert await blobs.stat("inbox", "b") is None
    blob_proxy.refuse("HEAD", "inbox/c", status=404, code="")
    with pytest.raises(StorageError):
        await blobs.stat("inbox", "c")
