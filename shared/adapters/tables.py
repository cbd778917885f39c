"""Read and write rows through azure-data-tables. Integers are stored with 64 bits, times in UTC.

Every call ends within seconds, and Azure's error code decides which error it raises
(`shared.adapters.storage`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import EdmType, EntityProperty, TableEntity, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.adapters.credentials import storage_credential
from shared.adapters.storage import RETRIES, Call, Limits, Transport, call, says
from shared.errors import AlreadyExists, Changed, Missing
from shared.ports import Insert, Keys, Page, Remove, Replace, Row, Value

T = TypeVar("T")
Change = Insert | Replace | Remove

_ABSENT = frozenset({"EntityNotFound", "ResourceNotFound"})
# Azure's SDK does not repeat a POST after a broken connection. Here it may: each change is an insert, names
# the version that it replaces, or may be repeated.
_REPEATED = {"retry_on_methods": ("POST",)}
_SYSTEM = ("PartitionKey", "RowKey", "Timestamp")


class _Between(NamedTuple):
    """Rows of a partition with start <= key < stop, at most `limit`."""

    partition: str
    start: str
    stop: str
    limit: int


class AzureTables:
    """The implementation of `shared.ports.Tables` on one storage account."""

    def __init__(self, url: str, limits: Limits = Limits()) -> None:  # noqa: B008 - it is frozen
        self._limits = limits
        self._service = TableServiceClient(
            url, credential=storage_credential(url), transport=Transport(limits), retry_total=RETRIES
        )
        self._clients: dict[str, TableClient] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """See the port."""
        async with self._call(table):
            try:
                return _row(await self._table(table).get_entity(partition, key))
            except HttpResponseError as error:
                # A table does not exist before the first write to it.
                if not says(error, {*_ABSENT, "TableNotFound"}):
                    raise
                return None

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        """See the port."""
        times: list[datetime] = []

        def note_time(response: Any) -> None:
            times.append(parsedate_to_datetime(response.http_response.headers["Date"]))

        between = _Between(partition, start, stop, limit)
        found, more = await self._entities(table, between, raw_response_hook=note_time)
        # No row can have been read before the time of the first answer.
        return Page(tuple([_row(entity) for entity in found]), more, times[0])

    async def keys(self, table: str, partition: str, start: str, stop: str, limit: int) -> Keys:
        """See the port."""
        between = _Between(partition, start, stop, limit)
        found, more = await self._entities(table, between, select=["RowKey"])
        return Keys(tuple([entity["RowKey"] for entity in found]), more)

    async def _entities(
        self, table: str, between: _Between, **options: Any
    ) -> tuple[list[TableEntity], bool]:
        """Return entities, and whether more follow."""
        parameters = {"partition": between.partition, "start": between.start, "stop": between.stop}

        async def entities() -> tuple[list[TableEntity], bool]:
            pages = self._table(table).query_entities(
                "PartitionKey eq @partition and RowKey ge @start and RowKey lt @stop",
                parameters=parameters,
                results_per_page=between.limit,
                **options,
            )
            by_page, found = pages.by_page(), list[TableEntity]()
            async for page in by_page:
                found += [entity async for entity in page]
                # Azure may return fewer rows than requested, even none, with a token for the rest.
                if len(found) >= between.limit:
                    return found, bool(by_page.continuation_token)  # type: ignore[attr-defined]
            return found, False

        async with self._call(table):
            return await self._with_table(table, entities)

    async def write(self, table: str, partition: str, changes: Sequence[Change]) -> tuple[str, ...]:
        """See the port.

        A try whose answer was lost may have taken effect, and the next try then finds its own rows. So after
        more than one try, rows that already hold the wanted values count as written. Without a next try (a
        time-out of the call) the outcome is unknown.
        """

        async def one() -> tuple[str, ...]:
            return (await self._write_one(self._table(table), partition, changes[0]),)

        async def all_or_none() -> tuple[str, ...]:
            operations = [_operation(partition, change) for change in changes]
            written = await self._table(table).submit_transaction(operations, **_REPEATED)
            return tuple(str(response.get("etag") or "") for response in written)

        try:
            async with self._call(table) as running:
                return await self._with_table(table, one if len(changes) == 1 else all_or_none)
        except (AlreadyExists, Changed, Missing) as error:
            if running.repeated and (etags := await self._as_written(table, partition, changes)) is not None:
                return etags
            if isinstance(error, Missing):
                raise Changed(str(error), code=error.code) from error
            raise

    async def _as_written(
        self, table: str, partition: str, changes: Sequence[Change]
    ) -> tuple[str, ...] | None:
        """Return the ETags of the rows if all changes are already in effect, else None."""
        etags = []
        for change in changes:
            row = await self.get(table, partition, change.key)
            if isinstance(change, Remove):
                wanted = row is None
            else:
                wanted = row is not None and dict(row.values) == dict(change.values)
            if not wanted:
                return None
            etags.append(row.etag if row is not None else "")
        return tuple(etags)

    def _call(self, table: str) -> AbstractAsyncContextManager[Call]:
        return call("table storage", table, self._limits.call)

    def _table(self, table: str) -> TableClient:
        # Kept: the SDK builds a whole pipeline for each client.
        if table not in self._clients:
            self._clients[table] = self._service.get_table_client(table)
        return self._clients[table]

    async def _write_one(self, client: TableClient, partition: str, change: Change) -> str:
        match change:
            case Insert(key, values):
                written = await client.create_entity(_entity(partition, key, values), **_REPEATED)
            case Replace(key, values, None):
                written = await client.upsert_entity(_entity(partition, key, values), mode=UpdateMode.REPLACE)
            case Replace(key, values, etag):
                written = await client.update_entity(
                    _entity(partition, key, values),
                    mode=UpdateMode.REPLACE,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
            case Remove():
                # As a transaction: the SDK's delete reports success if the row does not exist.
                await client.submit_transaction([_operation(partition, change)], **_REPEATED)
                return ""
        return str(written["etag"])

    async def _with_table(self, table: str, action: Callable[[], Awaitable[T]]) -> T:
        """Run the action; if the table does not exist yet, create it and run the action again."""
        try:
            return await action()
        except HttpResponseError as error:
            if not says(error, {"TableNotFound"}):
                raise
        try:
            await self._service.create_table(table)
        except HttpResponseError as error:
            if not says(error, {"TableAlreadyExists"}):
                raise
        return await action()


def _operation(partition: str, change: Change) -> Any:
    match change:
        case Insert(key, values):
            return ("create", _entity(partition, key, values))
        case Replace(key, values, None):
            return ("upsert", _entity(partition, key, values), {"mode": UpdateMode.REPLACE})
        case Replace(key, values, etag):
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            return ("update", _entity(partition, key, values), {"mode": UpdateMode.REPLACE, **condition})
        case Remove(key, etag):
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            return ("delete", {"PartitionKey": partition, "RowKey": key}, condition)


def _entity(partition: str, key: str, values: Mapping[str, Value]) -> dict[str, Any]:
    written: dict[str, Any] = {"PartitionKey": partition, "RowKey": key}
    for name, value in values.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        written[name] = EntityProperty(value, EdmType.INT64) if whole else value
    return written


def _row(entity: TableEntity) -> Row:
    values = {name: _value(value) for name, value in entity.items() if name not in _SYSTEM}
    written_at = entity.metadata["timestamp"]
    assert written_at is not None
    return Row(entity["RowKey"], values, str(entity.metadata["etag"]), _utc(written_at))


def _value(value: Any) -> Value:
    if isinstance(value, EntityProperty):
        value = value.value
    if isinstance(value, datetime):
        return _utc(value)
    assert isinstance(value, str | int | float | bool)
    return value


def _utc(at: datetime) -> datetime:
    return datetime.fromtimestamp(at.timestamp(), UTC)
