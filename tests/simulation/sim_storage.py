"""Storage as a simulated process meets it: the fakes behind latency, faults and crashes."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from shared.documents.backlog import DOCUMENTS
from shared.documents.checkpoints import CHECKPOINTS
from shared.errors import AlreadyExists, StorageError
from shared.ports import BlobItem, BlobPage, Insert, Keys, Page, Remove, Replace, Row
from shared.timing import TIMING
from tests.fakes.blobs import MemoryBlobs
from tests.simulation.scenario import KILLS_READING

if TYPE_CHECKING:
    from tests.simulation.process import Process

T = TypeVar("T")


class _Storage:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    async def _call(self, what: str, act: Callable[..., Coroutine[Any, Any, T]], *given: Any) -> T:
        """Call a fake, with latency and faults around it. Fakes never wait, so their effect is immediate."""
        process = self._process
        if (wait := process.arrives()) is not None:
            await wait
        trouble = self._world.weather.storage()
        if trouble is not None:
            self._world.trouble(f"{process.name} {what}: storage, {trouble}")
            if trouble in ("hangs", "hangs_and_does"):
                # The adapters give up a call after 10 to 30 s.
                patience = self._world.random.uniform(5, 30)
                self._world.disturbed(patience)
                await process.sleep(patience)
            if trouble in ("refused", "hangs"):
                raise StorageError(f"{what}: refused")
        result = await act(*given)
        if trouble in ("lost", "hangs_and_does"):
            raise StorageError(f"{what}: the answer was lost")
        if (wait := process.departs()) is not None:
            await wait
        return result


class SimTables(_Storage):
    """An implementation of `shared.ports.Tables` with faults."""

    # These return the coroutine of `_call`: one of their own would be resumed at every step of it.

    def get(self, table: str, partition: str, key: str) -> Coroutine[Any, Any, Row | None]:
        return self._call(f"get {table}", self._process.side.tables.get, table, partition, key)

    def page(
        self, table: str, partition: str, start: str, stop: str, limit: int
    ) -> Coroutine[Any, Any, Page]:
        page, limit = self._process.side.tables.page, self._most(table, limit)
        return self._call(f"page {table}", page, table, partition, start, stop, limit)

    def keys(
        self, table: str, partition: str, start: str, stop: str, limit: int
    ) -> Coroutine[Any, Any, Keys]:
        keys, limit = self._process.side.tables.keys, self._most(table, limit)
        return self._call(f"keys {table}", keys, table, partition, start, stop, limit)

    def _most(self, table: str, limit: int) -> int:
        """Return how many rows an answer has at most: few of documents, so that reads take several pages."""
        return min(limit, self._world.scenario.rows_a_page) if table == DOCUMENTS else limit

    def write(
        self, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> Coroutine[Any, Any, tuple[str, ...]]:
        async def act() -> tuple[str, ...]:
            etags = await self._process.side.tables.write(table, partition, changes)
            self._world.judge.rows_written(self._process, table, partition, changes)
            return etags

        return self._call(f"write {table}", act)


class SimBlobs(_Storage):
    """An implementation of `shared.ports.Blobs` with faults."""

    @property
    def _blobs(self) -> MemoryBlobs:
        return self._process.side.blobs

    async def list(self, container: str, token: str | None, limit: int) -> BlobPage:
        limit = min(limit, self._world.scenario.blobs_a_page)
        return await self._call(f"list {container}", self._blobs.list, container, token, limit)

    async def stat(self, container: str, name: str) -> BlobItem | None:
        return await self._call(f"stat {name}", self._blobs.stat, container, name)

    async def read(self, container: str, name: str, etag: str | None = None) -> bytes:
        process = self._process

        async def act() -> bytes:
            data = await self._blobs.read(container, name, etag)
            if KILLS_READING.encode() in data and self._world.judge.works_on(process, KILLS_READING):
                process.killed(f"reads {name}")
            return data

        return await self._call(f"read {name}", act)

    async def read_range(
        self, container: str, name: str, start: int, size: int, etag: str | None = None
    ) -> bytes:
        read = self._blobs.read_range
        return await self._call(f"read {name} from {start}", read, container, name, start, size, etag)

    async def create(self, container: str, name: str, data: bytes, content_type: str) -> str:
        world, side = self._world, self._process.side

        async def act() -> str:
            if world.scenario.phantoms and container == "results" and world.weather.phantom():
                world.trouble(f"storage says that {name} exists")
                raise AlreadyExists("a blob of that name is there already")
            etag = await side.blobs.create(container, name, data, content_type)
            if side is world.ours:
                world.judge.blob_created(container, name)
            return etag

        return await self._call(f"create {name}", act)

    async def create_from(
        self, container: str, name: str, pieces: AsyncIterable[bytes], content_type: str
    ) -> str:
        """Send each piece as a block. The blob is there only after the last call."""
        blocks = list[bytes]()

        async def stage(piece: bytes) -> None:
            blocks.append(piece)

        async for piece in pieces:
            await self._call(f"stage a block of {name}", stage, piece)
        create = self._blobs.create
        return await self._call(f"commit {name}", create, container, name, b"".join(blocks), content_type)

    async def append(self, container: str, name: str, data: bytes, at: int) -> None:
        world, side = self._world, self._process.side

        async def act() -> None:
            await side.blobs.append(container, name, data, at)
            if side is world.ours and container == CHECKPOINTS:
                world.judge.records_kept(name, data)

        await self._call(f"append to {name}", act)

    async def copy(self, container: str, name: str, etag: str, to_container: str, to_name: str) -> None:
        await self._call(f"copy {name}", self._blobs.copy, container, name, etag, to_container, to_name)

    async def delete(self, container: str, name: str, etag: str) -> bool:
        return await self._call(f"delete {name}", self._blobs.delete, container, name, etag)

    async def acquire_lease(self, container: str, name: str, seconds: int) -> str | None:
        asked_at = self._world.seconds()
        try:
            lease = await self._call(f"lease {name}", self._blobs.acquire_lease, container, name, seconds)
        except StorageError:
            self._world.disturbed(seconds)  # the lease may be held, and no process knows
            raise
        if lease is not None and name.startswith("accounts/"):
            self._process.passes[name.removeprefix("accounts/")] = asked_at
        return lease

    async def renew_lease(self, container: str, name: str, lease: str) -> bool:
        return await self._call(f"renew {name}", self._blobs.renew_lease, container, name, lease)

    async def release_lease(self, container: str, name: str, lease: str) -> None:
        try:
            await self._call(f"release {name}", self._blobs.release_lease, container, name, lease)
        except StorageError:
            self._world.disturbed(TIMING.blob_lease_seconds)  # it is held, and nobody uses it
            raise
