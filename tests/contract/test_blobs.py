"""The same tests run on blobs in memory, and on Azurite through the real SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobServiceClient

from local.azurite import ACCOUNT_KEY, Azurite, account_name
from shared.adapters.blobs import AzureBlobs
from shared.errors import AlreadyExists, BlobRefused, Changed, ContainerMissing, Missing, StorageError
from shared.ports import Blobs
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.clock import VirtualClock

TEXT = "text/plain"
MIB = 1024 * 1024


def key(azurite: Azurite) -> AzureNamedKeyCredential:
    return AzureNamedKeyCredential(account_name(azurite.blob_uri), ACCOUNT_KEY)


@pytest.fixture(params=["memory", "azurite"])
async def blobs(request: pytest.FixtureRequest) -> AsyncIterator[Blobs]:
    if request.param == "memory":
        yield MemoryBlobs(VirtualClock(datetime.now(UTC)))
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    real = AzureBlobs(azurite.blob_uri)
    yield real
    await real.close()


async def given(*pieces: bytes | Exception) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, Exception):
            raise piece
        yield piece


async def overwrite(blobs: Blobs, name: str, data: bytes) -> str:
    """Overwrite a blob, like a person who saves the file again."""
    item = await blobs.stat("inbox", name)
    assert item is not None
    await blobs.delete("inbox", name, item.etag)
    return await blobs.create("inbox", name, data, TEXT)


@pytest.mark.parametrize(
    "name",
    ["plain.txt", "a/b/c d.txt", "ä ö 📄.md", "100%25.txt", "a#b?c&d=e+f.txt", "<a>\"&amp;'.txt", "x" * 900],
)
async def test_every_name_is_found_under_itself(blobs: Blobs, name: str) -> None:
    """A blob with an unusual name is listed, read, copied and deleted under exactly that name."""
    name = f"dep/{name}"
    etag = await blobs.create("inbox", name, b"content", TEXT)
    page = await blobs.list("inbox", None, 10)
    assert [(item.name, item.etag, item.size) for item in page.items] == [(name, etag, 7)]
    stood = await blobs.stat("inbox", name)
    assert stood is not None and stood.etag == etag and stood.modified_at == page.items[0].modified_at
    assert await blobs.read("inbox", name, etag) == b"content"
    await blobs.copy("inbox", name, etag, "processed", f"{name}.copy")
    assert await blobs.read("processed", f"{name}.copy") == b"content"
    assert await blobs.delete("inbox", name, etag)
    assert (await blobs.list("inbox", None, 10)).items == ()


async def test_a_missing_blob(blobs: Blobs) -> None:
    """A missing blob gives None, an empty page, Missing or False, as the port says."""
    assert (await blobs.list("inbox", None, 10)).items == ()
    assert await blobs.stat("inbox", "no.txt") is None
    assert not await blobs.delete("inbox", "no.txt", "0x1")
    with pytest.raises(Missing):
        await blobs.read("inbox", "no.txt")
    with pytest.raises(Missing):
        await blobs.read_range("inbox", "no.txt", 0, 9)
    with pytest.raises(Missing):
        await blobs.append("inbox", "no.txt", b"x", 5)
    with pytest.raises(Missing):
        await blobs.copy("inbox", "no.txt", "0x1", "processed", "no.txt")


async def test_blobs_of_a_missing_container_are_unknown(blobs: Blobs) -> None:
    """A deleted container may be restored: its blobs do not count as missing, and it is not created again."""
    for _ in range(2):
        for attempt in (
            blobs.stat("inbox", "a.txt"),
            blobs.read("inbox", "a.txt"),
            blobs.read_range("inbox", "a.txt", 0, 9),
            blobs.append("inbox", "a.txt", b"x", 5),
            blobs.copy("inbox", "a.txt", "0x1", "processed", "a.txt"),
        ):
            with pytest.raises(ContainerMissing):
                await attempt
    assert not await blobs.delete("inbox", "a.txt", "0x1")


async def test_a_blob_is_created_once(blobs: Blobs) -> None:
    """A second creation raises AlreadyExists and changes nothing."""
    await blobs.create("results", "r.json", b"first", TEXT)
    with pytest.raises(AlreadyExists):
        await blobs.create("results", "r.json", b"second", TEXT)
    assert await blobs.read("results", "r.json") == b"first"


async def test_one_of_several_concurrent_creations_succeeds(blobs: Blobs) -> None:
    """Concurrent creations of one blob give one success; the others raise AlreadyExists."""
    outcomes = await asyncio.gather(
        *(blobs.create("results", "r.json", b"%d" % n, TEXT) for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 4


@pytest.mark.parametrize(
    "sizes",
    [(), (0, 3, 5), (MIB, 3 * MIB), (3 * MIB, 1, 2 * MIB, 0, 4 * MIB), (9 * MIB + 7,)],
    ids=["nothing", "small", "a block", "blocks", "one large piece"],
)
async def test_a_blob_is_created_from_pieces(blobs: Blobs, sizes: tuple[int, ...]) -> None:
    """The pieces become one blob, whatever their sizes. A second creation, of any size, changes nothing."""
    pieces = [bytes([65 + n]) * size for n, size in enumerate(sizes)]
    etag = await blobs.create_from("results", "d/r.csv", given(*pieces), TEXT)
    assert await blobs.read("results", "d/r.csv", etag) == b"".join(pieces)
    for again in ((b"x",), (b"x" * 5 * MIB, b"y")):
        with pytest.raises(AlreadyExists):
            await blobs.create_from("results", "d/r.csv", given(*again), TEXT)
    found = await blobs.stat("results", "d/r.csv")
    assert found is not None and (found.etag, found.size) == (etag, sum(sizes))


async def test_nothing_is_visible_of_a_creation_that_its_source_ends(blobs: Blobs) -> None:
    """The error of the source is raised as it is, and the name is free for the next try."""
    for before in ((), (b"x" * 5 * MIB, b"y" * 5 * MIB)):
        with pytest.raises(ZeroDivisionError):
            await blobs.create_from("results", "r.csv", given(*before, ZeroDivisionError()), TEXT)
        assert (await blobs.list("results", None, 10)).items == ()
        assert await blobs.stat("results", "r.csv") is None
    await blobs.create_from("results", "r.csv", given(b"z" * 5 * MIB), TEXT)
    assert await blobs.read("results", "r.csv") == b"z" * 5 * MIB


async def test_one_of_several_concurrent_creations_from_pieces_succeeds(blobs: Blobs) -> None:
    """The others raise AlreadyExists, and the blob has the content of one of them alone."""
    sources = [given(letter * 5 * MIB, letter) for letter in (b"a", b"b", b"c")]
    creating = [blobs.create_from("results", "r.csv", source, TEXT) for source in sources]
    outcomes = await asyncio.gather(*creating, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyExists"] * 2 + ["str"]
    data = await blobs.read("results", "r.csv")
    assert data == data[:1] * (5 * MIB + 1)


async def test_a_log_grows_where_its_writer_knows_the_end(blobs: Blobs) -> None:
    """An append at another place than the end changes nothing; the log is listed, read, copied, deleted."""
    name, line, large = "d/x.answers.0", b"one answer\n", b"l" * 4 * MIB
    await blobs.append("checkpoints", name, line, 0)
    first = await blobs.stat("checkpoints", name)
    await blobs.append("checkpoints", name, large, len(line))
    whole = line + large
    for at in (0, len(line), len(whole) - 1, len(whole) + 1):
        with pytest.raises(Changed):
            await blobs.append("checkpoints", name, b"late\n", at)
    found = await blobs.stat("checkpoints", name)
    assert first is not None and found is not None and found.etag != first.etag
    assert (first.size, found.size) == (len(line), len(whole))
    assert (await blobs.list("checkpoints", None, 10)).items == (found,)
    assert await blobs.read("checkpoints", name, found.etag) == whole
    with pytest.raises(Changed):
        await blobs.read_range("checkpoints", name, 0, 9, first.etag)
    assert not await blobs.delete("checkpoints", name, first.etag)
    await blobs.copy("checkpoints", name, found.etag, "failed", name)
    assert await blobs.read("failed", name) == whole
    await blobs.append("failed", name, line, len(whole))
    assert await blobs.delete("checkpoints", name, found.etag)
    assert await blobs.stat("checkpoints", name) is None


async def test_one_of_several_concurrent_writers_appends(blobs: Blobs) -> None:
    """This holds on first use too, when the container and the blob are created."""
    for at in (0, 2):
        appends = [blobs.append("checkpoints", "log", b"%d\n" % n, at) for n in range(5)]
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
        assert outcomes.count(None) == 1
        assert sum(isinstance(outcome, Changed) for outcome in outcomes) == 4
    assert len(await blobs.read("checkpoints", "log")) == 4


async def test_a_blob_keeps_its_type(blobs: Blobs) -> None:
    """Nothing is appended to a blob of another type, and no creation replaces a log."""
    await blobs.create("checkpoints", "whole", b"", TEXT)
    await blobs.append("checkpoints", "log", b"x", 0)
    with pytest.raises(StorageError) as caught:
        await blobs.append("checkpoints", "whole", b"x", 0)
    assert (type(caught.value), caught.value.code) == (StorageError, "InvalidBlobType")
    for creation in (
        blobs.create("checkpoints", "log", b"y", TEXT),
        blobs.create_from("checkpoints", "log", given(b"y"), TEXT),
        blobs.create_from("checkpoints", "log", given(b"y" * 5 * MIB), TEXT),
    ):
        with pytest.raises(AlreadyExists):
            await creation
    assert await blobs.read("checkpoints", "log") == b"x"


async def test_a_range_is_what_there_is_of_it(blobs: Blobs) -> None:
    """A range ends at the end of the blob, and is empty from there on; an empty blob has only such ones."""
    data = bytes(range(256)) * 12 * 1024  # 3 MiB, more than one part of a download
    etag = await blobs.create("inbox", "d/a.csv", data, TEXT)
    await blobs.create("inbox", "d/empty.csv", b"", TEXT)
    ranges = [
        (0, 1),
        (0, len(data)),
        (5, 2 * MIB + 9),
        (len(data) - 1, MIB),
        (len(data), 1),
        (len(data) + 7, 9),
    ]
    for start, size in ranges:
        assert await blobs.read_range("inbox", "d/a.csv", start, size, etag) == data[start : start + size]
    assert await blobs.read_range("inbox", "d/empty.csv", 0, 9) == b""


async def test_an_overwritten_version_is_neither_read_nor_copied_nor_deleted(blobs: Blobs) -> None:
    """Every access that names an older version fails."""
    old = await blobs.create("inbox", "d/a.txt", b"old", TEXT)
    new = await overwrite(blobs, "d/a.txt", b"new")
    assert old != new
    with pytest.raises(Changed):
        await blobs.read("inbox", "d/a.txt", old)
    for start in (0, 3):
        with pytest.raises(Changed):
            await blobs.read_range("inbox", "d/a.txt", start, 9, old)
    with pytest.raises(Changed):
        await blobs.copy("inbox", "d/a.txt", old, "processed", "a.txt")
    assert not await blobs.delete("inbox", "d/a.txt", old)
    assert await blobs.read("inbox", "d/a.txt", new) == b"new"


async def test_a_listing_continues_from_its_token(blobs: Blobs) -> None:
    """Pages are in name order, and the last one has no token."""
    for n in (3, 1, 2):
        await blobs.create("inbox", f"d/{n}.txt", b"x", TEXT)
    first = await blobs.list("inbox", None, 2)
    assert [item.name for item in first.items] == ["d/1.txt", "d/2.txt"]
    assert first.token is not None
    rest = await blobs.list("inbox", first.token, 2)
    assert ([item.name for item in rest.items], rest.token) == (["d/3.txt"], None)


async def test_folder_markers_and_archived_blobs_are_marked(
    request: pytest.FixtureRequest, blobs: Blobs
) -> None:
    """The listing and stat mark both; an archived blob cannot be read or copied until it is rehydrated."""
    names = ("d/archived.txt", "d/folder", "d/plain.txt")
    if isinstance(blobs, MemoryBlobs):
        for name in names:
            blobs.upload("inbox", name, b"" if name == "d/folder" else b"x", is_folder=name == "d/folder")
        blobs.set_archived("inbox", "d/archived.txt", True)
    else:
        azurite: Azurite = request.getfixturevalue("azurite")
        async with BlobServiceClient(azurite.blob_uri, credential=key(azurite)) as direct:
            await direct.create_container("inbox")
            await direct.get_blob_client("inbox", "d/plain.txt").upload_blob(b"x", metadata={"owner": "a&b"})
            await direct.get_blob_client("inbox", "d/folder").upload_blob(
                b"", metadata={"hdi_isfolder": "true"}
            )
            archived = direct.get_blob_client("inbox", "d/archived.txt")
            await archived.upload_blob(b"x")
            await archived.set_standard_blob_tier("Archive")
    listed = (await blobs.list("inbox", None, 10)).items
    assert [(item.name, item.is_folder, item.archived) for item in listed] == [
        ("d/archived.txt", False, True),
        ("d/folder", True, False),
        ("d/plain.txt", False, False),
    ]
    assert [await blobs.stat("inbox", name) for name in names] == list(listed)
    with pytest.raises(StorageError):
        await blobs.read("inbox", "d/archived.txt")
    with pytest.raises(StorageError):
        await blobs.copy("inbox", "d/archived.txt", listed[0].etag, "failed", "archived.txt")


async def test_a_lease_has_one_holder(blobs: Blobs) -> None:
    """No second lease is given until the holder releases the first; renewing keeps it."""
    lease = await blobs.acquire_lease("leases", "accounts/a|b", 60)
    assert lease is not None
    assert await blobs.acquire_lease("leases", "accounts/a|b", 60) is None
    assert await blobs.renew_lease("leases", "accounts/a|b", lease)
    await blobs.release_lease("leases", "accounts/a|b", lease)
    other = await blobs.acquire_lease("leases", "accounts/a|b", 60)
    assert other is not None and other != lease
    assert not await blobs.renew_lease("leases", "accounts/a|b", lease)
    await blobs.release_lease("leases", "accounts/a|b", lease)
    assert await blobs.acquire_lease("leases", "accounts/a|b", 60) is None


async def test_one_of_several_concurrent_callers_gets_the_lease(blobs: Blobs) -> None:
    """This holds on first use too, when the container and the blob are created."""
    leases = await asyncio.gather(*(blobs.acquire_lease("leases", "x", 60) for _ in range(5)))
    assert sum(lease is not None for lease in leases) == 1


async def test_a_blob_is_read_as_it_was_stored(azurite: Azurite) -> None:
    """Content-Encoding is untrusted, so a wrong one or a decompression bomb does no harm."""
    real, direct = AzureBlobs(azurite.blob_uri), BlobServiceClient(azurite.blob_uri, credential=key(azurite))
    async with direct:
        await direct.create_container("inbox")
        blob = direct.get_blob_client("inbox", "d/evil.txt")
        await blob.upload_blob(b"not gzip", content_settings=ContentSettings(content_encoding="gzip"))
        assert await real.read("inbox", "d/evil.txt") == b"not gzip"
        assert await real.read_range("inbox", "d/evil.txt", 4, 9) == b"gzip"
    await real.close()


async def test_a_finished_source_with_a_snapshot_or_a_lease(azurite: Azurite) -> None:
    """Snapshots are deleted with their blob. A blob that another client leases stays, without an error."""
    real, direct = AzureBlobs(azurite.blob_uri), BlobServiceClient(azurite.blob_uri, credential=key(azurite))
    async with direct:
        etag = await real.create("inbox", "d/a.txt", b"x", TEXT)
        blob = direct.get_blob_client("inbox", "d/a.txt")
        lease = await blob.acquire_lease(60)
        assert not await real.delete("inbox", "d/a.txt", etag)
        await lease.release()
        await blob.create_snapshot()
        assert await real.delete("inbox", "d/a.txt", etag)
        assert await real.stat("inbox", "d/a.txt") is None
    await real.close()


async def test_an_archived_blob_is_listed_but_neither_read_nor_copied(
    blobs: Blobs, request: pytest.FixtureRequest
) -> None:
    """Reads are refused with Azure's code and a reason for its owner; stat and delete work."""
    etag = await blobs.create("inbox", "d/a.txt", b"x", TEXT)
    if isinstance(blobs, MemoryBlobs):
        blobs.refuse("inbox", "d/a.txt", "BlobArchived")
    else:
        azurite: Azurite = request.getfixturevalue("azurite")
        async with BlobServiceClient(azurite.blob_uri, credential=key(azurite)) as direct:
            await direct.get_blob_client("inbox", "d/a.txt").set_standard_blob_tier("Archive")
    for attempt in (
        blobs.read("inbox", "d/a.txt"),
        blobs.read("inbox", "d/a.txt", etag),
        blobs.read_range("inbox", "d/a.txt", 0, 9),
        blobs.copy("inbox", "d/a.txt", etag, "failed", "a.txt"),
    ):
        with pytest.raises(BlobRefused) as caught:
            await attempt
        assert caught.value.code == "BlobArchived"
        assert caught.value.reason
    found = (await blobs.list("inbox", None, 10)).items
    assert [item.name for item in found] == ["d/a.txt"]
    assert await blobs.stat("inbox", "d/a.txt") == found[0]
    assert await blobs.delete("inbox", "d/a.txt", found[0].etag)
