"""Connect to sources. What a kind of source needs is imported when one of that kind is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import SourceError
from shared.model import ContainerSource, DatabaseSource, RowSource
from shared.ports import Folder, Rows

if TYPE_CHECKING:
    from shared.adapters.database import Database
    from shared.adapters.source_files import AzureFolder
    from shared.adapters.source_tables import SourceTable


class SourceConnections:
    """The implementation of `shared.ports.Connections`: one connection a source."""

    def __init__(self) -> None:
        self._rows: dict[RowSource, Database | SourceTable] = {}
        self._folders: dict[ContainerSource, AzureFolder] = {}

    def rows(self, source: RowSource) -> Rows:
        """See the port."""
        if source not in self._rows:
            self._rows[source] = _database(source) if isinstance(source, DatabaseSource) else _table(source)
        return self._rows[source]

    def folder(self, source: ContainerSource) -> Folder:
        """See the port."""
        if source not in self._folders:
            from shared.adapters.source_files import AzureFolder

            self._folders[source] = AzureFolder(source)
        return self._folders[source]

    async def close(self) -> None:
        """Close the connections."""
        for connection in (*self._rows.values(), *self._folders.values()):
            await connection.close()


def _database(source: DatabaseSource) -> Database:
    try:
        from shared.adapters.database import Database
    except ImportError as error:
        raise SourceError(
            f"the package {error.name} is missing, which databases need",
            "pip install -r requirements-databases.txt, and deploy the app with it (docs/sources.md)",
        ) from error
    return Database(source)


def _table(source: RowSource) -> SourceTable:
    from shared.adapters.source_tables import SourceTable

    assert not isinstance(source, DatabaseSource)
    return SourceTable(source)
