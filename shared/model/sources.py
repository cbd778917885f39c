"""Sources: where a deployment's documents and records lie, if nobody brings them to the inbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from shared.model.records import Column, Records

KEY, VERSION, TEXT = "key", "version", "text"
"""The columns of a record file that is made from rows; the first two stand in its result, too."""

OF_ROWS = Records(text=(Column(TEXT),), keep=(KEY, VERSION))
"""How the records of such a file are asked. It has no id: two versions of a row are no duplicates."""


@dataclass(frozen=True)
class ContainerSource:
    """The files of a container whose names begin with `prefix`. They stay there.

    `account`: the URL of the storage account's blobs.
    """

    account: str
    container: str
    prefix: str = ""

    @property
    def place(self) -> str:
        """Return what tells it from other sources. A file is known by its name and version there."""
        return f"{self.account}/{self.container}"


@dataclass(frozen=True)
class TableSource:
    """The rows of an Azure table. `account`: the URL of the storage account's tables.

    `text`: literal pieces and columns. `key`: a column; None: PartitionKey and RowKey. `version`: a column;
    None: the time of the row's last change. `target`: the table, in the same account, for the answers.
    """

    account: str
    table: str
    text: tuple[str | Column, ...]
    target: str
    key: str | None = None
    version: str | None = None

    @property
    def place(self) -> str:
        """Return what tells it from other sources: a row is known by its key and version in the target."""
        return f"{self.account}/{self.target}"


@dataclass(frozen=True)
class DatabaseSource:
    """The rows that a SELECT returns, and the table of the same database for the answers.

    `url`: without a password. `password`: empty if the app's identity signs in. `key`, `version`: columns;
    `text`: literal pieces and columns.
    """

    url: str
    select: str
    key: str
    text: tuple[str | Column, ...]
    version: str
    target: str
    password: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """Return what tells it from other sources: a row is known by its key and version in the target.

        Who signs in, and how, is not part of it.
        """
        return f"{self.url.partition('://')[2].rpartition('@')[2].partition('?')[0]}/{self.target}"


RowSource: TypeAlias = TableSource | DatabaseSource
Source: TypeAlias = ContainerSource | RowSource


def columns_of(text: tuple[str | Column, ...]) -> tuple[str, ...]:
    """Return the columns of a text, each once."""
    return tuple(dict.fromkeys(piece.name for piece in text if isinstance(piece, Column)))


def filled(text: tuple[str | Column, ...], values: dict[str, str]) -> str:
    """Return a text with the values of its columns."""
    return "".join(values.get(piece.name, "") if isinstance(piece, Column) else piece for piece in text)
