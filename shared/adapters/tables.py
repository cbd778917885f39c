"""Tables on azure-data-tables. Whole numbers are written as 64 bit, times as UTC."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import EdmType, EntityProperty, TableEntity, TableTransactionError, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.adapters.credentials import storage_credential
from shared.errors import AlreadyExists, Changed, StorageError
from shared.ports import Insert, Page, Remove, Replace, Row, Value

T = TypeVar("T")
Change = Insert | Replace | Remove

_SYSTEM = ("PartitionKey", "RowKey", "Timestamp")


class AzureTables:
    """Fulfils `shared.ports.Tables` on one storage account."""

    def __init__(self, url: str) -> None:
        self._service = TableServiceClient(url, credential=storage_credential(url), retry_total=3)

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        """See the port."""
        with _translated(table):
            try:
                return _row(await self._table(table).get_entity(partition, key))
            except ResourceNotFoundError:
                return None

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        """See the port."""
        times: list[datetime] = []

        def note_time(response: Any) -> None:
            times.append(parsedate_to_datetime(response.http_response.headers["Date"]))

        async def rows() -> tuple[list[Row], bool]:
            pages = self._table(table).query_entities(
                "PartitionKey eq @partition and RowKey ge @start and RowKey lt @stop",
                parameters={"partition": partition, "start": start, "stop": stop},
                results_per_page=limit,
                raw_response_hook=note_time,
            )
            by_page, found = pages.by_page(), list[Row]()
            async for page in by_page:
                found += [_row(entity) async for entity in page]
                # Azure may answer with fewer rows than asked for, even none, and a token to go on.
                if len(found) >= limit:
                    return found, bool(by_page.continuation_token)  # type: ignore[attr-defined]
            return found, False

        with _translated(table):
            found, more = await self._with_table(table, rows)
        # The first answer's time is the earliest at which any of these rows can have been read.
        return Page(tuple(found), more, times[0])

    async def write(self, table: str, partition: str, changes: Sequence[Change]) -> tuple[str, ...]:
        """See the port."""

        async def one() -> tuple[str, ...]:
            return (await self._write_one(self._table(table), partition, changes[0]),)

        async def all_or_none() -> tuple[str, ...]:
            operations = [_operation(partition, change) for change in changes]
            written = await self._table(table).submit_transaction(operations)
            return tuple(str(each.get("etag") or "") for each in written)

        with _translated(table):
            return await self._with_table(table, one if len(changes) == 1 else all_or_none)

    def _table(self, table: str) -> TableClient:
        return self._service.get_table_client(table)

    async def _write_one(self, client: TableClient, partition: str, change: Change) -> str:
        match change:
            case Insert(key, values):
                written = await client.create_entity(_entity(partition, key, values))
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
                # As a transaction, since the SDK's delete takes what is not there for success.
                await client.submit_transaction([_operation(partition, change)])
                return ""
        return str(written["etag"])

    async def _with_table(self, table: str, action: Callable[[], Awaitable[T]]) -> T:
        """Do it, and if the table is not there yet, make it and do it again."""
        try:
            return await action()
        except HttpResponseError as error:
            # Some calls of the SDK carry the code as an attribute, others in the message only.
            if getattr(error, "error_code", None) != "TableNotFound" and "TableNotFound" not in str(error):
                raise
        with contextlib.suppress(ResourceExistsError):
            await self._service.create_table(table)
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


@contextlib.contextmanager
def _translated(table: str) -> Iterator[None]:
    """Vendor errors → ours."""
    try:
        yield
    except AzureError as error:
        status = getattr(error, "status_code", None)
        if isinstance(error, TableTransactionError) and status is None:
            status = error.response.status_code if error.response else None
        if status == 409:
            raise AlreadyExists(f"a row of that key is in the table {table} already") from error
        if status in (404, 412):
            raise Changed(f"a row of the table {table} is not the version that was named") from error
        raise StorageError(f"table storage refused or did not answer ({table}): {_code(error)}") from error


def _code(error: AzureError) -> str:
    """Azure's own code, which some calls of the SDK leave in the answer; else the kind of error."""
    code = getattr(error, "error_code", None)
    if code is None and isinstance(error, HttpResponseError) and error.response is not None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            code = json.loads(error.response.text())["odata.error"]["code"]
    return str(getattr(code, "value", code) or type(error).__name__)
