"""A write whose answer was lost counts as made if it took effect, and as a conflict if another was first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from azure.core.pipeline.transport import AsyncHttpTransport

from shared.adapters.blobs import AzureBlobs
from shared.adapters.storage import BLOCK, RETRIES, Limits
from shared.adapters.tables import AzureTables
from shared.errors import AlreadyExists, Changed, StorageError
from shared.ports import Insert, Remove, Replace
from tests.integration.storage_proxy import StorageProxy

TEXT = "text/plain"
PATIENT = Limits(one_try=0.4, call=9.0)  # seconds, with room for a second try


async def test_a_blob_write_with_a_lost_answer_is_recognised(blob_proxy: StorageProxy) -> None:
    """The second attempt recognises what the first one wrote, and no lease is left without a holder."""
    blobs = AzureBlobs(blob_proxy.url, PATIENT)
    await blobs.list("inbox", None, 1)
    blob_proxy.lose("PUT", "inbox/a.txt")
    etag = await blobs.create("inbox", "a.txt", b"mine", TEXT)
    assert await blobs.read("inbox", "a.txt", etag) == b"mine"
    assert len([call for call in blob_proxy.calls if call.startswith("PUT") and "a.txt" in call]) == 2
    with pytest.raises(AlreadyExists):
        await blobs.create("inbox", "a.txt", b"mine", TEXT)

    await blobs.create("leases", "l", b"", TEXT)
    blob_proxy.lose("PUT", "comp=lease")
    lease = await blobs.acquire_lease("leases", "l", 60)
    assert lease is not None
    assert await blobs.renew_lease("leases", "l", lease)
    assert await blobs.acquire_lease("leases", "l", 60) is None
    await blobs.close()


async def test_an_append_with_a_lost_answer_is_recognised(blob_proxy: StorageProxy) -> None:
    """The second try finds its own data at the end; another writer's, of the same length, are a conflict."""
    blobs = AzureBlobs(blob_proxy.url, PATIENT)
    for at in (0, 5):
        blob_proxy.lose("PUT", "comp=appendblock")
        await blobs.append("checkpoints", "log", b"mine\n", at)
    assert await blobs.read("checkpoints", "log") == b"mine\n" * 2
    with pytest.raises(Changed):
        await blobs.append("checkpoints", "log", b"mine\n", 5)  # its only try
    for at, data in ((5, b"hers\n"), (5, b"mine\nand more"), (5, b"min"), (0, b"mine\n")):
        blob_proxy.hang("PUT", "comp=appendblock", times=1)
        with pytest.raises(Changed):
            await blobs.append("checkpoints", "log", data, at)
    assert await blobs.read("checkpoints", "log") == b"mine\n" * 2
    await blobs.close()


async def test_a_streamed_blob_with_lost_answers_is_recognised(blob_proxy: StorageProxy) -> None:
    """A block that is sent twice is in the blob once, and a commit that took effect is no conflict."""
    blobs = AzureBlobs(blob_proxy.url, PATIENT)

    async def pieces() -> AsyncIterator[bytes]:
        for letter in (b"a", b"b", b"c"):
            yield letter * BLOCK

    blob_proxy.lose("PUT", "comp=block&")
    blob_proxy.lose("PUT", "comp=blocklist")
    etag = await blobs.create_from("results", "r.csv", pieces(), TEXT)
    assert await blobs.read("results", "r.csv", etag) == b"".join([piece async for piece in pieces()])
    blob_proxy.hang("PUT", "comp=blocklist", times=1)
    with pytest.raises(AlreadyExists):
        await blobs.create_from("results", "r.csv", pieces(), TEXT)
    await blobs.close()


async def test_a_row_write_with_a_lost_answer_is_recognised(table_proxy: StorageProxy) -> None:
    """A compare-and-swap that took effect is no conflict; one that did not is Changed."""
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


async def test_a_transaction_that_took_effect_before_a_500_is_recognised(
    table_proxy: StorageProxy,
) -> None:
    """The SDK repeats it. Its own rows are no conflict; other rows with these keys still are."""
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


async def test_a_broken_connection_fails_no_transaction(table_proxy: StorageProxy) -> None:
    """Servers close idle connections, just when one is used again: what took effect counts as written.

    Up to a hundred documents share a transaction, and each would wait four minutes for its claim to run out.
    """
    tables = AzureTables(table_proxy.url, PATIENT)
    (etag,) = await tables.write("things", "p", [Insert("w", {"n": 1})])
    for changes in ([Insert("d", {"n": 2}), Replace("w", {"n": 2}, etag)], [Insert("k", {"n": 1})]):
        part = "$batch" if len(changes) > 1 else "things"
        table_proxy.lose("POST", part, breaks=True)
        etags = await tables.write("things", "p", changes)
        rows = [await tables.get("things", "p", change.key) for change in changes]
        assert [row and row.etag for row in rows] == list(etags)
    await tables.close()


async def test_aiohttp_does_not_repeat_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken connection counts as one of the SDK's attempts; by default aiohttp would double each."""
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
