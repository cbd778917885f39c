"""Writes of one moment share a transaction, and each still succeeds or fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.documents.grouped_writes import Change, GroupedWrites
from shared.errors import AlreadyExists, Changed, StorageError
from shared.ports import Insert, Remove, Replace
from tests.fakes.clock import VirtualClock
from tests.fakes.tables import MemoryTables

MOMENT = 0.2


@dataclass
class World:
    """A table behind the groups, and the sizes of its transactions."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    transactions: list[int] = field(default_factory=list)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.tables = MemoryTables(self.clock)
        write = self.tables.write

        async def counted(table: str, partition: str, changes: Sequence[Change]) -> tuple[str, ...]:
            self.transactions.append(len(changes))
            if self.error is not None:
                raise self.error
            return await write(table, partition, changes)

        self.tables.write = counted  # type: ignore[method-assign]
        self.groups = GroupedWrites(self.tables, "documents", self.clock)

    async def write(self, *changes: Change, apart: float = MOMENT) -> tuple[str, ...]:
        return await self.groups.write("clauses", changes, apart=apart)

    async def values(self, key: str) -> Any:
        row = await self.tables.get("documents", "clauses", key)
        return row and row.values["n"]


def row(number: int) -> Insert:
    return Insert(f"w {number}", {"n": number})


async def test_what_comes_in_one_moment_is_one_transaction() -> None:
    """Thirty writes of two rows each: 60 rows at once, and each caller gets its own two ETags."""
    world = World()
    etags = await asyncio.gather(*(world.write(row(2 * each), row(2 * each + 1)) for each in range(30)))
    assert world.transactions == [60]
    for number in range(60):
        found = await world.tables.get("documents", "clauses", f"w {number}")
        assert found is not None and found.etag == etags[number // 2][number % 2]


async def test_a_transaction_has_at_most_a_hundred_rows_and_no_row_twice() -> None:
    """Azure refuses both. The order of two writes to one row is kept."""
    world = World()
    await asyncio.gather(*(world.write(row(number)) for number in range(130)))
    first, second = Replace("w 1", {"n": -1}, None), Replace("w 1", {"n": -2}, None)
    await asyncio.gather(world.write(first), world.write(second), world.write(row(200)))
    assert world.transactions == [100, 30, 1, 2]
    assert await world.values("w 1") == -2


@pytest.mark.parametrize("apart", [0.0, MOMENT])
async def test_one_conflict_fails_one_write(apart: float) -> None:
    """The others of its group are written, and nobody learns of it but its own caller."""
    world = World()
    await world.write(row(1))
    outcomes = await asyncio.gather(
        world.write(row(1), apart=apart),
        world.write(row(2), apart=apart),
        world.write(Remove("w 3", "v9"), apart=apart),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [AlreadyExists, tuple, Changed]
    assert await world.values("w 2") == 2


async def test_an_unknown_outcome_is_everybodys() -> None:
    """Nothing says which of them took effect, so nothing is repeated."""
    world = World(error=StorageError("table storage did not answer"))
    outcomes = await asyncio.gather(*(world.write(row(each)) for each in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageError] * 3
    assert world.transactions == [3]


async def test_a_caller_that_ends_takes_no_other_write_with_it() -> None:
    """The one that sends for all is cancelled while the transaction is on its way."""
    world = World()
    write, sent = world.tables.write, asyncio.Event()

    async def slow(table: str, partition: str, changes: Sequence[Change]) -> tuple[str, ...]:
        sent.set()
        await world.clock.sleep(5)
        return await write(table, partition, changes)

    world.tables.write = slow  # type: ignore[method-assign]
    first, second = asyncio.create_task(world.write(row(1))), asyncio.create_task(world.write(row(2)))
    await sent.wait()
    first.cancel()
    await second
    assert (await world.values("w 1"), await world.values("w 2")) == (1, 2)


async def test_a_write_that_comes_alone_does_not_wait() -> None:
    """Those that come soon after it wait for each other, and share the next transaction."""
    world = World()
    await world.write(row(1))
    assert world.clock.monotonic() == 0.0
    await asyncio.gather(world.write(row(2)), world.write(row(3)))
    assert (world.clock.monotonic(), world.transactions) == (MOMENT, [1, 2])


async def test_partitions_do_not_wait_for_each_other() -> None:
    """A transaction has one partition."""
    world = World()
    await world.write(row(1))
    await world.groups.write("letters", [row(1)], apart=MOMENT)
    assert world.transactions == [1, 1]
    assert world.clock.monotonic() == 0.0
