"""Rows and files that are taken from where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.model import ContainerSource, RowSource
from shared.ports.blobs import BlobPage


@dataclass(frozen=True)
class SourceRow:
    """A row of a source. `version`: empty if the row has none. `text`: None if it was not read."""

    key: str
    version: str
    text: str | None = None


@dataclass(frozen=True)
class RowPage:
    """Rows without their texts, and where the next page starts; empty after the last one."""

    rows: tuple[SourceRow, ...]
    start: str
    next: str


@dataclass(frozen=True)
class AnsweredRow:
    """What is written to the target about a row. `answer`: JSON. Either it or `error` is None."""

    key: str
    version: str
    answer: str | None
    error: str | None
    answered_at: datetime


@dataclass(frozen=True)
class SourceFact:
    """One result of a check. `remedy`: empty if all is well. `works`: whether it can be used as it is."""

    what: str
    remedy: str = ""
    works: bool = True


class Rows(Protocol):
    """The rows of a database or table, and their target. Every call ends within a minute.

    Every method raises SourceError, and is safe to repeat.
    """

    async def page(self, start: str, limit: int) -> RowPage:
        """Return about `limit` rows by their keys, from `start` on; an empty one is the beginning.

        A row that exists all the time stands in one of the pages, or in several; see `texts` for its text.
        """
        ...

    async def texts(self, page: RowPage, keys: Sequence[str]) -> Sequence[SourceRow]:
        """Return rows of a page with their texts, as they are now; those that are gone are left out."""
        ...

    async def write(self, answers: Sequence[AnsweredRow]) -> int:
        """Insert or replace answers by key and version; return how many the target refuses for good."""
        ...

    async def check(self) -> Sequence[SourceFact]:
        """Return whether source and target can be used."""
        ...


class Folder(Protocol):
    """The files of a container that belong to somebody else. Nothing is ever written there.

    Every method raises StorageError, and is safe to repeat.
    """

    async def page(self, token: str | None, limit: int) -> BlobPage:
        """Return a page of at most `limit` files from `token` on."""
        ...

    async def read_range(self, name: str, start: int, size: int, etag: str) -> bytes:
        """Return at most `size` bytes of that version. Raises Missing, Changed, BlobRefused."""
        ...


class Connections(Protocol):
    """Connects to sources. A connection is made when it is first used."""

    def rows(self, source: RowSource) -> Rows:
        """Return the rows of a source. Raises SourceError if a package for it is missing."""
        ...

    def folder(self, source: ContainerSource) -> Folder:
        """Return the files of a source."""
        ...
