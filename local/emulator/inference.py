"""The Azure OpenAI data plane over HTTP: chat completions and embeddings, on the v1 and the classic path."""

import asyncio
import hashlib
import json
import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from aiohttp import web

from local.emulator import embeddings, refusals
from local.emulator.answers import ChatRequest, InvalidRequest, answer, parse, prompt_of
from local.emulator.endpoints import Endpoints
from local.emulator.families import refuse_parameters
from local.emulator.faults import DataOperation, Faults, dropped
from local.emulator.limit_headers import headers_of
from local.emulator.limits import DeploymentLimits, Verdict
from local.emulator.meter import Meter
from local.emulator.options import Options
from local.emulator.refusals import Refusal
from local.emulator.specification import makes_embeddings
from local.emulator.state import Deployments, Generation, Lognormal
from local.emulator.upstream import Upstream

CONTENT_FILTER_MARKER = "[[content_filter]]"
_OPERATIONS: Mapping[DataOperation, str] = {"chat": "chatCompletion", "embeddings": "embeddings"}
_PATHS: Mapping[DataOperation, str] = {"chat": "chat/completions", "embeddings": "embeddings"}
_V1_API_VERSIONS = (None, "preview", "v1")


@dataclass
class DataPlane:
    """The handlers of the data plane."""

    endpoints: Endpoints
    options: Options
    deployments: Deployments
    meter: Meter
    faults: Faults
    clock: Callable[[], datetime]
    upstream: Upstream | None
    _limits: dict[int, DeploymentLimits] = field(init=False, default_factory=dict)
    _shares: dict[str, float] = field(init=False, default_factory=dict)
    _dice: random.Random = field(init=False)
    _headers: Callable[[Verdict], Mapping[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.options.seed)
        self._headers = headers_of(self.options.limit_headers)

    def routes(self) -> Iterable[web.RouteDef]:
        for operation, path in _PATHS.items():
            yield web.post(f"/{{account}}/openai/v1/{path}", partial(self._v1, operation))
            yield web.post(
                f"/{{account}}/openai/deployments/{{deployment}}/{path}", partial(self._classic, operation)
            )

    async def _v1(self, operation: DataOperation, request: web.Request) -> web.StreamResponse:
        """Answer on the v1 path: `model` in the body names the deployment; a dated api-version is refused."""
        try:
            _authenticate(request)
            if request.query.get("api-version") not in _V1_API_VERSIONS:
                raise refusals.api_version_not_supported()
            body = await _body(request)
            deployment = body.get("model")
            if not isinstance(deployment, str) or not deployment:
                raise refusals.invalid(InvalidRequest("'model' must name a deployment.", param="model"))
            return await self._serve(operation, request, deployment, body)
        except Refusal as refusal:
            return refusal.response()

    async def _classic(self, operation: DataOperation, request: web.Request) -> web.StreamResponse:
        """Answer on the classic path: the path names the deployment; an api-version is required."""
        try:
            _authenticate(request)
            if not request.query.get("api-version"):
                raise refusals.resource_not_found()
            return await self._serve(
                operation, request, request.match_info["deployment"], await _body(request)
            )
        except Refusal as refusal:
            return refusal.response()

    async def _serve(
        self, operation: DataOperation, request: web.Request, deployment: str, body: dict[str, Any]
    ) -> web.StreamResponse:
        account = self.endpoints.account(request.match_info["account"])
        if account is None:
            raise refusals.resource_not_found()
        fault = self.faults.take("data", operation, deployment, prompt_of(body))
        generation = self.deployments.find(account, deployment, self.clock())
        if generation is None:
            return await self.faults.carry_out(fault, request, _deployment_not_found)
        found = generation
        usage = self.meter.usage(found)
        usage.in_flight += 1
        try:
            response = await self.faults.carry_out(
                fault, request, lambda: self._answer(operation, request, found, body)
            )
        finally:
            usage.in_flight -= 1
        if fault is not None and fault.status is not None:
            usage.requests_refused += 1
        return response

    async def _answer(
        self,
        operation: DataOperation,
        request: web.Request,
        generation: Generation,
        body: dict[str, Any],
    ) -> web.StreamResponse:
        usage = self.meter.usage(generation)
        try:
            if not generation.serving(self.clock()):
                raise refusals.deployment_not_found()
            self._refuse_another_kind(operation, generation)
            if operation == "embeddings":
                completion, headers = await self._embeddings(request, generation, body)
            else:
                asked, headers = self._admit(request, generation, body)
                completion = await self._completion(generation, body, asked)
        except Refusal as refusal:
            usage.requests_refused += 1
            return refusal.response()
        if not generation.serving(self.clock()):
            # Azure does not document what a delete does to a request in flight: here it is cut off.
            return dropped(request)
        usage.requests_answered += 1
        tokens = completion.get("usage") or {}
        usage.tokens_in += tokens.get("prompt_tokens", 0)
        usage.tokens_out += tokens.get("completion_tokens", 0)
        request_id = str(uuid.uuid4())
        return web.json_response(
            completion, headers={**headers, "x-request-id": request_id, "apim-request-id": request_id}
        )

    def _refuse_another_kind(self, operation: DataOperation, generation: Generation) -> None:
        model = generation.run(self.clock()).specification.model_name
        if makes_embeddings(model) != (operation == "embeddings"):
            raise refusals.operation_not_supported(_OPERATIONS[operation], model)

    async def _embeddings(
        self, request: web.Request, generation: Generation, body: dict[str, Any]
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Return the answer to an embeddings request with the rate limit headers. Raises Refusal."""
        now = self.clock()
        generation.last_call = now
        limits = self._limits_of(generation, now)
        try:
            asked = embeddings.parse(body)
        except InvalidRequest as error:
            headers = self._headers(limits.admit(0, now))
            raise refusals.invalid(error, headers) from error
        tokens = sum(asked.sizes)
        headers = self._limited(request, "Embeddings_Create", generation, limits, tokens)
        texts = hashlib.sha256("\n".join(asked.inputs).encode(errors="replace")).hexdigest()
        self.meter.note_admission(generation, tokens, texts, now)
        await asyncio.sleep(self._latency())
        return embeddings.answer(asked, generation.run(now).specification.model_name), headers

    def _limited(
        self,
        request: web.Request,
        operation: str,
        generation: Generation,
        limits: DeploymentLimits,
        tokens: int,
    ) -> Mapping[str, str]:
        """Charge a request to the limits and return their headers. Raises Refusal with a 429."""
        verdict = limits.admit(tokens, self.clock())
        headers = self._headers(verdict)
        if verdict.exceeded is not None:
            self.meter.usage(generation).rejected += 1
            version = request.query.get("api-version", "v1")
            raise refusals.too_many_requests(verdict, operation, version, headers)
        return headers

    def _admit(
        self, request: web.Request, generation: Generation, body: dict[str, Any]
    ) -> tuple[ChatRequest, Mapping[str, str]]:
        """Parse a request and return it with the rate limit headers. Raises Refusal as Azure refuses it."""
        now = self.clock()
        generation.last_call = now
        limits = self._limits_of(generation, now)
        try:
            asked = parse(body)
            refuse_parameters(generation.run(now).specification.model_name, body)
        except InvalidRequest as error:
            headers = self._headers(limits.admit(0, now))  # a request that fails counts as well
            raise refusals.invalid(error, headers) from error
        headers = self._limited(request, "ChatCompletions_Create", generation, limits, asked.estimated_tokens)
        document = hashlib.sha256(asked.document.encode(errors="replace")).hexdigest()
        self.meter.note_admission(generation, asked.estimated_tokens, document, now)
        if CONTENT_FILTER_MARKER in asked.prompt:
            raise refusals.content_filter(headers)
        context, completion = self.options.context_tokens, asked.max_tokens or 0
        if asked.prompt_tokens + completion > context:
            raise refusals.context_length_exceeded(context, asked.prompt_tokens, completion, headers)
        return asked, headers

    async def _completion(
        self, generation: Generation, body: dict[str, Any], asked: ChatRequest
    ) -> dict[str, Any]:
        if self.upstream is not None:
            status, completion = await self.upstream.chat(body)
            if status != 200:
                raise Refusal(status, completion.get("error") or {"message": "The upstream server failed."})
            return completion
        now = self.clock()
        try:
            answered = answer(asked)
        except InvalidRequest as error:
            raise refusals.invalid(error) from error
        await asyncio.sleep(self._latency())
        completion_tokens = answered.tokens * asked.choices
        identity = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:24]
        message = {"role": "assistant", "content": answered.content, "refusal": None}
        return {
            "id": f"chatcmpl-{identity}",
            "object": "chat.completion",
            "created": int(now.timestamp()),
            "model": generation.run(now).specification.model_name,
            "choices": [
                {"index": at, "message": message, "finish_reason": answered.finish_reason, "logprobs": None}
                for at in range(asked.choices)
            ],
            "usage": {
                "prompt_tokens": asked.prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": asked.prompt_tokens + completion_tokens,
            },
        }

    def set_share(self, deployment: str, share: float) -> None:
        """Multiply the limits of the deployments of this name by `share`, from now on."""
        self._shares[deployment.lower()] = share

    def _limits_of(self, generation: Generation, now: datetime) -> DeploymentLimits:
        """Return the limiter of a generation, with its present limits."""
        asked, share = generation.run(now).specification, self._shares.get(generation.name.lower(), 1.0)
        tokens, requests = int(asked.tokens_per_minute * share), int(asked.requests_per_minute * share)
        limits = self._limits.get(generation.number)
        if limits is None:
            limits = self._limits[generation.number] = DeploymentLimits(
                tokens, requests, self.options.limit_rules
            )
        limits.resize(tokens, requests)
        return limits

    def _latency(self) -> float:
        """Return the seconds until the next answer."""
        median, p95 = self.options.latency_seconds, self.options.latency_p95
        return median if p95 is None else Lognormal(median, p95).sample(self._dice)


async def _deployment_not_found() -> web.StreamResponse:
    return refusals.deployment_not_found().response()


def _authenticate(request: web.Request) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not request.headers.get("api-key") and not (scheme.lower() == "bearer" and token.strip()):
        raise refusals.unauthorized()


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        message = "We could not parse the JSON body of your request."
        raise refusals.invalid(InvalidRequest(message)) from error
    if not isinstance(body, dict):
        raise refusals.invalid(InvalidRequest("The body of the request must be a JSON object."))
    return body
