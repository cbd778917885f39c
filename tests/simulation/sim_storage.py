"""Storage as a simulated process meets it: the fakes behind latency, faults and crashes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from shared.documents.backlog import DOCUMENTS
from shared.errors import (
    AlreadyExists,
    StorageError,
)
from shared.ports import BlobItem, BlobPage, Insert, Keys, Page, Remove, Replace, Row
from shared.timing import TIMING
from tests.simulation.scenario import KILLS_READING

if TYPE_CHECKING:
    from tests.simulation.process import Process

T = TypeVar("T")


class _Storage:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    async def _call(self, what: str, act: Callable[[], T]) -> T:
        """Call a fake, with latency and faults around it. Fakes never wait, so their effect is immediate."""
        await self._process.arrive()
        trouble = self._world.weather.storage()
        if trouble is not None:
            self._world.trouble(f"{self._process.name} {what}: storage, {trouble}")
        if trouble in ("hangs", "hangs_and_does"):
            # The adapters give up a call after 10 to 30 s.
            patience = self._world.random.uniform(5, 30)
            self._world.disturbed(patience)
            await self._process.sleep(patience)
        if trouble in ("refused", "hangs"):
            raise StorageError(f"{what}: refused")
        result = act()
        if trouble in ("lost", "hangs_and_does"):
            raise StorageError(f"{what}: the answer was lost")
        await self._process.depart()
        return result


def _now(coroutine: Any) -> Any:
    """Return the result of a fake's coroutine, which awaits nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a fake awaited something")


class SimTables(_Storage):
    """An implementation of `shared.ports.Tables` with faults."""

    # These return the coroutine of `_call`: one of their own would be resumed at every step of it.

    def get(self, table: str, partition: str, key: str) -> Coroutine[Any, Any, Row | None]:
        tables = self._process.side.tables
        return self._call(f"get {table}", lambda: _now(tables.get(table, partition, key)))

    def page(
        self, table: str, partition: str, start: str, stop: str, limit: int
    ) -> Coroutine[Any, Any, Page]:
        tables, limit = self._process.side.tables, self._most(table, limit)
        return self._call(f"page {table}", lambda: _now(tables.page(table, partition, start, stop, limit)))

    def keys(
        self, table: str, partition: str, start: str, stop: str, limit: int
    ) -> Coroutine[Any, Any, Keys]:
        tables, limit = self._process.side.tables, self._most(table, limit)
        return self._call(f"keys {table}", lambda: _now(tables.keys(table, partition, start, stop, limit)))

    def _most(self, table: str, limit: int) -> int:
        """Return how many rows an answer has at most: few of documents, so that reads take several pages."""
        return min(limit, self._world.scenario.rows_a_page) if table == DOCUMENTS else limit

    def write(
        self, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> Coroutine[Any, Any, tuple[str, ...]]:
        def act() -> tuple[str, ...]:
            etags: tuple[str, ...] = _now(self._process.side.tables.write(table, partition, changes))
            self._world.judge.rows_written(self._process, table, partition, changes)
            return etags

        return self._call(f"write {table}", act)


class SimBlobs(_Storage):
    """An implementation of `shared.ports.Blobs` with faults."""

    async def list(self, container: str, token: str | None, limit: int) -> BlobPage:
        blobs = self._process.side.blobs
        limit = min(limit, self._world.scenario.blobs_a_page)
        return await self._call(f"list {container}", lambda: _now(blobs.list(container, token, limit)))

    async def stat(self, container: str, name: str) -> BlobItem | None:
        return await self._call(f"stat {name}", lambda: _now(self._process.side.blobs.stat(container, name)))

    async def read(self, container: str, name: str, etag: str | None = None) -> bytes:
        process = self._process

        def act() -> bytes:
            data: bytes = _now(process.side.blobs.read(container, name, etag))
            if KILLS_READING.encode() in data and self._world.judge.works_on(process, KILLS_READING):
                process.killed(f"reads {name}")
            return data

        return await self._call(f"read {name}", act)

    async def create(self, container: str, name: str, data: bytes, content_type: str) -> str:
        world, side = self._world, self._process.side

        def act() -> str:
            if world.scenario.phantoms and container == "results" and world.weather.phantom():
                world.trouble(f"storage says that {name} exists")
                raise AlreadyExists("a blob of that name is there already")
            etag: str = _now(side.blobs.create(container, name, data, content_type))
            if side is world.ours:
                world.judge.blob_created(container, name)
            return etag

        return await self._call(f"create {name}", act)

    async def copy(self, container: str, name: str, etag: str, to_container: str, to_name: str) -> None:
        blobs = self._process.side.blobs
        await self._call(
            f"copy {name}", lambda: _now(blobs.copy(container, name, etag, to_container, to_name))
        )

    async def delete(self, container: str, name: str, etag: str) -> bool:
        return await self._call(
            f"delete {name}", lambda: _now(self._process.side.blobs.delete(container, name, etag))
        )

    async def acquire_lease(self, container: str, name: str, seconds: int) -> str | None:
        asked_at = self._world.seconds()
        blobs = self._process.side.blobs

        def act() -> str | None:
            lease: str | None = _now(blobs.acquire_lease(container, name, seconds))
            return lease

        try:
            lease = await self._call(f"lease {name}", act)
        except StorageError:
            self._world.disturbed(seconds)  # the lease may be held, and no process knows
            raise
        if lease is not None and name.startswith("accounts/"):
            self._process.passes[name.removeprefix("accounts/")] = asked_at
        return lease

    async def renew_lease(self, container: str, name: str, lease: str) -> bool:
        return await self._call(
            f"renew {name}", lambda: _now(self._process.side.blobs.renew_lease(container, name, lease))
        )

    async def release_lease(self, container: str, name: str, lease: str) -> None:
        blobs = self._process.side.blobs
        try:
            await self._call(f"release {name}", lambda: _now(blobs.release_lease(container, name, lease)))
        except StorageError:
            self._world.disturbed(TIMING.blob_lease_seconds)  # it is held, and nobody uses it
            raise
