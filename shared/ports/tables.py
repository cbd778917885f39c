"""Rows in partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

Value = str | int | float | bool | datetime


@dataclass(frozen=True)
class Row:
    """A table row. `written_at` is the server's time of its last change."""

    key: str
    values: Mapping[str, Value]
    etag: str
    written_at: datetime


@dataclass(frozen=True)
class Page:
    """Rows in key order, whether more follow, and the server's time of the answer."""

    rows: tuple[Row, ...]
    more: bool
    server_time: datetime


@dataclass(frozen=True)
class Keys:
    """Keys of rows in their order, and whether more follow."""

    keys: tuple[str, ...]
    more: bool


@dataclass(frozen=True)
class Insert:
    """Write a row that must not exist yet."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Replace:
    """Write a row: replace that version of it if an ETag is named, else any version or none."""

    key: str
    values: Mapping[str, Value]
    etag: str | None


@dataclass(frozen=True)
class Remove:
    """Delete that version of a row."""

    key: str
    etag: str


class Tables(Protocol):
    """Rows in partitions. The first use creates a table. Every call ends within seconds.

    Every method may raise StorageError.
    """

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """Return one row, or None. Safe to repeat."""
        ...

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        """Return rows with start <= key < stop, in key order, at most `limit`. Safe to repeat."""
        ...

    async def keys(self, table: str, partition: str, start: str, stop: str, limit: int) -> Keys:
        """Return the keys of the rows of `page`, for a sixth of its CPU time. Safe to repeat."""
        ...

    async def write(
        self, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> tuple[str, ...]:
        """Make all changes or none (at most 100, in one partition). Return the new ETags, empty for a Remove.

        Not safe to repeat: repeating a write that took effect raises.
        Raises AlreadyExists for an Insert, Changed for a stale Replace or Remove.
        """
        ...
