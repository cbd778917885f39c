"""Sources in storage accounts, on Azurite: rows of a table with their target, and files of a container."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from azure.data.tables.aio import TableServiceClient

from local.azurite import Azurite
from shared.adapters.blobs import AzureBlobs
from shared.adapters.credentials import storage_credential
from shared.adapters.sources import SourceConnections
from shared.errors import Changed, Missing, SourceError
from shared.model import ContainerSource, TableSource
from shared.model.records import Column
from shared.ports import AnsweredRow

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


async def test_rows_of_a_table_are_read_by_pages_and_answered_in_another(azurite: Azurite) -> None:
    """Without a key and a version: PartitionKey/RowKey, and the time of the row's last change."""
    connections = SourceConnections()
    text = ("# ", Column("title"), "\n", Column("stars"))
    rows = connections.rows(TableSource(azurite.table_uri, "reviews", text, "answers"))
    with pytest.raises(SourceError, match="the table reviews is not there"):
        await rows.page("", 10)
    service = TableServiceClient(azurite.table_uri, credential=storage_credential(azurite.table_uri))
    async with service:
        table = await service.create_table("reviews")
        for number in range(7):
            keys = {"PartitionKey": "2026", "RowKey": f"r{number}"}
            await table.create_entity({**keys, "title": f"it's {number}", "stars": number})
        (missing,) = await rows.check()
        assert not missing.works and "az storage table create" in missing.remedy
        await service.create_table("answers")
        assert [fact.works for fact in await rows.check()] == [True]
        found, start = {}, ""
        while True:
            page = await rows.page(start, 3)
            wanted = [row.key for row in page.rows]
            found |= {row.key: row for row in await rows.texts(page, wanted)}
            assert {row.key: row.version for row in page.rows}.items() <= {
                row.key: row.version for row in found.values()
            }.items()
            start = page.next
            if not start:
                break
        assert len(found) == 7 and found["2026/r3"].text == "# it's 3\n3"
        await table.upsert_entity({"PartitionKey": "2026", "RowKey": "r3", "title": "new"})
        changed = {row.key: row.version for row in (await rows.page("", 100)).rows}
        assert [key for key, row in found.items() if changed[key] != row.version] == ["2026/r3"]
        answers = [
            AnsweredRow("2026/r3", "v#1", '"fine"', None, AT),
            AnsweredRow("2026/r4", "", None, "content_filter: no", AT),
            AnsweredRow("2026/r5", "", f'"{"x" * 40_000}"', None, AT),
        ]
        assert await rows.write(answers) == await rows.write(answers) == 1
        stored = {each["key"]: each async for each in service.get_table_client("answers").list_entities()}
        assert stored.keys() == {"2026/r3", "2026/r4"}
        assert (stored["2026/r3"]["version"], stored["2026/r3"]["answer"]) == ("v#1", '"fine"')
        assert stored["2026/r4"]["error"] == "content_filter: no" and "answer" not in stored["2026/r4"]
    by_title = connections.rows(
        TableSource(azurite.table_uri, "reviews", text, "answers", key="title", version="stars")
    )
    assert ("it's 6", "6") in [(row.key, row.version) for row in (await by_title.page("", 100)).rows]
    await connections.close()


async def test_files_are_listed_by_prefix_and_read_in_ranges_of_one_version(azurite: Azurite) -> None:
    """As they are stored, and only in the version that was listed."""
    blobs, connections = AzureBlobs(azurite.blob_uri), SourceConnections()
    for name in ("in/a.txt", "in/b.txt", "in/c.txt", "out/d.txt"):
        await blobs.create("theirs", name, name.encode() * 3, "text/plain")
    folder = connections.folder(ContainerSource(azurite.blob_uri, "theirs", "in/"))
    first = await folder.page(None, 2)
    second = await folder.page(first.token, 2)
    assert [item.name for item in (*first.items, *second.items)] == ["in/a.txt", "in/b.txt", "in/c.txt"]
    item = first.items[0]
    assert item == await blobs.stat("theirs", "in/a.txt") and second.token is None
    pieces = [await folder.read_range(item.name, at, 10, item.etag) for at in (0, 10, 20, 30)]
    assert b"".join(pieces) == b"in/a.txt" * 3 and pieces[-1] == b""
    await blobs.delete("theirs", item.name, item.etag)
    with pytest.raises((Missing, Changed)):
        await folder.read_range(item.name, 0, 10, item.etag)
    await blobs.create("theirs", item.name, b"another", "text/plain")
    with pytest.raises(Changed):
        await folder.read_range(item.name, 0, 10, item.etag)
    await connections.close()
    await blobs.close()
