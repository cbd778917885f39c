"""Listings are read by our own parser or by the SDK's, with the same items."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from shared.adapters import listing
from shared.adapters.blobs import AzureBlobs
from shared.errors import StorageError
from shared.ports import BlobItem, BlobPage

_BLOB = (
    "<Blob><Name{mark}>{name}</Name><Properties><Last-Modified>Wed, 25 Nov 2026 13:00:01 GMT</Last-Modified>"
    "<Etag>0x8DC{size}</Etag><Content-Length>{size}</Content-Length><BlobType>BlockBlob</BlobType>{more}"
    "</Properties>{metadata}</Blob>"
)
ANSWER = (
    '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="inbox">'
    "<Blobs>"
    + _BLOB.format(mark="", name="a&amp;b.txt", size=3, more="", metadata="<Metadata />")
    + _BLOB.format(mark=' Encoded="true"', name="odd%EF%BF%BF.txt", size=4, more="", metadata="")
    + _BLOB.format(
        mark="",
        name="archived.txt",
        size=5,
        more="<AccessTier>Archive</AccessTier><ArchiveStatus>rehydrate-pending-to-hot</ArchiveStatus>",
        metadata="",
    )
    + _BLOB.format(
        mark="",
        name="folder",
        size=0,
        more="",
        metadata="<Metadata><Hdi_isfolder>true</Hdi_isfolder></Metadata>",
    )
    + "</Blobs><NextMarker>next</NextMarker></EnumerationResults>"
).encode()
AT = datetime(2026, 11, 25, 13, 0, 1, tzinfo=UTC)
PAGE = BlobPage(
    (
        BlobItem("a&b.txt", "0x8DC3", 3, AT),
        BlobItem("odd\uffff.txt", "0x8DC4", 4, AT),
        BlobItem("archived.txt", "0x8DC5", 5, AT, archived=True),
        BlobItem("folder", "0x8DC0", 0, AT, is_folder=True),
    ),
    "next",
)


@pytest.mark.parametrize("lost", [0, 1], ids=["at once", "after a lost connection"])
async def test_both_parsers_read_the_same_page(lost: int) -> None:
    """After a lost connection the SDK repeats the request without our hook, and parses the answer itself."""
    connections = list[None]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(None)
        await reader.readuntil(b"\r\n\r\n")
        if len(connections) > lost:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(ANSWER)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + ANSWER)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        blobs = AzureBlobs(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/devstoreaccount1")
        assert await blobs.list("inbox", None, 10) == PAGE
        await blobs.close()
    assert len(connections) == lost + 1


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"<html><body /></html>", b"<a><Blobs><Blob><Name>x</Name></Blob></Blobs></a>"]
)
def test_an_invalid_listing_is_a_storage_error(body: bytes) -> None:
    """An answer of a proxy, for example, is an error and not an empty inbox."""
    with pytest.raises(StorageError):
        listing.read_page(body)
