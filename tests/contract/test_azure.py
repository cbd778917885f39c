"""The same tests run on Azure in memory, and on the emulator through the real SDKs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from local.emulator.server import Options, emulator
from shared.adapters.openai import AzureModel
from shared.documents.search_order import similarities
from shared.errors import (
    AccessDenied,
    CapacityRefused,
    CapacityUnknown,
    DeploymentNotFound,
    ModelError,
    ModelUnavailable,
    OutcomeUnknown,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    RateLimited,
    RequestRefused,
    ServiceRefused,
)
from shared.model import DeploymentSpec, Message, ModelRequest, Observed
from shared.ports import Model, Offer, Provider, Quota
from shared.providers.azure_openai.arm import AzureOpenAI, checked_endpoint
from tests.fakes.azure import MemoryAzure, renamed
from tests.fakes.clock import VirtualClock

ACCOUNT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso"
SPEC = DeploymentSpec(
    name="clauses",
    model_name="gpt-4.1-mini-2025-04-14.ft-0e2c",
    model_version="1",
    model_source=None,
    sku="GlobalStandard",
    capacity=120,
    tags={"lamplighter": "test"},
)
EMBEDDER = replace(SPEC, name="embedder", model_name="text-embedding-3-small")
HELLO = ModelRequest((Message("system", "Be brief."), Message("user", "hello")), 50)
SECONDS = 20.0


@dataclass
class Azure:
    """One implementation of the ports."""

    provider: Provider
    model: Model
    clock: VirtualClock
    url: str | None  # the emulator's; None in memory

    async def ready(self, spec: DeploymentSpec = SPEC) -> str:
        """Create a deployment, wait until it answers, and return its endpoint."""
        await self.provider.put(ACCOUNT, spec, timeout=SECONDS)
        self.clock.advance(100)
        return await self.provider.endpoint(ACCOUNT, timeout=SECONDS)


@pytest.fixture(params=["memory", "emulated"])
def azure(request: pytest.FixtureRequest) -> Azure:
    return request.getfixturevalue(request.param)


@pytest.fixture
def memory() -> Azure:
    clock = VirtualClock()
    both = MemoryAzure(
        clock, provision_seconds=60, delete_seconds=5, warmup_seconds=10, context_tokens=128_000
    )
    return Azure(both, both, clock, None)


@pytest.fixture
async def emulated() -> AsyncIterator[Azure]:
    clock = VirtualClock()
    options = Options(
        accounts=(ACCOUNT,),
        provision_median=60,
        provision_p95=60,
        delete_seconds=5,
        warmup_seconds=10,
        latency_seconds=0,
    )
    async with emulator(options, clock.now) as running:
        model = AzureModel()
        provider = AzureOpenAI(running.url, model)
        yield Azure(provider, model, clock, running.url)
        await provider.close()
        await model.close()


async def fault(azure: Azure, **what: object) -> None:
    """Let the emulator inject a fault."""
    await post(azure, "faults", **what)


async def post(azure: Azure, path: str, **what: object) -> None:
    """Send a command to the emulator."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{azure.url}/emulator/{path}", json=what) as answer,
    ):
        assert answer.status < 300, await answer.text()


async def bill_of(azure: Azure) -> dict[str, Any]:
    """Return the emulator's bill."""
    async with aiohttp.ClientSession() as session, session.get(f"{azure.url}/emulator/bill") as answer:
        found: dict[str, Any] = await answer.json()
        return found


@asynccontextmanager
async def answering(method: str, body: bytes) -> AsyncIterator[str]:
    """Run a server that gives this answer to each call of a method, and yield its URL."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route(method, "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


async def test_a_deployment_lives_through_its_states(azure: Azure) -> None:
    """It is Accepted or Creating, then Succeeded, then Deleting, then gone; createdAt is Azure's own."""
    put = await azure.provider.put(ACCOUNT, SPEC, timeout=SECONDS)
    assert put.status is Observed.CREATING
    azure.clock.advance(30)
    creating = (await azure.provider.deployments(ACCOUNT, timeout=SECONDS))["clauses"]
    assert (creating.status, creating.said) == (Observed.CREATING, "Creating")
    azure.clock.advance(31)
    ready = (await azure.provider.deployments(ACCOUNT, timeout=SECONDS))["clauses"]
    assert (ready.status, ready.said) == (Observed.SUCCEEDED, "Succeeded")
    assert ready.created_at == put.created_at
    assert ready.created_at is not None
    assert abs(ready.created_at - azure.clock.start) < timedelta(seconds=1)
    assert (ready.spec.sku, ready.spec.capacity, ready.spec.model_name) == (
        "GlobalStandard",
        120,
        SPEC.model_name,
    )
    assert ready.spec.tags == {"lamplighter": "test"}
    assert (ready.tokens_per_minute, ready.requests_per_minute) == (120_000, 120)
    assert ready.context_tokens == put.context_tokens == 128_000
    await azure.provider.delete(ACCOUNT, "clauses", timeout=SECONDS)
    deleting = await azure.provider.deployments(ACCOUNT, timeout=SECONDS)
    assert deleting["clauses"].status is Observed.DELETING
    azure.clock.advance(6)
    assert await azure.provider.deployments(ACCOUNT, timeout=SECONDS) == {}


async def test_deleting_a_missing_deployment_succeeds(azure: Azure) -> None:
    """A repeated delete succeeds without effect."""
    await azure.provider.delete(ACCOUNT, "nothing", timeout=SECONDS)


async def test_writes_serialise_per_account(azure: Azure) -> None:
    """While a creation runs, every other write on the account is a conflict, including its own delete."""
    await azure.provider.put(ACCOUNT, SPEC, timeout=SECONDS)
    azure.clock.advance(1)
    with pytest.raises(ProviderBusy) as conflict:
        await azure.provider.put(ACCOUNT, renamed(SPEC, "other"), timeout=SECONDS)
    assert conflict.value.code == "RequestConflict"
    with pytest.raises(ProviderBusy):
        await azure.provider.delete(ACCOUNT, "clauses", timeout=SECONDS)
    azure.clock.advance(60)
    await azure.provider.put(ACCOUNT, renamed(SPEC, "other"), timeout=SECONDS)


async def test_an_unknown_model_is_refused_for_good(azure: Azure) -> None:
    """A refusal has no effect and carries the code of its reason."""
    with pytest.raises(ProviderRefused) as refusal:
        await azure.provider.put(ACCOUNT, replace(SPEC, model_name="nonsense"), timeout=SECONDS)
    assert refusal.value.code == "DeploymentModelNotSupported"
    assert await azure.provider.deployments(ACCOUNT, timeout=SECONDS) == {}


async def test_capacity_beyond_the_quota_is_refused(azure: Azure) -> None:
    """The refusal carries its own code, so that the app can try a smaller capacity."""
    with pytest.raises(ProviderRefused) as refusal:
        await azure.provider.put(ACCOUNT, replace(SPEC, capacity=1_000_000), timeout=SECONDS)
    assert refusal.value.code == "InsufficientQuota"
    assert await azure.provider.deployments(ACCOUNT, timeout=SECONDS) == {}


async def test_a_listed_deployment_can_be_recreated(azure: Azure) -> None:
    """Adoption keeps every property: content filter policy, upgrade option, spillover, model and SKU."""
    spec = replace(
        SPEC,
        rai_policy_name="strict",
        version_upgrade_option="NoAutoUpgrade",
        spillover_deployment_name="spill",
    )
    await azure.provider.put(ACCOUNT, spec, timeout=SECONDS)
    shown = (await azure.provider.deployments(ACCOUNT, timeout=SECONDS))["clauses"]
    assert shown.spec == spec


async def test_succeeded_is_not_ready(azure: Azure) -> None:
    """Right after Succeeded a request is DeploymentNotFound; some seconds later it is answered."""
    await azure.provider.put(ACCOUNT, SPEC, timeout=SECONDS)
    azure.clock.advance(61)
    endpoint = await azure.provider.endpoint(ACCOUNT, timeout=SECONDS)
    assert endpoint.endswith("/")
    with pytest.raises(DeploymentNotFound):
        await azure.model.ask(endpoint, "clauses", HELLO, timeout=SECONDS)
    azure.clock.advance(10)
    answer = await azure.model.ask(endpoint, "clauses", HELLO, timeout=SECONDS)
    assert answer.text and answer.finish_reason == "stop"
    assert answer.prompt_tokens > 0 and answer.completion_tokens > 0


async def test_a_content_filter_refuses_the_request(azure: Azure) -> None:
    """The refusal carries Azure's code and no text of the document."""
    endpoint = await azure.ready()
    request = replace(HELLO, messages=(Message("user", "a secret [[content_filter]]"),))
    with pytest.raises(RequestRefused) as refusal:
        await azure.model.ask(endpoint, "clauses", request, timeout=SECONDS)
    assert refusal.value.code == "content_filter"
    assert "secret" not in str(refusal.value)


async def test_a_deployment_that_is_being_deleted_answers_nothing(azure: Azure) -> None:
    """Once the delete is accepted, a request is DeploymentNotFound."""
    endpoint = await azure.ready()
    await azure.provider.delete(ACCOUNT, "clauses", timeout=SECONDS)
    with pytest.raises(DeploymentNotFound):
        await azure.model.ask(endpoint, "clauses", HELLO, timeout=SECONDS)


async def test_a_deployments_model_cannot_be_changed(azure: Azure) -> None:
    """Its capacity can be changed. Another model is refused, and the existing one still answers."""
    endpoint = await azure.ready()
    with pytest.raises(ProviderRefused) as refusal:
        await azure.provider.put(ACCOUNT, replace(SPEC, model_name="gpt-4.1.ft-new"), timeout=SECONDS)
    assert refusal.value.code == "CannotChangeDeploymentModel"
    await azure.provider.put(ACCOUNT, replace(SPEC, capacity=60), timeout=SECONDS)
    shown = (await azure.provider.deployments(ACCOUNT, timeout=SECONDS))["clauses"]
    assert (shown.spec, shown.tokens_per_minute) == (replace(SPEC, capacity=60), 60_000)
    assert (await azure.model.ask(endpoint, "clauses", HELLO, timeout=SECONDS)).text


async def test_an_account_may_be_created_again_elsewhere(azure: Azure) -> None:
    """Its old deployments are gone, and a new one answers only at the new endpoint."""
    old = await azure.ready()
    if isinstance(azure.provider, MemoryAzure):
        azure.provider.recreate_account("contoso-2")
    else:
        await post(azure, "accounts/contoso/endpoint", subdomain="contoso-2")
    assert await azure.provider.deployments(ACCOUNT, timeout=SECONDS) == {}
    new = await azure.ready()
    assert new != old
    with pytest.raises(DeploymentNotFound) as not_found:
        await azure.model.ask(old, "clauses", HELLO, timeout=SECONDS)
    assert (not_found.value.code, not_found.value.status) == ("404", 404)
    assert (await azure.model.ask(new, "clauses", HELLO, timeout=SECONDS)).text


async def test_texts_with_forms_of_the_same_words_have_similar_embeddings(azure: Azure) -> None:
    """They come in the order of the texts. A chat model makes none, and a model for embeddings only these."""
    endpoint = await azure.ready(EMBEDDER)
    texts = ["The tenant may terminate.", "Tenants, termination", "No pets, whatever their size"]
    found = await azure.model.embed(endpoint, "embedder", texts, timeout=SECONDS)
    first, alike, other = found.vectors
    assert len(first) == len(other) == 1536 and 12 <= found.tokens <= 20
    again = await azure.model.embed(endpoint, "embedder", texts[2:], timeout=SECONDS)
    assert [*again.vectors[0]] == pytest.approx([*other])
    ((near,), (far,)) = similarities([alike, other], [first])
    assert near > 0.5 > far
    with pytest.raises(ServiceRefused) as refusal:
        await azure.model.ask(endpoint, "embedder", HELLO, timeout=SECONDS)
    assert refusal.value.code == "OperationNotSupported"
    await azure.provider.put(ACCOUNT, SPEC, timeout=SECONDS)
    azure.clock.advance(100)
    for name, error in (("clauses", ServiceRefused), ("nobody", DeploymentNotFound)):
        with pytest.raises(error):
            await azure.model.embed(endpoint, name, texts, timeout=SECONDS)


# --- translation of answers that only a server gives --------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 409, "code": "RequestConflict", "message": "busy"}, ProviderBusy),
        ({"status": 429, "code": "TooManyRequests", "message": "slow"}, ProviderBusy),
        ({"status": 409, "code": "AnotherOperationInProgress", "message": "busy"}, ProviderBusy),
        ({"status": 409, "code": "ReadOnlyDisabledSubscription", "message": "no"}, ProviderRefused),
        ({"status": 409, "code": "ScopeLocked", "message": "no"}, ProviderRefused),
        ({"status": 409, "code": "MissingSubscriptionRegistration", "message": "no"}, ProviderRefused),
        ({"status": 409, "code": "SomethingNew", "message": "no"}, ProviderRefused),
        ({"status": 409, "code": "409"}, ProviderRefused),
        ({"status": 400, "code": "InsufficientQuota", "message": "no"}, CapacityRefused),
        ({"status": 401, "code": "InvalidAuthenticationToken", "message": "no"}, ProviderRefused),
        ({"status": 403, "code": "AuthorizationFailed", "message": "no"}, ProviderRefused),
        ({"status": 404, "code": "SubscriptionNotFound", "message": "no"}, ProviderRefused),
        ({"status": 408}, OutcomeUnknown),
        ({"status": 500, "code": "InternalServerError", "message": ""}, OutcomeUnknown),
        ({"status": 503, "code": "ServiceUnavailable", "message": "later"}, OutcomeUnknown),
        ({"drop": "before"}, OutcomeUnknown),
        ({"drop": "after"}, OutcomeUnknown),
        ({"delay_seconds": 5}, OutcomeUnknown),
    ],
)
async def test_an_answer_of_arm_becomes_our_error(
    emulated: Azure, answer: dict[str, object], error: type[Exception]
) -> None:
    """The error means no effect and wait, refused, or unknown effect. It has Azure's code and a remedy.

    Only codes that are known to mean that another operation runs become a conflict to wait for.
    """
    await fault(emulated, plane="arm", operation="put", **answer)
    with pytest.raises(error) as raised:
        await emulated.provider.put(ACCOUNT, SPEC, timeout=1.0)
    assert isinstance(raised.value, ProviderError)
    if "status" in answer:
        assert raised.value.code == str(answer.get("code", answer["status"]))
    if isinstance(raised.value, ProviderRefused):
        assert f"Remedy: {raised.value.remedy}." in str(raised.value)
    effect = answer.get("drop") == "after"
    assert ("clauses" in await emulated.provider.deployments(ACCOUNT, timeout=SECONDS)) == effect


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("Wed, 01 Jan 2031 00:02:00 GMT", 120.0),
        ("Wed, 01 Jan 2031 00:00:00 GMT", 0.0),
        ("86400", 3600.0),
        ("Fri, 01 Jan 2032 00:00:00 GMT", 3600.0),
        *((text, None) for text in ("-1", "nan", "inf", "1e400", "soon", "")),
    ],
)
async def test_a_conflict_carries_the_time_to_wait(
    emulated: Azure, header: str, seconds: float | None
) -> None:
    """Retry-After is seconds or a date by the server's clock: an hour at most, and None if invalid."""
    headers = {"Retry-After": header, "Date": "Wed, 01 Jan 2031 00:00:00 GMT"}
    await fault(emulated, plane="arm", operation="list", status=429, headers=headers)
    with pytest.raises(ProviderBusy) as busy:
        await emulated.provider.deployments(ACCOUNT, timeout=SECONDS)
    assert busy.value.retry_after == seconds


async def test_a_missing_subscription_does_not_count_as_deleted(emulated: Azure) -> None:
    """A 404 of the deployment completes a DELETE; a 404 of the subscription says nothing about it."""
    await fault(emulated, plane="arm", operation="delete", status=404, code="SubscriptionNotFound")
    with pytest.raises(ProviderRefused, match="the identity's tenant"):
        await emulated.provider.delete(ACCOUNT, "clauses", timeout=SECONDS)
    await fault(emulated, plane="arm", operation="delete", status=404, code="ResourceNotFound")
    await emulated.provider.delete(ACCOUNT, "clauses", timeout=SECONDS)


@pytest.mark.parametrize(
    "body", [b"[]", b'"x"', b"{", b'{"value": [1]}', b'{"value": {"name": 1}}', b"", b"null", b"{}"]
)
async def test_a_list_of_any_shape_is_our_error(body: bytes) -> None:
    """An unreadable list means unknown, never absent."""
    async with answering("GET", body) as url:
        provider = AzureOpenAI(url, AzureModel())
        with pytest.raises(OutcomeUnknown):
            await provider.deployments(ACCOUNT, timeout=SECONDS)
        with pytest.raises((OutcomeUnknown, ProviderRefused)):
            await provider.endpoint(ACCOUNT, timeout=SECONDS)
        await provider.close()


@pytest.mark.parametrize(
    ("shown", "tokens"),
    [
        ({"maxContextToken": "128000", "area": "EUR"}, 128_000),
        ({"maxContextToken": 4096}, 4096),
        ({"maxOutputToken": "4096"}, None),  # as deployments of gpt-4.1-mini show it
        *(({"maxContextToken": wrong}, None) for wrong in ("", "0", "-1", "1e5", "９", "9" * 10, None)),
        (None, None),
    ],
)
async def test_a_context_size_that_is_not_shown_is_unknown(shown: object, tokens: int | None) -> None:
    """Neither is one that is no number."""
    properties = {"provisioningState": "Succeeded", "capabilities": shown}
    body = {"value": [{"name": "clauses", "properties": properties}]}
    async with answering("GET", json.dumps(body).encode()) as url:
        provider = AzureOpenAI(url, AzureModel())
        found = (await provider.deployments(ACCOUNT, timeout=SECONDS))["clauses"]
        await provider.close()
    assert (found.context_tokens, found.status) == (tokens, Observed.SUCCEEDED)


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_no_write_is_sent_twice(emulated: Azure, drop: str) -> None:
    """A DELETE and a PUT whose connections break arrive once each, so their outcome is unknown; a LIST may
    be sent again.
    """
    await emulated.ready()
    await fault(emulated, plane="arm", operation="delete", drop=drop)
    with pytest.raises(OutcomeUnknown):
        await emulated.provider.delete(ACCOUNT, "clauses", timeout=SECONDS)
    emulated.clock.advance(6)
    await fault(emulated, plane="arm", operation="put", drop=drop)
    with pytest.raises(OutcomeUnknown):
        await emulated.provider.put(ACCOUNT, renamed(SPEC, "other"), timeout=SECONDS)
    await fault(emulated, plane="arm", operation="list", drop=drop)
    there = await emulated.provider.deployments(ACCOUNT, timeout=SECONDS)
    assert set(there) == ({"clauses"} if drop == "before" else {"other"})
    assert (await bill_of(emulated))["arm_calls"]["contoso"] == {"put": 2, "delete": 1, "list": 2, "get": 1}


@pytest.mark.parametrize("drop", ["before", "after"])
async def test_no_request_is_sent_twice(emulated: Azure, drop: str) -> None:
    """A request whose connection breaks is sent once, because its tokens may be billed."""
    endpoint = await emulated.ready()
    await emulated.model.ask(endpoint, "clauses", HELLO, timeout=SECONDS)  # on a connection that stays open
    await fault(emulated, plane="data", operation="chat", drop=drop)
    with pytest.raises(ModelUnavailable) as lost:
        await emulated.model.ask(endpoint, "clauses", HELLO, timeout=SECONDS)
    assert (lost.value.code, lost.value.status) == ("connection", None)
    assert (await bill_of(emulated))["totals"]["requests_answered"] == (1 if drop == "before" else 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_an_answer_that_http_does_not_permit_is_a_broken_connection(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")  # of the request's body
        writer.write(answer)
        writer.close()

    model = AzureModel()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/contoso/"
        with pytest.raises(ModelUnavailable) as broken:
            await model.ask(endpoint, "clauses", HELLO, timeout=SECONDS)
        await model.close()
    assert broken.value.code == "connection"


@pytest.mark.parametrize(
    "address",
    ["http://contoso.openai.azure.com/", "ftp://contoso.example/", "//contoso.example", "https://", "x"],
)
async def test_an_endpoint_that_is_not_https_gets_no_token(address: str) -> None:
    """Only an https address gets a token, even if Azure shows another. The local stack may use http."""
    with pytest.raises(ProviderRefused, match="Remedy") as refusal:
        checked_endpoint("contoso", address, local=True)
    assert refusal.value.code == "EndpointNotHttps"
    with pytest.raises(ProviderRefused):
        checked_endpoint("contoso", "http://127.0.0.1:10010/contoso/", local=False)
    assert checked_endpoint("contoso", "https://contoso.openai.azure.com", local=False).endswith("com/")
    model = AzureModel()
    with pytest.raises(ServiceRefused):
        await model.ask(address, "clauses", HELLO, timeout=SECONDS)
    await model.close()


@pytest.mark.parametrize(
    ("answer", "error", "retry_after"),
    [
        ({"status": 429, "headers": {"retry-after-ms": "1500", "retry-after": "2"}}, RateLimited, 1.5),
        ({"status": 429, "headers": {"retry-after": "3"}}, RateLimited, 3.0),
        ({"status": 429, "headers": {"retry-after": "soon"}}, RateLimited, None),
        ({"status": 500}, ModelUnavailable, None),
        ({"status": 503, "headers": {"retry-after": "-1"}}, ModelUnavailable, None),
        ({"status": 408}, ModelUnavailable, None),
        ({"status": 404, "code": "404"}, DeploymentNotFound, None),
        ({"status": 400, "code": "context_length_exceeded"}, RequestRefused, None),
        ({"status": 400, "code": "string_above_max_length"}, RequestRefused, None),
        ({"status": 413}, RequestRefused, None),
        ({"drop": "before"}, ModelUnavailable, None),
    ],
)
async def test_an_answer_of_the_model_becomes_our_error(
    emulated: Azure, answer: dict[str, object], error: type[Exception], retry_after: float | None
) -> None:
    """The error carries the server's Retry-After if that is valid."""
    endpoint = await emulated.ready()
    full = {"code": "x", "message": "y", **answer} if "status" in answer else answer
    await fault(emulated, plane="data", operation="chat", **full)
    with pytest.raises(error) as raised:
        await emulated.model.ask(endpoint, "clauses", HELLO, timeout=SECONDS)
    assert isinstance(raised.value, ModelError)
    assert raised.value.retry_after == retry_after
    assert raised.value.status == answer.get("status")


@pytest.mark.parametrize(
    ("answer", "error", "retry_after"),
    [
        ({"status": 429, "headers": {"retry-after": "3"}}, RateLimited, 3.0),
        ({"status": 500}, ModelUnavailable, None),
        ({"status": 403}, AccessDenied, None),
        ({"status": 400, "code": "context_length_exceeded"}, RequestRefused, None),
        ({"drop": "before"}, ModelUnavailable, None),
        ({"delay_seconds": 5}, ModelUnavailable, None),
    ],
)
async def test_an_answer_about_embeddings_becomes_our_error(
    emulated: Azure, answer: dict[str, object], error: type[ModelError], retry_after: float | None
) -> None:
    """As those of chat requests."""
    endpoint = await emulated.ready(EMBEDDER)
    await fault(emulated, plane="data", operation="embeddings", **answer)
    with pytest.raises(error) as raised:
        await emulated.model.embed(endpoint, "embedder", ["hello"], timeout=1.0)
    assert (raised.value.retry_after, raised.value.status) == (retry_after, answer.get("status"))


@pytest.mark.parametrize(
    ("data", "vectors"),
    [
        ([(1, [0.5, 0]), (0, "AACAPwAAAEA=")], [[1.0, 2.0], [0.5, 0.0]]),  # one of them in base64
        ([(0, [1, 2])], None),
        ([(0, [1, 2]), (2, [1, 2])], None),
        ([(0, [1, 2]), (1, [1])], None),
        ([(0, [1, 2]), (1, ["x", 2])], None),
        ([(0, [1, 2]), (1, "AACAPw")], None),
        ([(0, [1, 2]), (1, "AADAfwAAwH8=")], None),  # not a number
        ([(0, [1, 2]), (1, [1e99, 2])], None),
        ([(0, [1, 2]), (1, {})], None),
        ([(0, []), (1, [])], None),
        (7, None),
    ],
)
async def test_embeddings_of_any_shape_are_vectors_or_our_error(
    data: Any, vectors: list[list[float]] | None
) -> None:
    """All of one length, in the order of the texts."""
    items = [{"index": at, "embedding": each} for at, each in data] if isinstance(data, list) else data
    body = {"object": "list", "data": items, "model": "m", "usage": {"prompt_tokens": "many"}}
    async with answering("POST", json.dumps(body).encode()) as url:
        model = AzureModel()
        asked = model.embed(f"{url}/contoso/", "embedder", ["a", "b"], timeout=SECONDS)
        if vectors is not None:
            found = await asked
            assert ([[*each] for each in found.vectors], found.tokens) == (vectors, 0)
        else:
            with pytest.raises(ModelUnavailable) as raised:
                await asked
            assert (raised.value.code, raised.value.status) == ("invalid", 200)
        await model.close()


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        ({"status": 423}, "paused"),
        ({"status": 410}, "retired"),
        ({"status": 405}, "check model.name"),
        ({"status": 424}, "depends on"),
        ({"status": 422}, "response_schema"),
        ({"status": 400, "code": "OperationNotSupported"}, "check model.name"),
        ({"status": 400, "param": "response_format"}, "response_schema"),
        ({"status": 400, "message": "Could not finish the message because max"}, "raise max_output_tokens"),
        ({"status": 400, "code": "SomethingNew"}, "this code is unknown to Lamplighter"),
        ({"status": 418, "code": "x secret y"}, "this code is unknown to Lamplighter"),
        ({"status": 401}, "tenant"),
        ({"status": 403, "code": "PermissionDenied"}, "Cognitive Services OpenAI User"),
        ({"status": 403, "message": "Access denied due to Virtual Network/Firewall rules."}, "firewall"),
        ({"status": 403, "message": "Out of call volume quota. It will be replenished."}, "quota"),
        ({"status": 400, "message": "Please provide a custom subdomain for tokens"}, "custom subdomain"),
    ],
)
async def test_a_refusal_of_the_service_carries_azures_code_and_its_remedy(
    emulated: Azure, answer: dict[str, Any], remedy: str
) -> None:
    """Unknown codes are not the document's fault. Azure's message is left out: it may quote the document."""
    endpoint = await emulated.ready()
    full = {"message": "it quotes a secret", **answer}
    await fault(emulated, plane="data", operation="chat", **full)
    with pytest.raises(ServiceRefused) as raised:
        await emulated.model.ask(endpoint, "clauses", HELLO, timeout=SECONDS)
    assert remedy in raised.value.remedy and raised.value.remedy in str(raised.value)
    assert raised.value.status == answer["status"]
    assert str(answer["status"]) in str(raised.value)
    code = str(answer.get("code", answer["status"]))
    assert raised.value.code == (code if " " not in code else str(answer["status"]))
    assert isinstance(raised.value, AccessDenied) == (answer["status"] in (401, 403))
    for words in ("secret", "Virtual Network", "replenished"):
        assert words not in str(raised.value)


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("gpt-4.1-mini-2025-04-14.ft-0e2c", 1),
        ("o4-mini-2025-04-16.ft-0e2c", 1),
        ("gpt-35-turbo-0125.ft-0e2c", 2),
        ("o1-mini-2024-09-12.ft-0e2c", 3),
    ],
)
async def test_parameters_adapt_to_the_model(emulated: Azure, model: str, sent: int) -> None:
    """If a model refuses a parameter, the request is sent in another form; later requests keep it."""
    endpoint = await emulated.ready(replace(SPEC, model_name=model))
    request = replace(HELLO, max_output_tokens=500)
    await fault(emulated, plane="data", operation="chat", status=500)  # does not depend on the form
    with pytest.raises(ModelUnavailable):
        await emulated.model.ask(endpoint, "clauses", request, timeout=SECONDS)
    for _ in range(2):
        answer = await emulated.model.ask(endpoint, "clauses", request, timeout=SECONDS)
        assert answer.text and answer.finish_reason == "stop"
    totals = (await bill_of(emulated))["totals"]
    assert (totals["requests_answered"], totals["requests_refused"]) == (2, sent)


async def test_a_form_is_learned_even_if_the_request_is_refused_for_another_reason(
    emulated: Azure,
) -> None:
    """A reasoning model refuses a probe's small token limit in the right form, and that form is kept."""
    endpoint = await emulated.ready(replace(SPEC, model_name="o1-mini-2024-09-12.ft-0e2c"))
    for refused in (3, 4):
        with pytest.raises(ServiceRefused, match="raise max_output_tokens"):
            await emulated.model.ask(
                endpoint, "clauses", replace(HELLO, max_output_tokens=16), timeout=SECONDS
            )
        assert (await bill_of(emulated))["totals"]["requests_refused"] == refused


async def test_the_form_is_learned_again_if_the_model_changes(emulated: Azure) -> None:
    """A deployment name may get another model later, and requests adapt to it again."""
    for model in ("o1-mini-2024-09-12.ft-0e2c", "gpt-35-turbo-0125.ft-0e2c", "o4-mini-2025-04-16.ft-0e2c"):
        endpoint = await emulated.ready(replace(SPEC, model_name=model))
        request = replace(HELLO, max_output_tokens=500)
        assert (await emulated.model.ask(endpoint, "clauses", request, timeout=SECONDS)).text
        await emulated.provider.delete(ACCOUNT, "clauses", timeout=SECONDS)
        emulated.clock.advance(30)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"choices": [{"message": {"content": "plain"}, "finish_reason": "stop"}]}, "plain"),
        (
            {
                "choices": [
                    {
                        "message": {
                            "content": [{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]
                        },
                        "finish_reason": "stop",
                    }
                ],
                "usage": {"prompt_tokens": None, "completion_tokens": "many"},
            },
            "in parts",
        ),
        ({"choices": [{"message": {"content": {"odd": 1}}, "finish_reason": None}]}, ""),
        (
            {"choices": [{"message": {"content": [None, "odd", {"text": 1}, {"text": "one part"}]}}]},
            "one part",
        ),
        ({"choices": [{"message": {"content": "free"}}], "usage": ["odd"]}, "free"),
        ({"choices": [{"message": {"content": "free"}}], "usage": "odd"}, "free"),
        ({"choices": [{"message": None}]}, ModelUnavailable),
        ({"choices": [{"message": ["content"]}]}, ModelUnavailable),
        ({"choices": [{"message": "content"}]}, ModelUnavailable),
        ({"choices": [1]}, ModelUnavailable),
        ({"choices": {"0": {"message": {"content": "x"}}}}, ModelUnavailable),
        ({"choices": []}, ModelUnavailable),
        ([], ModelUnavailable),
        ("no object", ModelUnavailable),
    ],
)
async def test_an_answer_of_any_shape_is_an_answer_or_our_error(
    body: object, expected: str | type[Exception]
) -> None:
    """A model's answer is untrusted: parts become one text, and after an invalid answer it is asked again."""
    async with answering("POST", json.dumps(body).encode()) as url:
        model = AzureModel()
        asked = model.ask(f"{url}/contoso/", "clauses", HELLO, timeout=SECONDS)
        if isinstance(expected, str):
            assert (await asked).text == expected
        else:
            with pytest.raises(ModelUnavailable) as raised:
                await asked
            assert raised.value.status == 200
        await model.close()


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "refusal": "I cannot help with that."},
        {"content": [{"type": "refusal", "refusal": "I cannot help with that."}]},
        {"content": [{"type": "text", "text": "Well, "}, {"type": "refusal", "refusal": "no."}]},
    ],
)
async def test_a_refusal_in_a_part_is_a_refusal(message: dict[str, object]) -> None:
    """The model refuses the document, and no answer is stored."""
    body = {"choices": [{"message": message, "finish_reason": "stop"}]}
    async with answering("POST", json.dumps(body).encode()) as url:
        model = AzureModel()
        answer = await model.ask(f"{url}/contoso/", "clauses", HELLO, timeout=SECONDS)
        await model.close()
    assert answer.finish_reason == "refusal"


async def test_a_request_ends_at_its_time_limit(emulated: Azure) -> None:
    """No request outlives its deadline; work leases depend on this."""
    endpoint = await emulated.ready()
    await fault(emulated, plane="data", operation="chat", delay_seconds=30)
    with pytest.raises(ModelUnavailable) as late:
        await emulated.model.ask(endpoint, "clauses", HELLO, timeout=0.5)
    assert (late.value.code, late.value.status) == ("timeout", None)


async def test_every_property_of_a_deployment_is_set_as_configured(emulated: Azure) -> None:
    """Content filter policy, upgrade option, spillover and the model's source reach Azure."""
    spec = replace(
        SPEC,
        rai_policy_name="strict",
        version_upgrade_option="NoAutoUpgrade",
        spillover_deployment_name="spill",
        model_source=ACCOUNT,
    )
    await emulated.provider.put(ACCOUNT, spec, timeout=SECONDS)
    url = f"{emulated.url}{ACCOUNT}/deployments/clauses?api-version=2025-09-01"
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as session:
        shown = await (await session.get(url)).json()
    assert shown["properties"]["raiPolicyName"] == "strict"
    assert shown["properties"]["versionUpgradeOption"] == "NoAutoUpgrade"
    assert shown["properties"]["spilloverDeploymentName"] == "spill"
    assert shown["properties"]["model"]["source"] == ACCOUNT
    assert shown["properties"]["model"]["format"] == "OpenAI"


async def test_an_answer_conforms_to_the_requested_schema(emulated: Azure) -> None:
    """It is sent in the form that Azure expects, without the constraints that fine-tuned models refuse."""
    endpoint = await emulated.ready()
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string", "minLength": 3, "format": "date", "default": ""}},
        "required": ["title"],
        "additionalProperties": False,
    }
    request = replace(HELLO, response_schema=schema)
    answer = await emulated.model.ask(endpoint, "clauses", request, timeout=SECONDS)
    assert answer.text.startswith('{"title"')


async def test_offers_and_quotas_are_read_page_by_page() -> None:
    """An offer names its quota, which the accounts of one subscription share."""
    names = {
        "DeveloperTier": "OpenAI.DeveloperTier.gpt4.1-mini-finetune",
        "GlobalStandard": "OpenAI.GlobalStandard.gpt4.1-mini-finetune",
        "ProvisionedManaged": "OpenAI.ProvisionedManaged",
        "Standard": "OpenAI.Standard.gpt4.1-mini-finetune",
    }
    other = ACCOUNT.replace("contoso", "fabrikam")
    elsewhere = other.replace("/s/", "/t/").replace("fabrikam", "elsewhere")
    options = Options(
        accounts=(ACCOUNT, other, elsewhere), page_size=1, quota=500, provision_median=0, provision_p95=0
    )
    async with emulator(options) as running:
        provider = AzureOpenAI(running.url, AzureModel())
        await provider.put(ACCOUNT, SPEC, timeout=SECONDS)
        await provider.put(ACCOUNT, replace(SPEC, name="next", model_version="2"), timeout=SECONDS)
        assert await provider.offers(ACCOUNT, timeout=SECONDS) == [
            Offer(SPEC.model_name, version, sku, quota, "GenerallyAvailable", None, 128_000, 16_384)
            for version in ("1", "2")
            for sku, quota in names.items()
        ]
        assert await provider.offers(other, timeout=SECONDS) == []
        used = {quota: Quota(240 if sku == SPEC.sku else 0, 500) for sku, quota in names.items()}
        assert await provider.quotas(other, timeout=SECONDS) == used
        assert await provider.quotas(elsewhere, timeout=SECONDS) == {}
        assert await provider.capacity_left(other, SPEC, timeout=SECONDS) == 100_000
        for unknown in (replace(SPEC, sku="Unheard"), replace(SPEC, model_name="own-model")):
            with pytest.raises(CapacityUnknown):
                await provider.capacity_left(other, unknown, timeout=SECONDS)
        with pytest.raises(ProviderRefused):
            await provider.offers(ACCOUNT.replace("contoso", "nobody"), timeout=SECONDS)
        await provider.close()


async def test_no_token_is_sent_to_http_elsewhere() -> None:
    """Only a loopback address gets the local credential."""
    from shared.adapters.credentials import LocalCredential, is_local, token_credential

    assert is_local("http://127.0.0.1:10010")
    for url in ("https://management.azure.com", "http://example.org", "http://127.0.0.1.example.org"):
        assert not is_local(url)
        credential = token_credential(url)
        assert not isinstance(credential, LocalCredential)
        await credential.close()
