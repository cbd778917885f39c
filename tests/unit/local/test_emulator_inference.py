"""The data plane through the openai SDK, on the v1 and the classic path."""

import asyncio
import hashlib
import json

import jsonschema
import openai
import pytest
from emulator_clients import ACCOUNT, ACCOUNT_ID, MODEL, Clock, azure, session, started
from openai import AsyncAzureOpenAI, AsyncOpenAI

from local.emulator.tokens import PER_MESSAGE, PER_REPLY

V1 = f"/{ACCOUNT}/openai/v1/chat/completions"
CLASSIC = f"/{ACCOUNT}/openai/deployments/clauses/chat/completions"
BODY = {"model": "clauses", "messages": [{"role": "user", "content": "hello"}]}


async def test_a_ready_deployment_answers_and_counts_its_tokens():
    """The v1 path: the model is the deployment's name, whatever its case; the answer names the model."""
    async with azure() as cloud:
        await cloud.ready("clauses")
        answer = await cloud.ask("Clauses", "one two three")
        assert answer.choices[0].message.content.startswith("one two three (3 words, digest ")
        assert (answer.choices[0].finish_reason, answer.model) == ("stop", MODEL)
        assert answer.usage.prompt_tokens == 3 + PER_MESSAGE + PER_REPLY
        assert answer.usage.total_tokens == 10 + answer.usage.completion_tokens
        row = (await cloud.bill())["deployments"][0]
        assert (row["requests_answered"], row["requests_refused"]) == (1, 0)
        assert (row["tokens_in"], row["tokens_out"]) == (10, answer.usage.completion_tokens)
        assert (row["admitted"], row["rejected"], row["tokens_charged"]) == (1, 0, 10)
        async with session(cloud.url) as http:
            listed = await (await http.get("/emulator/admissions?deployment=CLAUSES")).json()
        document = hashlib.sha256(b"one two three").hexdigest()
        admission = {"at": cloud.clock.now.isoformat(), "tokens": 10, "document": document}
        assert listed == {"admissions": [admission]}


async def test_the_classic_path_answers_the_same():
    """AsyncAzureOpenAI puts the deployment in the path and a dated api-version behind it."""
    async with azure() as cloud:
        await cloud.ready("clauses", capacity=60)
        classic = AsyncAzureOpenAI(
            azure_endpoint=f"{cloud.url}/{ACCOUNT}", api_key="key", api_version="2024-10-21", max_retries=0
        )
        async with classic:
            answer = await classic.chat.completions.create(model="clauses", messages=BODY["messages"])
        assert answer.choices == (await cloud.ask("clauses")).choices


async def test_api_versions():
    """v1 takes none, preview and v1; another is a 400 there; the classic path does not exist without one."""
    async with azure() as cloud, session(cloud.url) as http:
        await cloud.ready("clauses", capacity=60)
        for query, status in (("", 200), ("?api-version=preview", 200), ("?api-version=v1", 200)):
            assert (await http.post(V1 + query, json=BODY)).status == status
        assert (await http.post(f"{V1}?api-version=2024-10-21", json=BODY)).status == 400
        assert (await http.post(CLASSIC, json=BODY)).status == 404


async def test_a_call_without_a_credential_is_refused():
    """A bearer or an api-key is needed, and enough."""
    async with azure() as cloud:
        await cloud.ready("clauses")
        async with session(cloud.url, x="y") as anonymous:
            assert (await anonymous.post(V1, json=BODY)).status == 401
        async with session(cloud.url, **{"api-key": "key"}) as keyed:
            assert (await keyed.post(V1, json=BODY)).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"{}", b'{"model": 1}', b'{"model": "clauses"}'])
async def test_a_malformed_body_is_a_bad_request(body):
    """In OpenAI's shape on both paths, and never a 500."""
    async with azure() as cloud, session(cloud.url) as http:
        await cloud.ready("clauses")
        for path in (V1, f"{CLASSIC}?api-version=2024-10-21"):
            answer = await http.post(path, data=body)
            error = (await answer.json())["error"]
            assert (answer.status, error["type"]) == (400, "invalid_request_error")


async def test_tokens_per_minute():
    """1,000 a minute: an estimate of 609 passes once; a 429 names the time, after which it passes."""
    async with azure() as cloud:
        await cloud.ready("clauses", capacity=1, model="gpt-4o.ft-1")
        first = await cloud.openai.chat.completions.with_raw_response.create(
            model="clauses", messages=[{"role": "user", "content": "a" * 16}], max_tokens=600
        )
        assert {name: first.headers[f"x-ratelimit-{name}"] for name in LIMITS} == {
            "limit-tokens": "1000",
            "remaining-tokens": "391",
            "reset-tokens": "60",
            "limit-requests": "6",
            "remaining-requests": "0",
            "reset-requests": "10",
        }
        cloud.clock.advance(20.5)
        with pytest.raises(openai.RateLimitError) as refused:
            await cloud.ask("clauses", "a" * 16, max_tokens=600)
        headers = refused.value.response.headers
        assert (headers["retry-after"], headers["retry-after-ms"]) == ("40", "39500")
        assert refused.value.code == "429"
        assert "exceeded token rate limit" in refused.value.body["message"]
        cloud.clock.advance(39.5)
        await cloud.ask("clauses", "a" * 16, max_tokens=600)


LIMITS = [f"{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("tokens", "requests")]


async def test_requests_per_minute_by_the_second():
    """60 requests a minute are one a second under a window of 1 s, and ten at once under one of 10 s."""
    for window, passing in ((1, 1), (10, 10)):
        async with azure(request_window=window) as cloud:
            await cloud.ready("clauses", capacity=60)
            for _ in range(passing):
                await cloud.ask("clauses")
            with pytest.raises(openai.RateLimitError) as refused:
                await cloud.ask("clauses")
            assert refused.value.response.headers["retry-after-ms"] == str(window * 1000)
            assert "exceeded call rate limit" in refused.value.body["message"]
            cloud.clock.advance(window)
            await cloud.ask("clauses")


@pytest.mark.parametrize(
    ("style", "shown"),
    [("absent", set()), ("wrong", {("-1", "86400"), (None, "-1"), ("NaN", "soon"), ("99999999999", "0")})],
)
async def test_headers_may_be_absent_or_nonsense(style: str, shown: set[tuple[str, str]]):
    """The limits hold all the same."""
    async with azure(limit_headers=style) as cloud:
        await cloud.ready("clauses", capacity=1, model="gpt-4o.ft-1")
        await cloud.ask("clauses")
        found = set()
        for _ in range(4):
            with pytest.raises(openai.RateLimitError) as refused:
                await cloud.ask("clauses")
            headers = refused.value.response.headers
            if any(name.startswith(("x-ratelimit", "retry-after")) for name in headers):
                found.add((headers.get("x-ratelimit-remaining-tokens"), headers["retry-after"]))
        assert found == shown


async def test_limits_change_while_a_deployment_serves():
    """A tenth of ten requests in ten seconds is one; what is no share is refused."""
    async with azure() as cloud, session(cloud.url) as http:
        await cloud.ready("clauses", capacity=60)
        for body in ({}, [], {"deployment": "clauses"}, {"deployment": "clauses", "share": -1}):
            assert (await http.post("/emulator/limits", json=body)).status == 400
        assert (
            await http.post("/emulator/limits", json={"deployment": "Clauses", "share": 0.1})
        ).status == 204
        await cloud.ask("clauses")
        with pytest.raises(openai.RateLimitError):
            await cloud.ask("clauses")
        await http.post("/emulator/limits", json={"deployment": "clauses", "share": 1})
        await cloud.ask("clauses")


async def test_limits_belong_to_a_deployment():
    """One that is exhausted leaves another alone, and its own successor of the same name begins afresh."""
    async with azure(
        provision_median=0.0, provision_p95=0.0, warmup_seconds=0.0, delete_seconds=0.0
    ) as cloud:
        await cloud.put("clauses", capacity=1)
        await cloud.put("summaries", capacity=1)
        await cloud.ask("clauses")
        with pytest.raises(openai.RateLimitError):
            await cloud.ask("clauses")
        await cloud.ask("summaries")
        await cloud.delete("clauses")
        await cloud.put("clauses", capacity=1)
        await cloud.ask("clauses")


async def test_the_content_filter():
    """A marked prompt meets Azure's 400, which counts as a request."""
    async with azure() as cloud:
        await cloud.ready("clauses", capacity=1)
        with pytest.raises(openai.BadRequestError) as filtered:
            await cloud.ask("clauses", "please [[content_filter]] this")
        assert filtered.value.code == "content_filter"
        assert filtered.value.body["innererror"]["code"] == "ResponsibleAIPolicyViolation"
        with pytest.raises(openai.RateLimitError):
            await cloud.ask("clauses")


async def test_the_context_length():
    """Prompt and answer together are held against it."""
    async with azure(context_tokens=100) as cloud:
        await cloud.ready("clauses", capacity=100)
        await cloud.ask("clauses", " word" * 43, max_tokens=50)
        for text, allowed in ((" word" * 43, 51), (" word" * 94, None)):
            with pytest.raises(openai.BadRequestError) as refused:
                await cloud.ask("clauses", text, max_tokens=allowed)
            assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")


async def test_structured_output_conforms_and_short_answers_are_cut():
    """The SDK's response_format is met; with too few tokens the answer ends with finish_reason length."""
    schema = {
        "type": "object",
        "required": ["parties", "signed"],
        "additionalProperties": False,
        "properties": {
            "parties": {"type": "array", "items": {"type": "string"}},
            "signed": {"type": ["string", "null"]},
        },
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "contract", "strict": True, "schema": schema}}
    async with azure() as cloud:
        await cloud.ready("clauses", capacity=60)
        answer = await cloud.ask("clauses", "a contract", response_format=wanted)
        jsonschema.validate(json.loads(answer.choices[0].message.content), schema)
        short = await cloud.ask("clauses", "a contract", response_format=wanted, max_tokens=2)
        assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 2)
        with pytest.raises(openai.BadRequestError):
            await cloud.ask("clauses", response_format={"type": "json_schema", "json_schema": {}})


async def test_a_request_in_flight_is_cut_when_its_deployment_is_deleted():
    """It gets no answer, and the meter counts it as cut; one before it had been answered."""
    async with azure(latency_seconds=0.2) as cloud:
        await cloud.ready("clauses", capacity=60)
        await cloud.ask("clauses")
        asking = asyncio.create_task(cloud.ask("clauses"))
        while (await cloud.bill())["in_flight"] == 0:
            await asyncio.sleep(0.01)
        await cloud.delete("clauses")
        with pytest.raises(openai.APIConnectionError):
            await asking
        found = await cloud.bill()
        assert (found["totals"]["cut"], found["totals"]["requests_answered"], found["in_flight"]) == (1, 1, 0)


async def test_answers_from_upstream_under_the_emulators_own_limits():
    """Another emulator is the upstream: it gets its own model name and key; the limits are the first's."""
    async with azure() as upstream:
        await upstream.ready("real-model", capacity=1000)
        async with azure(
            upstream=f"{upstream.url}/{ACCOUNT}/openai/v1", upstream_model="real-model", upstream_key="key"
        ) as cloud:
            await cloud.ready("clauses", capacity=1)
            answer = await cloud.ask("clauses", "forwarded")
            assert answer.choices[0].message.content.startswith("forwarded (1 words")
            with pytest.raises(openai.RateLimitError):
                await cloud.ask("clauses")
        assert (await upstream.bill())["totals"]["requests_answered"] == 1
        assert (await upstream.bill())["totals"]["tokens_in"] == answer.usage.prompt_tokens


@pytest.mark.parametrize("key", [None, "key"])
async def test_an_upstream_that_cannot_answer_is_a_bad_gateway(key):
    """Without a key it answers 401, with one 404 for the model: neither is passed on as the deployment's."""
    async with (
        azure() as upstream,
        azure(
            upstream=f"{upstream.url}/{ACCOUNT}/openai/v1", upstream_model="nothing", upstream_key=key
        ) as cloud,
    ):
        await cloud.ready("clauses")
        with pytest.raises(openai.InternalServerError) as failed:
            await cloud.ask("clauses")
        assert failed.value.status_code == 502
        assert f"it answered {404 if key else 401}" in failed.value.body["message"]


async def test_an_upstream_that_cannot_be_reached_is_a_bad_gateway():
    """The message says in plain words that nothing answers there."""
    async with azure(upstream="http://127.0.0.1:9/v1", upstream_model="any") as cloud:
        await cloud.ready("clauses")
        with pytest.raises(openai.InternalServerError) as failed:
            await cloud.ask("clauses")
    message = "nothing can be reached at 127.0.0.1:9 (connection refused)"
    assert message in failed.value.body["message"]


async def test_two_accounts_have_an_endpoint_each():
    """A deployment answers below its own account, and not below the other."""
    other = ACCOUNT_ID.replace(ACCOUNT, "fabrikam")
    async with azure(accounts=(ACCOUNT_ID, other)) as cloud:
        await cloud.ready("clauses")
        wrong = AsyncOpenAI(base_url=f"{cloud.url}/fabrikam/openai/v1/", api_key="token", max_retries=0)
        async with wrong:
            with pytest.raises(openai.NotFoundError):
                await wrong.chat.completions.create(model="clauses", messages=BODY["messages"])


async def test_the_health_page_and_unknown_paths():
    """200 for the one; 404 and 405 in Azure's error shape for the others."""
    async with started(Clock()) as running, session(running.url) as http:
        assert (await http.get("/emulator/health")).status == 200
        for path, status in (("/nothing/here", 404), (V1, 405)):
            answer = await http.get(path)
            assert (answer.status, (await answer.json())["error"]["code"]) == (status, str(status))
