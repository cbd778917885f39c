"""Tables in memory."""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from datetime import timedelta

from shared.errors import AlreadyExists, Changed, StorageError
from shared.ports import Clock, Insert, Keys, Page, Remove, Replace, Row


class MemoryTables:
    """An implementation of `shared.ports.Tables` in memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._partitions: dict[tuple[str, str], dict[str, Row]] = {}
        self._keys: dict[tuple[str, str], list[str]] = {}  # sorted
        self._etags = itertools.count(1)

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        return self._rows(table, partition).get(key)

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        keys, more = self._between(table, partition, start, stop, limit)
        rows = self._rows(table, partition)
        # A response's Date has whole seconds.
        server_time = self._clock.now().replace(microsecond=0)
        return Page(tuple([rows[key] for key in keys]), more, server_time)

    async def keys(self, table: str, partition: str, start: str, stop: str, limit: int) -> Keys:
        keys, more = self._between(table, partition, start, stop, limit)
        return Keys(tuple(keys), more)

    async def write(
        self, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> tuple[str, ...]:
        keys = {change.key for change in changes}
        assert len(keys) == len(changes) <= 100, "Azure refuses such a transaction: it has 100 rows at most"
        rows = self._rows(table, partition)
        for change in changes:  # all or none
            _check(rows, change)
        return tuple(self._apply((table, partition), change) for change in changes)

    def lose(self, *tables: str) -> None:
        """Delete these tables from outside."""
        for table, partition in [key for key in self._partitions if key[0] in tables]:
            del self._partitions[table, partition]
            self._keys.pop((table, partition), None)

    def _between(
        self, table: str, partition: str, start: str, stop: str, limit: int
    ) -> tuple[list[str], bool]:
        keys = self._keys.get((table, partition))
        if keys is None:
            keys = self._keys[table, partition] = sorted(self._rows(table, partition))
        first, last = bisect_left(keys, start), bisect_left(keys, stop)
        return keys[first : min(last, first + limit)], last - first > limit

    def _rows(self, table: str, partition: str) -> dict[str, Row]:
        return self._partitions.setdefault((table, partition), {})

    def _apply(self, partition: tuple[str, str], change: Insert | Replace | Remove) -> str:
        rows, keys, key = self._partitions[partition], self._keys.get(partition), change.key
        if isinstance(change, Remove):
            del rows[key]
            if keys is not None:
                del keys[bisect_left(keys, key)]
            return ""
        if keys is not None and key not in rows:
            insort(keys, key)
        etag = f"v{next(self._etags)}"
        rows[key] = Row(key, dict(change.values), etag, self._clock.now())
        return etag


def _check(rows: Mapping[str, Row], change: Insert | Replace | Remove) -> None:
    values = () if isinstance(change, Remove) else change.values.values()
    if any(isinstance(each, str) and len(each) > _LONGEST for each in values):
        raise StorageError("a column is too long", code="PropertyValueTooLarge")
    match change:
        case Insert(key) if key in rows:
            raise AlreadyExists("a row of that key is there already")
        case Replace(key, _, etag) if etag is not None and (key not in rows or rows[key].etag != etag):
            raise Changed("the row is not the version that was named")
        case Remove(key, etag) if key not in rows or rows[key].etag != etag:
            raise Changed("the row is not the version that was named")


_LONGEST = 32_768  # characters of a text column, as in Azure
SKEW = timedelta(seconds=2)
"""Largest difference between a server's Date, in whole seconds, and a row's time."""
