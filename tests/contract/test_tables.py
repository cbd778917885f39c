"""The same tests run on tables in memory, and on Azurite through the real SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from local.azurite import Azurite
from shared.adapters.tables import AzureTables
from shared.errors import AlreadyExists, Changed
from shared.ports import Insert, Keys, Remove, Replace, Tables
from tests.fakes.clock import VirtualClock
from tests.fakes.tables import SKEW, MemoryTables

AWKWARD = "subscriptions|a|b~x y.z"  # the characters of our own keys


@pytest.fixture(params=["memory", "azurite"])
async def tables(request: pytest.FixtureRequest) -> AsyncIterator[Tables]:
    if request.param == "memory":
        yield MemoryTables(VirtualClock(datetime.now(UTC)))
        return
    azurite: Azurite = request.getfixturevalue("azurite")
    real = AzureTables(azurite.table_uri)
    yield real
    await real.close()


async def test_values_are_read_back_with_their_types(tables: Tables) -> None:
    """Strings, large integers, fractions, booleans and times keep their values and types."""
    at = datetime(2026, 11, 22, 14, 30, 15, 123456, tzinfo=UTC)
    values = {"text": "ä 📄", "big": 5_000_000_000, "half": 0.5, "yes": True, "at": at, "empty": ""}
    etags = await tables.write("things", AWKWARD, [Insert(AWKWARD, values)])
    row = await tables.get("things", AWKWARD, AWKWARD)
    assert row is not None
    assert dict(row.values) == values
    assert row.etag == etags[0]
    assert row.written_at.tzinfo is not None


async def test_a_missing_row_is_none(tables: Tables) -> None:
    """Neither a missing table nor a missing row is an error."""
    assert await tables.get("nothing", "p", "k") is None
    assert (await tables.page("nothing", "p", "a", "z", 10)).rows == ()
    assert (await tables.keys("nothing", "p", "a", "z", 10)).keys == ()


async def test_a_row_is_inserted_once(tables: Tables) -> None:
    """The second insert of a key raises and changes nothing."""
    await tables.write("things", "p", [Insert("k", {"n": 1})])
    with pytest.raises(AlreadyExists):
        await tables.write("things", "p", [Insert("k", {"n": 2})])
    row = await tables.get("things", "p", "k")
    assert row is not None and row.values["n"] == 1


async def test_one_of_two_writers_with_the_same_version_succeeds(tables: Tables) -> None:
    """Compare-and-swap: the second replace with the same ETag raises Changed."""
    (etag,) = await tables.write("things", "p", [Insert("k", {"n": 1})])
    (newer,) = await tables.write("things", "p", [Replace("k", {"n": 2}, etag)])
    assert newer != etag
    with pytest.raises(Changed):
        await tables.write("things", "p", [Replace("k", {"n": 3}, etag)])
    await tables.write("things", "p", [Replace("k", {"n": 4}, newer)])
    row = await tables.get("things", "p", "k")
    assert row is not None and row.values["n"] == 4


async def test_a_replace_drops_columns_that_it_does_not_name(tables: Tables) -> None:
    """None is stored as a missing column, so a replace must not merge."""
    await tables.write("things", "p", [Replace("k", {"a": 1, "b": 2}, None)])
    await tables.write("things", "p", [Replace("k", {"a": 3}, None)])
    row = await tables.get("things", "p", "k")
    assert row is not None and dict(row.values) == {"a": 3}


async def test_changing_a_removed_row_raises_changed(tables: Tables) -> None:
    """Replacing or removing a version that was removed meanwhile raises Changed."""
    (etag,) = await tables.write("things", "p", [Insert("k", {"n": 1})])
    await tables.write("things", "p", [Remove("k", etag)])
    assert await tables.get("things", "p", "k") is None
    with pytest.raises(Changed):
        await tables.write("things", "p", [Replace("k", {"n": 2}, etag)])
    with pytest.raises(Changed):
        await tables.write("things", "p", [Remove("k", etag)])


async def test_a_stale_remove_removes_nothing(tables: Tables) -> None:
    """Removing an older version raises and leaves the newer one."""
    (etag,) = await tables.write("things", "p", [Insert("k", {"n": 1})])
    await tables.write("things", "p", [Replace("k", {"n": 2}, etag)])
    with pytest.raises(Changed):
        await tables.write("things", "p", [Remove("k", etag)])
    assert await tables.get("things", "p", "k") is not None


async def test_a_transaction_is_all_or_nothing(tables: Tables) -> None:
    """If one of several changes fails, none takes effect."""
    (etag,) = await tables.write("things", "p", [Insert("w", {"n": 1})])
    await tables.write("things", "p", [Replace("w", {"n": 2}, etag)])
    with pytest.raises(Changed):
        await tables.write("things", "p", [Insert("d", {"n": 1}), Remove("w", etag)])
    assert await tables.get("things", "p", "d") is None
    with pytest.raises(AlreadyExists):
        await tables.write("things", "p", [Insert("d", {"n": 1}), Insert("w", {"n": 1})])
    assert await tables.get("things", "p", "d") is None


async def test_a_transaction_returns_an_etag_for_each_change(tables: Tables) -> None:
    """The new ETags work in the next compare-and-swap."""
    etags = await tables.write("things", "p", [Insert("a", {"n": 1}), Insert("b", {"n": 1})])
    final = await tables.write("things", "p", [Replace("a", {"n": 2}, etags[0]), Remove("b", etags[1])])
    assert final[1] == ""
    await tables.write("things", "p", [Replace("a", {"n": 3}, final[0])])


async def test_pages_come_in_key_order_with_more_to_follow(tables: Tables) -> None:
    """A page holds the first rows of the range and says whether more follow."""
    for key in ("w 3", "w 1", "d 9", "w 2", "x 1"):
        await tables.write("things", "p", [Insert(key, {"n": 1})])
    assert await tables.keys("things", "p", "w ", "w ~", 2) == Keys(("w 1", "w 2"), more=True)
    assert await tables.keys("things", "p", "w 2 ", "w ~", 2) == Keys(("w 3",), more=False)
    first = await tables.page("things", "p", "w ", "w ~", 2)
    assert ([row.key for row in first.rows], first.more) == (["w 1", "w 2"], True)
    rest = await tables.page("things", "p", "w 2 ", "w ~", 2)
    assert ([row.key for row in rest.rows], rest.more) == (["w 3"], False)


async def test_a_page_carries_the_servers_time(tables: Tables) -> None:
    """A page's time and its rows' times come from the same clock, so ages can be computed."""
    await tables.write("things", "p", [Insert("k", {"n": 1})])
    page = await tables.page("things", "p", "a", "z", 10)
    assert abs(page.server_time - page.rows[0].written_at) < SKEW


async def test_concurrent_first_writes_create_a_table_once(tables: Tables) -> None:
    """Several concurrent first writes lose no row."""
    await asyncio.gather(*(tables.write("fresh", "p", [Insert(f"k{n}", {"n": n})]) for n in range(8)))
    assert len((await tables.page("fresh", "p", "k", "l", 100)).rows) == 8
