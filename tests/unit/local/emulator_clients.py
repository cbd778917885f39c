"""The real SDKs, pointed at an emulator, and a clock that is set by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from azure.core.credentials import AccessToken
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.cognitiveservices.aio import CognitiveServicesManagementClient
from azure.mgmt.cognitiveservices.models import Deployment, DeploymentModel, DeploymentProperties, Sku
from openai import AsyncOpenAI

from local.emulator.server import Options, Running, emulator
from shared.adapters.transport import sent_once

SUBSCRIPTION, GROUP, ACCOUNT = "00000000-0000-0000-0000-000000000001", "lamplighter", "contoso"
ACCOUNT_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
    f"/providers/Microsoft.CognitiveServices/accounts/{ACCOUNT}"
)
MODEL = "gpt-4.1-mini-2025-04-14.ft-0e2c"
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


class Clock:
    """A time that moves only on request."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class _Bearer(SansIOHTTPPolicy[Any, Any]):
    """Sends a token over plain http, which the SDK's own policy refuses."""

    def on_request(self, request: PipelineRequest[Any]) -> None:
        request.http_request.headers["Authorization"] = "Bearer token-of-a-test"


class _NoCredential:
    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        raise AssertionError("the policy brings the token")

    async def close(self) -> None: ...

    async def __aenter__(self) -> "_NoCredential":
        return self

    async def __aexit__(self, *_: object) -> None: ...


class Azure:
    """One account of an emulator, through azure-mgmt-cognitiveservices and openai, without retries."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self.clock = clock
        self.arm = arm_client(url)
        self.openai = AsyncOpenAI(
            base_url=f"{url}/{ACCOUNT}/openai/v1/", api_key="token-of-a-test", max_retries=0
        )

    async def put(self, name: str, deployment: Deployment | None = None, **kwargs: Any) -> Deployment:
        """One PUT; returns what the answer shows."""
        poller = await self.arm.deployments.begin_create_or_update(
            GROUP, ACCOUNT, name, deployment or deployment_of(**kwargs), polling=False
        )
        return await poller.result()

    async def delete(self, name: str) -> None:
        await self.arm.deployments.begin_delete(GROUP, ACCOUNT, name, polling=False)

    async def get(self, name: str) -> Deployment:
        return await self.arm.deployments.get(GROUP, ACCOUNT, name)

    async def list(self) -> dict[str, str]:
        """The provisioning states by deployment name."""
        return {
            str(each.name): str(each.properties and each.properties.provisioning_state)
            async for each in self.arm.deployments.list(GROUP, ACCOUNT)
        }

    async def state(self, name: str) -> str:
        return (await self.list()).get(name, "absent")

    async def ready(self, name: str, **kwargs: Any) -> None:
        """A PUT, and the time until it answers requests."""
        await self.put(name, **kwargs)
        self.clock.advance(OPTIONS["provision_median"] + OPTIONS["warmup_seconds"])

    async def bill(self) -> Any:
        """Return what the emulator's meter counted."""
        async with aiohttp.ClientSession(self.url) as http:
            return await (await http.get("/emulator/bill")).json()

    async def ask(self, name: str, text: str = "hello", **kwargs: Any) -> Any:
        return await self.openai.chat.completions.create(
            model=name, messages=[{"role": "user", "content": text}], **kwargs
        )


# A create takes 100 s of the clock, its warm-up 20 s, a delete 10 s; an answer takes no time at all.
OPTIONS: dict[str, Any] = {
    "provision_median": 100.0,
    "provision_p95": 100.0,
    "warmup_seconds": 20.0,
    "delete_seconds": 10.0,
    "latency_seconds": 0.0,
}


def session(url: str, **headers: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(url, headers=headers or {"Authorization": "Bearer token-of-a-test"})


def arm_client(url: str, **kwargs: Any) -> CognitiveServicesManagementClient:
    kwargs.setdefault("authentication_policy", _Bearer())
    kwargs["transport"] = kwargs.get("transport") or sent_once()
    return CognitiveServicesManagementClient(
        _NoCredential(), SUBSCRIPTION, base_url=url, retry_total=0, **kwargs
    )


def deployment_of(
    model: str = MODEL,
    sku: str = "GlobalStandard",
    capacity: int = 10,
    model_format: str = "OpenAI",
    tags: dict[str, str] | None = None,
    **properties: Any,
) -> Deployment:
    return Deployment(
        sku=Sku(name=sku, capacity=capacity),
        tags=tags,
        properties=DeploymentProperties(
            model=DeploymentModel(format=model_format, name=model, version="1"), **properties
        ),
    )


@asynccontextmanager
async def azure(**options: Any) -> AsyncIterator[Azure]:
    """An emulator with one account, by a clock of its own, and the SDKs' clients for it."""
    clock = Clock()
    async with started(clock, **options) as running:
        sdks = Azure(running.url, clock)
        async with sdks.arm, sdks.openai:
            yield sdks


@asynccontextmanager
async def started(clock: Clock, **options: Any) -> AsyncIterator[Running]:
    async with emulator(Options(**{"accounts": (ACCOUNT_ID,), **OPTIONS, **options}), clock) as running:
        yield running
