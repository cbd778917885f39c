"""The ports as a process of the simulation has them: the fakes behind latency, faults and crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from local.emulator import specification
from shared.domain import AzureDeployment, DeploymentSpec, ModelAnswer, ModelRequest
from shared.errors import (
    ArmConflict,
    ArmUncertain,
    DeploymentNotFound,
    ModelUnavailable,
    RateLimited,
    RequestRefused,
    StorageError,
)
from shared.hosting.probe import PROBE
from shared.ports import BlobItem, BlobPage, Insert, Page, Remove, Replace, Row
from tests.fakes.azure import ENDPOINT, body_of, prompt_tokens, refusal

if TYPE_CHECKING:
    from tests.simulation.process import Process

T = TypeVar("T")
_ANSWER_SECONDS = (1.0, 3.0, 3.0, 8.0, 20.0, 100.0)
_EFFECT_LATE_BY = (5.0, 30.0, 70.0, 90.0, 100.0, 110.0, 118.0, 400.0)  # seconds; the last is past quarantine


class _Storage:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    async def _call(self, what: str, act: Callable[[], T]) -> T:
        """The fakes never wait, so their effect is one instant."""
        await self._process.arrive()
        trouble = self._world.weather.storage()
        if trouble is not None:
            self._world.trouble(f"{self._process.name} {what}: storage, {trouble}")
        if trouble == "refused":
            raise StorageError(f"{what}: refused")
        result = act()
        if trouble == "lost":
            raise StorageError(f"{what}: the answer was lost")
        await self._process.depart()
        return result


def _now(coroutine: Any) -> Any:
    """What a coroutine of the fakes returns: they await nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a fake awaited something")


class SimTables(_Storage):
    """Fulfils `shared.ports.Tables`."""

    async def get(self, table: str, partition: str, key: str) -> Row | None:
        return await self._call(f"get {table}", lambda: _now(self._world.tables.get(table, partition, key)))

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        tables = self._world.tables
        return await self._call(
            f"page {table}", lambda: _now(tables.page(table, partition, start, stop, limit))
        )

    async def write(
        self, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> tuple[str, ...]:
        def act() -> tuple[str, ...]:
            etags: tuple[str, ...] = _now(self._world.tables.write(table, partition, changes))
            self._world.judge.rows_written(self._process, table, partition, changes)
            return etags

        return await self._call(f"write {table}", act)


class SimBlobs(_Storage):
    """Fulfils `shared.ports.Blobs`."""

    async def list(self, container: str, token: str | None, limit: int) -> BlobPage:
        # Pages of four, so that walks take several.
        blobs = self._world.blobs
        return await self._call(
            f"list {container}", lambda: _now(blobs.list(container, token, min(limit, 4)))
        )

    async def stat(self, container: str, name: str) -> BlobItem | None:
        return await self._call(f"stat {name}", lambda: _now(self._world.blobs.stat(container, name)))

    async def read(self, container: str, name: str, etag: str | None = None) -> bytes:
        return await self._call(f"read {name}", lambda: _now(self._world.blobs.read(container, name, etag)))

    async def create(self, container: str, name: str, data: bytes, content_type: str) -> str:
        def act() -> str:
            etag: str = _now(self._world.blobs.create(container, name, data, content_type))
            self._world.judge.blob_created(container, name)
            return etag

        return await self._call(f"create {name}", act)

    async def copy(self, container: str, name: str, etag: str, to_container: str, to_name: str) -> None:
        blobs = self._world.blobs
        await self._call(
            f"copy {name}", lambda: _now(blobs.copy(container, name, etag, to_container, to_name))
        )

    async def delete(self, container: str, name: str, etag: str) -> bool:
        return await self._call(
            f"delete {name}", lambda: _now(self._world.blobs.delete(container, name, etag))
        )

    async def acquire_lease(self, container: str, name: str, seconds: int) -> str | None:
        asked_at = self._world.seconds()
        blobs = self._world.blobs

        def act() -> str | None:
            lease: str | None = _now(blobs.acquire_lease(container, name, seconds))
            return lease

        try:
            lease = await self._call(f"lease {name}", act)
        except StorageError:
            self._world.disturbed(seconds)  # it may be held, and nobody knows
            raise
        if lease is not None and name.startswith("accounts/"):
            self._process.passes[name.removeprefix("accounts/")] = asked_at
        return lease

    async def renew_lease(self, container: str, name: str, lease: str) -> bool:
        return await self._call(
            f"renew {name}", lambda: _now(self._world.blobs.renew_lease(container, name, lease))
        )

    async def release_lease(self, container: str, name: str, lease: str) -> None:
        blobs = self._world.blobs
        await self._call(f"release {name}", lambda: _now(blobs.release_lease(container, name, lease)))


class SimAzure:
    """Fulfils `shared.ports.Arm` and `shared.ports.Model`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    async def endpoint(self, account: str, *, timeout: float) -> str:
        await self._read("endpoint", timeout)
        await self._process.depart()
        return ENDPOINT

    async def deployments(self, account: str, *, timeout: float) -> Mapping[str, AzureDeployment]:
        trouble = await self._read("LIST", timeout)
        at = self._world.now()
        if trouble == "lagging":
            at -= timedelta(seconds=self._world.random.uniform(1, 40))
        found = self._world.azure.listed(account, at)
        await self._process.depart()
        return found

    async def _read(self, what: str, timeout: float) -> str | None:
        await self._process.arrive()
        trouble = self._world.weather.arm_read()
        if trouble is not None:
            self._world.trouble(f"{self._process.name} {what}: {trouble}")
        if trouble == "unavailable":
            raise ArmUncertain(f"{what}: 503")
        return trouble

    async def put(self, account: str, spec: DeploymentSpec, *, timeout: float) -> AzureDeployment:
        azure, sent_at = self._world.azure.accounts[account], self._world.seconds()

        def act() -> AzureDeployment:
            now, outcome = self._world.now(), self._world.azure.outcome()
            try:
                put, _ = azure.put(azure.account, spec.name, body_of(spec), "ours", now, outcome)
            except specification.ArmError as error:
                self._world.judge.put_refused(account, spec.name, error.code, sent_at)
                raise refusal(error) from error
            self._world.judge.put_took_effect(put, sent_at)
            return self._world.azure.shown(put, now)

        return await self._write("PUT", account, spec.name, timeout, act)

    async def delete(self, account: str, deployment: str, *, timeout: float) -> None:
        azure, sent_at = self._world.azure.accounts[account], self._world.seconds()

        def act() -> None:
            now = self._world.now()
            found = azure.find(azure.account, deployment, now)
            try:
                deleted = azure.delete(azure.account, deployment, now)
            except specification.ArmError as error:
                raise refusal(error) from error
            if deleted is not None and found is not None:
                self._world.judge.delete_took_effect(found, sent_at)

        self._world.judge.delete_sent(deployment)
        await self._write("DELETE", account, deployment, timeout, act)

    async def _write(
        self, what: str, account: str, deployment: str, timeout: float, act: Callable[[], T]
    ) -> T:
        world, process = self._world, self._process
        world.judge.write_begins(process, what, account, deployment)
        try:
            await process.arrive()
        except BaseException:
            if what == "PUT":
                world.judge.put_in_doubt(deployment)
            raise
        if (refused := world.azure.refuses(what, deployment)) is not None:
            raise refused
        trouble = world.weather.arm_write()
        if trouble is not None:
            world.trouble(f"{process.name} {what} {deployment}: {trouble}")
        if what == "PUT" and trouble in ("unavailable", "lost", "late"):
            world.judge.put_in_doubt(deployment)
        match trouble:
            case "busy":
                raise ArmConflict("busy", code="RequestConflict")
            case "throttled":
                raise ArmConflict("throttled", code="TooManyRequests", retry_after=17.0)
            case "unavailable":
                await process.sleep(timeout)
                raise ArmUncertain("503")
            case "late":
                delay = world.random.choice(_EFFECT_LATE_BY)
                world.azure.later(delay, what, deployment, act)
                await process.sleep(min(timeout, delay))
                raise ArmUncertain("no answer in time")
        result = act()
        world.note(f"{process.name} {what} {deployment}")
        if trouble == "lost":
            await process.sleep(timeout)
            raise ArmUncertain("the answer was lost")
        await process.depart()
        return result

    # --- Model ----------------------------------------------------------------------------------

    async def ask(
        self, endpoint: str, deployment: str, request: ModelRequest, *, timeout: float
    ) -> ModelAnswer:
        world, process = self._world, self._process
        await process.arrive()
        trouble = world.weather.ask()
        if trouble is not None:
            world.trouble(f"{process.name} ask {deployment}: {trouble}")
        if trouble == "limited":
            raise RateLimited("429", retry_after=world.random.uniform(1, 40))
        if trouble == "unavailable":
            raise ModelUnavailable("500")
        found = world.azure.serving(deployment)
        if found is None or trouble == "not_found":
            raise DeploymentNotFound("not there", code="DeploymentNotFound")
        if "[[poison]]" in request.text:
            raise RequestRefused("Azure's content filter refused the document", code="content_filter")
        if request.text != PROBE.text:
            world.judge.asked(process, deployment)
        with world.judge.in_flight(process, found):
            if trouble == "stands_still":
                process.pause(world.random.uniform(150, 500))
            seconds = 1000.0 if trouble == "hangs" else world.random.choice(_ANSWER_SECONDS)
            await asyncio.sleep(min(seconds, timeout))
            if seconds > timeout or not found.serving(world.now()):
                raise ModelUnavailable("no answer")
        world.judge.answered(found)
        await process.depart()
        return ModelAnswer(
            text="" if "[[empty]]" in request.text else f"answer to {request.text}",
            finish_reason="stop",
            model="m",
            prompt_tokens=prompt_tokens(request),
            completion_tokens=5,
        )
