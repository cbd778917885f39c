"""Read the rows of an Azure table page by page, and write answers to another one of the same account.

Azure lists a table by PartitionKey and RowKey, with a token that continues. A page is read without its texts;
those of new rows are found by reading the page again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableServiceClient

from shared.adapters.credentials import storage_credential
from shared.adapters.storage import RETRIES, Limits, Transport, call
from shared.errors import ContainerMissing, SourceError, StorageError
from shared.model import TableSource
from shared.model.sources import columns_of, filled
from shared.ports import AnsweredRow, RowPage, SourceFact, SourceRow

_ALLOWED = re.compile(r"[A-Za-z0-9 _.,:;@+=()-]{1,200}")  # in a key, among others
_TEXT = 32_000  # characters of a property, at most


class SourceTable:
    """The implementation of `shared.ports.Rows` on a storage account."""

    def __init__(self, source: TableSource, limits: Limits = Limits()) -> None:  # noqa: B008 - it is frozen
        self._source = source
        self._limits = limits
        self._service = TableServiceClient(
            source.account,
            credential=storage_credential(source.account),
            transport=Transport(limits),
            retry_total=RETRIES,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()

    async def page(self, start: str, limit: int) -> RowPage:
        """See the port."""
        source = self._source
        columns = [column for column in (source.key, source.version) if column]
        found, following = await self._page(start, limit, ["PartitionKey", "RowKey", "Timestamp", *columns])
        return RowPage(tuple(self._row(entity) for entity in found), start, following)

    async def texts(self, page: RowPage, keys: Sequence[str]) -> Sequence[SourceRow]:
        """See the port."""
        wanted, used = set(keys), columns_of(self._source.text)
        found, _ = await self._page(page.start, len(page.rows), None)
        return [
            SourceRow(
                row.key, row.version, filled(self._source.text, {n: _shown(entity.get(n)) for n in used})
            )
            for entity in found
            if (row := self._row(entity)).key in wanted
        ]

    async def write(self, answers: Sequence[AnsweredRow]) -> int:
        """See the port. An answer that is longer than Azure admits is refused."""
        refused, target = 0, self._source.target
        async with self._calls(target):
            client = self._service.get_table_client(target)
            for answer in answers:
                if len(answer.answer or "") > _TEXT or len(answer.error or "") > _TEXT:
                    refused += 1
                    continue
                entity = {
                    "PartitionKey": _as_key(answer.key),
                    "RowKey": _as_key(answer.version),
                    "key": answer.key,
                    "version": answer.version,
                    "answered_at": answer.answered_at,
                    **({"answer": answer.answer} if answer.answer is not None else {}),
                    **({"error": answer.error} if answer.error is not None else {}),
                }
                await client.upsert_entity(entity, mode=UpdateMode.REPLACE)
        return refused

    async def check(self) -> Sequence[SourceFact]:
        """See the port."""
        await self._page("", 1, None)
        async with self._calls(self._source.target):
            names = [each.name async for each in self._service.list_tables()]
        if self._source.target not in names:
            remedy = f"make it: az storage table create --auth-mode login --name {self._source.target}"
            return [SourceFact(f"the target {self._source.target} is not there", remedy, False)]
        return [SourceFact("the table can be read, and the target is there")]

    async def _page(
        self, start: str, limit: int, select: list[str] | None
    ) -> tuple[list[Mapping[str, Any]], str]:
        token = json.loads(start) if start else None
        async with self._calls(self._source.table):
            entities = self._service.get_table_client(self._source.table).list_entities(
                results_per_page=min(limit, 1000), select=select
            )
            by_page = entities.by_page(continuation_token=token)
            try:
                page = await anext(by_page)
            except StopAsyncIteration:
                return [], ""
            found: list[Mapping[str, Any]] = [entity async for entity in page]
            following = by_page.continuation_token  # type: ignore[attr-defined]
        return found, json.dumps(following) if following else ""

    @asynccontextmanager
    async def _calls(self, table: str) -> AsyncIterator[None]:
        try:
            async with call("table storage", table, 3 * self._limits.call):
                yield
        except ContainerMissing as error:
            raise SourceError(f"the table {table} is not there", "make it, or correct its name") from error
        except StorageError as error:
            raise SourceError(str(error)) from error
        except HttpResponseError as error:
            raise SourceError(f"the table {table} refused: {error.status_code}") from error

    def _row(self, entity: Any) -> SourceRow:
        """Return a row without its text."""
        source = self._source
        key = f"{entity['PartitionKey']}/{entity['RowKey']}"  # neither may have a slash in it
        if source.key is not None:
            key = _shown(entity.get(source.key))
            if not key:
                raise SourceError(f"a row has no {source.key}", "leave `key` out: PartitionKey/RowKey is one")
        if source.version is not None:
            return SourceRow(key, _shown(entity.get(source.version)))
        at = entity.metadata["timestamp"]
        return SourceRow(key, str(getattr(at, "tables_service_value", None) or at.isoformat()))


def _as_key(text: str) -> str:
    """Return a text as a key: itself if Azure admits it, else its digest. The whole is in a property."""
    return text if _ALLOWED.fullmatch(text) else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _shown(value: Any) -> str:
    value = getattr(value, "value", value)
    return "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
