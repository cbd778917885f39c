"""Azure in memory: an implementation of the ports on the emulator's own state, without HTTP.

Deployments take time to be created and deleted, writes serialise, quota and slots are limited, and models
answer once they are ready. These rules are those of the emulator, in `local.emulator.state`.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from local.emulator import embeddings, specification
from local.emulator.options import Account
from local.emulator.specification import Specification
from local.emulator.state import Deployments, Generation, Lognormal, Rules
from shared.errors import (
    CapacityRefused,
    CapacityUnknown,
    DeploymentNotFound,
    ModelUnavailable,
    OutcomeUnknown,
    ProviderBusy,
    ProviderRefused,
    RequestRefused,
    ServiceRefused,
)
from shared.model import (
    BatchRequest,
    DeploymentSpec,
    Embedded,
    Hosted,
    Message,
    ModelAnswer,
    ModelRequest,
    Response,
)
from shared.model.azure_openai import base_model
from shared.ports import Clock, Model
from shared.providers.azure_openai.probe import probe
from shared.providers.azure_openai.states import status_of

Operation = Literal["put", "delete", "list", "get", "capacities", "ask", "embed"]
ENDPOINT = "https://memory.example/"


@dataclass(frozen=True)
class Deleted:
    """A DELETE that took effect. `hosted`: how long it existed. `cut`: requests that were cut off."""

    name: str
    hosted: timedelta
    cut: int


@dataclass
class MemoryAzure:
    """One account: an implementation of `shared.ports.Provider` and `shared.ports.Model`."""

    clock: Clock
    provision_seconds: float = 60.0
    delete_seconds: float = 5.0
    warmup_seconds: float = 10.0
    answer_seconds: float = 2.0
    slots: int = 10
    quota: int = 10_000  # capacity of the whole account
    context_tokens: int | None = None  # the context size that deployments show
    left: float = 100_000.0  # capacity left in the region, for each model and SKU
    account: Account = field(default_factory=lambda: Account("s", "g", "memory"))
    calls: list[tuple[Operation, str]] = field(default_factory=list)
    deleted: list[Deleted] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # the texts of requests that were answered
    embedded: list[str] = field(default_factory=list)  # the texts that were embedded
    answer: str = "an answer"
    ends_as: str = "Succeeded"  # final state of the next deployments
    lost_answers: int = 0  # the next creates that take effect but get no answer
    _endpoint: str = ENDPOINT
    _faults: dict[Operation, deque[Exception]] = field(default_factory=dict)
    _in_flight: Counter[int] = field(default_factory=Counter)  # by generation

    def __post_init__(self) -> None:
        self.state = Deployments(self._rules(), random.Random(0))

    # --- for tests ------------------------------------------------------------------------------

    def fail_next(self, operation: Operation, *errors: Exception) -> None:
        """Let the next calls of this operation raise these errors, without effect."""
        self._faults.setdefault(operation, deque()).extend(errors)

    def count(self, operation: Operation) -> int:
        """Return how often this operation was called."""
        return sum(called == operation for called, _ in self.calls)

    def names(self) -> list[str]:
        """Return the names of the deployments that exist now."""
        return [each.name for each in self.state.list(self.account, self.clock.now())]

    def vanish(self, name: str) -> None:
        """Delete a deployment from outside, at once."""
        found = self._find(name)
        assert found is not None
        found.gone = self.clock.now()

    def recreate_account(self, subdomain: str) -> None:
        """Delete the account and create it again under another subdomain, without deployments."""
        self.state.remove_all(self.account, self.clock.now())
        self._endpoint = f"https://{subdomain}.example/"

    # --- Provider -------------------------------------------------------------------------------

    async def endpoint(self, account: str, *, timeout: float) -> str:
        self._call("get", account)
        return self._endpoint

    async def deployments(self, account: str, *, timeout: float) -> Mapping[str, Hosted]:
        self._call("list", account)
        now = self.clock.now()
        return {each.name: self._shown(each) for each in self.state.list(self.account, now)}

    async def put(self, account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        self._call("put", spec.name)
        now = self.clock.now()
        self.state.rules = self._rules()
        try:
            put, _ = self.state.put(self.account, spec.name, body_of(spec), "us", now, self.ends_as)
        except specification.ArmError as error:
            raise refusal(error) from error
        if self.lost_answers:
            self.lost_answers -= 1
            raise OutcomeUnknown("the answer was lost")
        return self._shown(put)

    async def delete(self, account: str, deployment: str, *, timeout: float) -> None:
        self._call("delete", deployment)
        found, now = self._find(deployment), self.clock.now()
        self.state.rules = self._rules()
        try:
            if self.state.delete(self.account, deployment, now) is None:
                return
        except specification.ArmError as error:
            raise refusal(error) from error
        assert found is not None
        self.deleted.append(Deleted(found.name, now - found.created, self._in_flight[found.number]))

    async def capacity_left(self, account: str, spec: DeploymentSpec, *, timeout: float) -> float:
        if base_model(spec.model_name) is None:
            raise CapacityUnknown("the model's name does not tell its base model")
        self._call("capacities", spec.model_name)
        return self.left

    async def probe(self, endpoint: str, deployment: str, *, timeout: float) -> None:
        await probe(self, endpoint, deployment, timeout=timeout)

    def _call(self, operation: Operation, what: str) -> None:
        self.calls.append((operation, what))
        if self._faults.get(operation):
            raise self._faults[operation].popleft()

    def _shown(self, generation: Generation) -> Hosted:
        return replace(shown(generation, self.clock.now()), context_tokens=self.context_tokens)

    def _find(self, name: str) -> Generation | None:
        return self.state.find(self.account, name, self.clock.now())

    def _rules(self) -> Rules:
        takes = Lognormal(self.provision_seconds, self.provision_seconds)
        return Rules(takes, self.delete_seconds, self.warmup_seconds, "terminal", self.quota, self.slots)

    # --- Model ----------------------------------------------------------------------------------

    async def ask(
        self, endpoint: str, deployment: str, request: ModelRequest, *, timeout: float
    ) -> ModelAnswer:
        self._call("ask", deployment)
        found = self._serving(endpoint, deployment, embeds=False)
        if "[[content_filter]]" in request.text:
            reason = "Azure's content filter refused the document"
            raise RequestRefused(reason, code="content_filter", status=400)
        self._in_flight[found.number] += 1
        try:
            await self.clock.sleep(self.answer_seconds)
        finally:
            self._in_flight[found.number] -= 1
        if not found.serving(self.clock.now()):
            raise ModelUnavailable("cut off")
        self.asked.append(request.text)
        return ModelAnswer(
            text=self.answer if request.response_schema is None else json.dumps({"title": self.answer}),
            finish_reason="stop",
            model=found.runs[-1].specification.model_name,
            prompt_tokens=prompt_tokens(request),
            completion_tokens=7,
        )

    async def complete(
        self, endpoint: str, deployment: str, request: BatchRequest, *, timeout: float
    ) -> Response:
        return await completed(self, endpoint, deployment, request, timeout)

    async def embed(
        self, endpoint: str, deployment: str, texts: Sequence[str], *, timeout: float
    ) -> Embedded:
        self._call("embed", deployment)
        self._serving(endpoint, deployment, embeds=True)
        await self.clock.sleep(0.5)
        asked = embeddings.parse({"input": [*texts]})
        self.embedded += texts
        return Embedded(tuple(map(embeddings.vector, texts)), sum(asked.sizes))

    def _serving(self, endpoint: str, deployment: str, *, embeds: bool) -> Generation:
        found = self._find(deployment)
        if endpoint != self._endpoint:
            raise DeploymentNotFound("nothing answers there", code="404", status=404)
        if found is None or not found.serving(self.clock.now()):
            raise DeploymentNotFound("not there", code="DeploymentNotFound", status=404)
        if specification.makes_embeddings(found.runs[-1].specification.model_name) != embeds:
            raise ServiceRefused("a model of another kind", code="OperationNotSupported", status=400)
        return found


async def completed(
    model: Model, endpoint: str, deployment: str, request: BatchRequest, timeout: float
) -> Response:
    """Return the response to a request of a Batch file, by what a model answers to its texts."""
    messages = tuple(Message(str(each["role"]), str(each["content"])) for each in request.body["messages"])
    asked = ModelRequest(messages, request.max_output_tokens)
    try:
        answer = await model.ask(endpoint, deployment, asked, timeout=timeout)
    except RequestRefused as error:
        refusal = {"error": {"code": error.code, "message": str(error), "type": None, "param": None}}
        return Response(error.status or 400, "r-1", refusal, 0, 0)
    message = {"role": "assistant", "content": answer.text}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        },
    }
    return Response(200, "r-1", body, answer.prompt_tokens, answer.completion_tokens)


def prompt_tokens(request: ModelRequest) -> int:
    """Estimate the tokens of a request: about four bytes per token."""
    return math.ceil(len("".join(each.content for each in request.messages).encode()) / 4)


def body_of(spec: DeploymentSpec) -> Specification:
    """Return the body of a PUT. Raises the emulator's ProviderError if Azure would reject it."""
    model = {
        "format": "OpenAI",
        "name": spec.model_name,
        "version": spec.model_version,
        "source": spec.model_source,
    }
    properties = {
        "model": model,
        "raiPolicyName": spec.rai_policy_name,
        "versionUpgradeOption": spec.version_upgrade_option,
        "spilloverDeploymentName": spec.spillover_deployment_name,
    }
    sku = {"name": spec.sku, "capacity": spec.capacity}
    return specification.parse(spec.name, {"sku": sku, "tags": dict(spec.tags), "properties": properties})


def shown(generation: Generation, at: datetime) -> Hosted:
    """Return a deployment as LIST shows it at that time."""
    content = generation.run(at).specification
    model, properties = content.properties["model"], content.properties
    spec = DeploymentSpec(
        name=generation.name,
        model_name=content.model_name,
        model_version=model["version"],
        model_source=model["source"],
        sku=content.sku_name,
        capacity=content.capacity,
        rai_policy_name=properties["raiPolicyName"],
        version_upgrade_option=properties["versionUpgradeOption"],
        spillover_deployment_name=properties["spilloverDeploymentName"],
        tags=content.tags,
    )
    state = generation.state(at)
    return Hosted(
        spec,
        status_of(state),
        said=state,
        created_at=generation.created,
        tokens_per_minute=content.tokens_per_minute,
        requests_per_minute=content.requests_per_minute,
    )


def refusal(error: specification.ArmError) -> ProviderBusy | ProviderRefused | OutcomeUnknown:
    """Translate the emulator's error as the adapter does."""
    if error.code == "RequestConflict":
        return ProviderBusy(error.message, code=error.code)
    if error.status >= 500:
        return OutcomeUnknown(error.message, code=error.code)
    refused = CapacityRefused if error.code == "InsufficientQuota" else ProviderRefused
    return refused(error.message, code=error.code)


def renamed(spec: DeploymentSpec, name: str) -> DeploymentSpec:
    """Return the same deployment with another name."""
    return replace(spec, name=name)
