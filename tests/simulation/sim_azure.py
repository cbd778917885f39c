"""Azure as a simulated process meets it: the true state behind latency, faults and crashes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from local.emulator import specification
from local.emulator.state import Generation
from shared.alerts import Alert
from shared.errors import (
    AccessDenied,
    DeploymentNotFound,
    ModelUnavailable,
    OutcomeUnknown,
    ProviderBusy,
    RateLimited,
    RequestRefused,
    ServiceRefused,
)
from shared.model import (
    TINY,
    BatchRequest,
    DeploymentSpec,
    Embedded,
    Hosted,
    ModelAnswer,
    ModelRequest,
    Response,
)
from shared.providers.azure_openai.probe import probe
from tests.fakes.azure import body_of, completed, prompt_tokens, refusal
from tests.simulation.azure import Trouble
from tests.simulation.scenario import KILLS, REFUSALS

if TYPE_CHECKING:
    from tests.simulation.process import Process

T = TypeVar("T")
_ANSWER_SECONDS = (1.0, 3.0, 3.0, 8.0, 20.0, 100.0)
_QUICK = (0.5, 1.0)
LIST_LAG = 300.0
"""Longest delay of a LIST in seconds; until then the app cannot know that a DELETE had no effect."""
_UNSEEN = 180.0  # seconds for which storage may hide an accepted DELETE and refuse a pass
_EFFECT_LATE_BY = (5.0, 30.0, 70.0, 90.0, 100.0, 110.0, 118.0, 400.0)  # seconds; the last is past quarantine
LATEST_EFFECT = max(_EFFECT_LATE_BY)


class SimAzure:
    """An implementation of `shared.ports.Provider` and `shared.ports.Model` with faults."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._of_ours = process.side is process.world.ours

    async def endpoint(self, account: str, *, timeout: float) -> str:
        await self._read("endpoint", timeout)
        endpoint = self._world.azure.endpoint(account)
        await self._process.depart()
        return endpoint

    async def deployments(self, account: str, *, timeout: float) -> Mapping[str, Hosted]:
        trouble = await self._read("LIST", timeout)
        at = self._world.now()
        if trouble == "lagging":
            at -= timedelta(seconds=self._world.random.uniform(1, self._world.scenario.list_lag))
        found = self._world.azure.listed(account, at)
        if trouble == "omitting" and found:
            self._world.azure.omit(found, self._world.random.choice(list(found)))
        if self._of_ours and not self._world.weather.stormy:  # in a storm the pass may fail after its LIST
            for name in found:
                if self._world.azure.is_the_twins(name):
                    self._world.judge.alarms.met("a twin's is listed", name, Alert.TWIN_INSTALLATION)
        await self._process.depart()
        return found

    async def capacity_left(self, account: str, spec: DeploymentSpec, *, timeout: float) -> float:
        raise AssertionError("no scenario has keep_if_scarce")

    async def probe(self, endpoint: str, deployment: str, *, timeout: float) -> None:
        await probe(self, endpoint, deployment, timeout=timeout)

    async def _read(self, what: str, timeout: float) -> str | None:
        await self._process.arrive()
        trouble = self._world.weather.arm_read()
        if trouble is not None:
            self._world.trouble(f"{self._process.name} {what}: {trouble}")
        if trouble == "unavailable":
            raise OutcomeUnknown(f"{what}: 503")
        return trouble

    async def put(self, account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        azure, sent_at = self._world.azure.accounts[account], self._world.seconds()

        def act() -> Hosted:
            now, outcome = self._world.now(), self._world.azure.outcome()
            side = self._process.side.name
            try:
                put, is_new = azure.put(azure.account, spec.name, body_of(spec), side, now, outcome)
            except specification.ArmError as error:
                if self._of_ours:
                    self._world.judge.put_refused(account, spec.name, error.code, sent_at)
                raise refusal(error) from error
            if is_new:
                self._world.azure.created_by(side, put)
            self._world.judge.put_took_effect(put, sent_at, side)
            return self._world.azure.shown(put, now)

        return await self._write("PUT", account, spec.name, timeout, act, spec.capacity)

    async def delete(self, account: str, deployment: str, *, timeout: float) -> None:
        azure, sent_at = self._world.azure.accounts[account], self._world.seconds()
        ignored = False

        def act() -> None:
            nonlocal ignored
            now = self._world.now()
            found = azure.find(azure.account, deployment, now)
            if self._world.azure.ignores_delete(deployment):
                ignored = True
                return
            try:
                deleted = azure.delete(azure.account, deployment, now)
            except specification.ArmError as error:
                raise refusal(error) from error
            if deleted is not None and found is not None:
                self._world.azure.slow_down_delete(found)
                self._world.judge.delete_took_effect(found, sent_at, self._process.side.name)

        if self._of_ours:
            self._world.judge.delete_sent(deployment)
        await self._write("DELETE", account, deployment, timeout, act)
        if ignored and self._of_ours:  # and its sender knows that Azure accepted it
            self._world.judge.alarms.met(
                "no effect", deployment, Alert.DELETE_WITHOUT_EFFECT, lasts=LIST_LAG + _UNSEEN
            )

    async def _write(
        self,
        what: str,
        account: str,
        deployment: str,
        timeout: float,
        act: Callable[[], T],
        capacity: int | None = None,
    ) -> T:
        world, process = self._world, self._process
        world.judge.write_begins(process, what, account, deployment)
        try:
            await process.arrive()
        except BaseException:
            if what == "PUT":
                world.judge.put_in_doubt(deployment, process.side.name)
            raise
        if (refused := world.azure.refuses(what, deployment, capacity)) is not None:
            if self._of_ours and refused.code != "InsufficientQuota":
                name = Alert.DELETE_REFUSED if what == "DELETE" else Alert.CREATE_FAILED
                world.judge.alarms.met(f"{what} {refused.code}", deployment, name)
            raise refused
        trouble = world.weather.arm_write()
        if trouble is not None:
            world.trouble(f"{process.name} {what} {deployment}: {trouble}")
        if what == "PUT" and trouble in ("unavailable", "lost", "late"):
            world.judge.put_in_doubt(deployment, process.side.name)
        match trouble:
            case "busy":
                raise ProviderBusy("busy", code="RequestConflict")
            case "throttled":
                raise ProviderBusy("throttled", code="TooManyRequests", retry_after=17.0)
            case "unavailable":
                await process.sleep(timeout)
                raise OutcomeUnknown("503")
            case "late":
                delay = world.random.choice(_EFFECT_LATE_BY)
                world.azure.later(delay, what, deployment, act)
                await process.sleep(min(timeout, delay))
                raise OutcomeUnknown("no answer in time")
        result = act()
        world.note(f"{process.name} {what} {deployment}")
        if trouble == "lost":
            await process.sleep(timeout)
            raise OutcomeUnknown("the answer was lost")
        await process.depart()
        return result

    # --- Model ----------------------------------------------------------------------------------

    async def ask(
        self, endpoint: str, deployment: str, request: ModelRequest, *, timeout: float
    ) -> ModelAnswer:
        world, process = self._world, self._process
        world.judge.sends(process, deployment, request)
        await process.arrive()
        trouble = world.weather.ask()
        if trouble is not None:
            world.trouble(f"{process.name} ask {deployment}: {trouble}")
        is_probe = request.text == TINY.text
        if (wrong := world.azure.wrong_endpoint(endpoint, deployment)) is not None:
            if wrong == "connection":
                raise ModelUnavailable("no connection")
            raise DeploymentNotFound("not there", code="DeploymentNotFound", status=404)
        found = world.azure.serving(deployment)
        if (lasting := world.azure.trouble_of(deployment)) is not None:
            await self._fails(lasting, found, timeout)
        if trouble == "unavailable":
            raise ModelUnavailable("500", status=500)
        if found is None or trouble == "not_found":
            raise DeploymentNotFound("not there", code="DeploymentNotFound", status=404)
        if trouble == "limited":
            world.judge.proved(found)
            raise RateLimited("429", retry_after=world.random.uniform(1, 40), status=429)
        if "[[" in request.text:
            self._refuse_marked(request.text, found)
        if not is_probe:
            world.judge.asked(process, deployment)
        with world.judge.in_flight(process, found):
            if trouble == "stands_still":
                process.pause(world.random.uniform(150, 500))
            quick = world.scenario.quick
            seconds = (
                1000.0 if trouble == "hangs" else world.random.choice(_QUICK if quick else _ANSWER_SECONDS)
            )
            await asyncio.sleep(min(seconds, timeout))
            if not found.serving(world.now()):
                raise ModelUnavailable("cut off")
            if seconds > timeout:
                if is_probe:
                    world.azure.slow_to_probes[deployment].append(world.seconds())
                raise ModelUnavailable("no answer in time", code="timeout")
        # A worker that died meanwhile hears nothing.
        world.judge.answered(found, is_probe=is_probe, ours=self._of_ours and self._process.alive)
        await process.depart()
        return ModelAnswer(
            text="" if "[[empty]]" in request.text else f"answer to {request.text}",
            finish_reason="stop",
            model="m",
            prompt_tokens=prompt_tokens(request),
            completion_tokens=5,
        )

    async def complete(
        self, endpoint: str, deployment: str, request: BatchRequest, *, timeout: float
    ) -> Response:
        return await completed(self, endpoint, deployment, request, timeout)

    async def embed(
        self, endpoint: str, deployment: str, texts: Sequence[str], *, timeout: float
    ) -> Embedded:
        raise NotImplementedError("no task here ranks passages by embeddings")

    async def _fails(self, lasting: Trouble, found: Generation | None, timeout: float) -> None:
        """Raise the error of an outage, or of a refusal of every request."""
        world = self._world
        if lasting.what == "refusing":
            status, code = REFUSALS[lasting.how]
            denied = status in (401, 403)
            # A request to a missing deployment gets a 404, not this refusal.
            if not denied and found is None:
                raise DeploymentNotFound("not there", code="DeploymentNotFound", status=404)
            self._meets(lasting)
            if denied or found is None:
                raise AccessDenied(f"{status} {code}", code=code, status=status)
            world.judge.proved(found)
            raise ServiceRefused(f"{status} {code}", code=code, status=status)
        self._meets(lasting)
        match lasting.how:
            case "connection":
                raise ModelUnavailable("no connection")
            case "hangs":
                with world.judge.in_flight(self._process, found) if found else contextlib.nullcontext():
                    await asyncio.sleep(timeout)
                await self._process.depart()
                raise ModelUnavailable("no answer in time", code="timeout")
            case "high_demand" if found is not None:
                world.judge.proved(found)
                named = world.random.choice((None, 1.0, 20.0, 60.0))
                raise RateLimited("system is experiencing high demand", retry_after=named, status=429)
            case "error":
                raise ModelUnavailable("500", status=500)
        raise ModelUnavailable("503", status=503)

    def _meets(self, lasting: Trouble) -> None:
        if self._of_ours:
            lasting.met.append(self._world.seconds())

    def _refuse_marked(self, text: str, found: Generation) -> None:
        """Raise the error for a document with a mark: no answer ever, or the death of its process."""
        if "[[poison]]" in text:
            self._world.judge.proved(found)
            refused = "Azure's content filter refused the document"
            raise RequestRefused(refused, code="content_filter", status=400)
        if "[[limited]]" in text:
            self._world.judge.proved(found)
            named = self._world.random.choice((60.0, 600.0, 3600.0, 86_400.0))
            raise RateLimited("429", retry_after=named, status=429)
        if "[[refused]]" in text:
            self._world.judge.proved(found)
            raise ServiceRefused("400 unsupported_value", code="unsupported_value", status=400)
        if "[[broken]]" in text or "[[fails]]" in text:
            raise ModelUnavailable("500", status=500)
        if KILLS in text:
            self._process.killed("sends a document that kills it")
