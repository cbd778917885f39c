"""Azure in memory: deployments that take time to be created, and models that answer once they are ready."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from shared.domain import AzureDeployment, DeploymentSpec, ModelAnswer, ModelRequest
from shared.errors import ArmConflict, ArmRefused, ArmUncertain, DeploymentNotFound, RequestRefused
from shared.ports import Clock

Operation = Literal["put", "delete", "list", "get", "ask"]


@dataclass
class _Hosted:
    """A deployment, and when its states change."""

    spec: DeploymentSpec
    created_at: datetime
    succeeds_at: datetime
    answers_at: datetime
    ends_as: str = "Succeeded"
    gone_at: datetime | None = None
    in_flight: int = 0


@dataclass(frozen=True)
class Deleted:
    """A DELETE that took effect: how long the deployment was hosted, and what it cut off."""

    name: str
    hosted: timedelta
    cut: int


@dataclass
class MemoryAzure:
    """One account. Fulfils `shared.ports.Arm` and `shared.ports.Model`."""

    clock: Clock
    provision_seconds: float = 60.0
    delete_seconds: float = 5.0
    warmup_seconds: float = 10.0
    answer_seconds: float = 2.0
    calls: list[tuple[Operation, str]] = field(default_factory=list)
    deleted: list[Deleted] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # the texts of requests that were answered
    answer: str = "an answer"
    ends_as: str = "Succeeded"  # of the next deployments
    quota: int = 10_000  # capacity of the whole account
    lost_answers: int = 0  # so many next creates take effect and are not answered
    _hosted: dict[str, _Hosted] = field(default_factory=dict)
    _faults: dict[Operation, deque[Exception]] = field(default_factory=dict)

    # --- what a test arranges and asks ----------------------------------------------------------

    def fail_next(self, operation: Operation, *errors: Exception) -> None:
        """The next calls of this operation raise these, without effect."""
        self._faults.setdefault(operation, deque()).extend(errors)

    def count(self, operation: Operation) -> int:
        """How many calls there were."""
        return sum(each == operation for each, _ in self.calls)

    def names(self) -> list[str]:
        """What exists now."""
        return sorted(name for name, hosted in self._hosted.items() if not self._is_gone(hosted))

    def vanish(self, name: str) -> None:
        """Somebody else deletes it, at once."""
        del self._hosted[name]

    # --- Arm ------------------------------------------------------------------------------------

    async def endpoint(self, account: str, *, timeout: float) -> str:
        self._call("get", account)
        return "https://memory.example/"

    async def deployments(self, account: str, *, timeout: float) -> Mapping[str, AzureDeployment]:
        self._call("list", account)
        return {name: self._shown(self._hosted[name]) for name in self.names()}

    async def put(self, account: str, spec: DeploymentSpec, *, timeout: float) -> AzureDeployment:
        self._call("put", spec.name)
        self._refuse_while_busy()
        if ".ft-" not in spec.model_name and not spec.model_name.startswith(("gpt-", "ftchkpt-")):
            raise ArmRefused("Azure does not know this model", code="DeploymentModelNotSupported")
        used = sum(self._hosted[name].spec.capacity for name in self.names() if name != spec.name)
        if used + spec.capacity > self.quota:
            raise ArmRefused("Azure has no capacity left", code="InsufficientQuota")
        now = self.clock.now()
        if spec.name in self.names():
            self._hosted[spec.name].spec = spec
        else:
            succeeds_at = now + timedelta(seconds=self.provision_seconds)
            answers_at = succeeds_at + timedelta(seconds=self.warmup_seconds)
            self._hosted[spec.name] = _Hosted(spec, now, succeeds_at, answers_at, self.ends_as)
        if self.lost_answers:
            self.lost_answers -= 1
            raise ArmUncertain("the answer was lost")
        return self._shown(self._hosted[spec.name])

    async def delete(self, account: str, deployment: str, *, timeout: float) -> None:
        self._call("delete", deployment)
        self._refuse_while_busy()
        hosted = self._hosted.get(deployment)
        if hosted is None or hosted.gone_at is not None:
            return
        now = self.clock.now()
        hosted.gone_at = now + timedelta(seconds=self.delete_seconds)
        self.deleted.append(Deleted(deployment, now - hosted.created_at, hosted.in_flight))

    def _call(self, operation: Operation, what: str) -> None:
        self.calls.append((operation, what))
        if self._faults.get(operation):
            raise self._faults[operation].popleft()

    def _refuse_while_busy(self) -> None:
        """Writes serialise per account, until the operation before has ended."""
        for hosted in self._hosted.values():
            if not self._is_gone(hosted) and self._state(hosted) in ("Accepted", "Creating", "Deleting"):
                raise ArmConflict("another operation runs on the account", code="RequestConflict")

    def _is_gone(self, hosted: _Hosted) -> bool:
        return hosted.gone_at is not None and self.clock.now() >= hosted.gone_at

    def _state(self, hosted: _Hosted) -> str:
        now = self.clock.now()
        if hosted.gone_at is not None:
            return "Deleting"
        if now >= hosted.succeeds_at:
            return hosted.ends_as
        return "Accepted" if now == hosted.created_at else "Creating"

    def _shown(self, hosted: _Hosted) -> AzureDeployment:
        spec = hosted.spec
        return AzureDeployment(
            name=spec.name,
            provisioning_state=self._state(hosted),
            sku=spec.sku,
            capacity=spec.capacity,
            model_name=spec.model_name,
            model_version=spec.model_version,
            model_source=spec.model_source,
            rai_policy_name=spec.rai_policy_name,
            version_upgrade_option=spec.version_upgrade_option,
            spillover_deployment_name=spec.spillover_deployment_name,
            tags=dict(spec.tags),
            created_at=hosted.created_at,
            tokens_per_minute=spec.capacity * 1000,
            requests_per_minute=spec.capacity,
        )

    # --- Model ----------------------------------------------------------------------------------

    async def ask(
        self, endpoint: str, deployment: str, request: ModelRequest, *, timeout: float
    ) -> ModelAnswer:
        self._call("ask", deployment)
        hosted = self._hosted.get(deployment)
        if hosted is None or hosted.gone_at is not None or self.clock.now() < hosted.answers_at:
            raise DeploymentNotFound("not there", code="DeploymentNotFound")
        if "[[content_filter]]" in request.text:
            raise RequestRefused("Azure's content filter refused the document", code="content_filter")
        hosted.in_flight += 1
        try:
            await self.clock.sleep(self.answer_seconds)
        finally:
            hosted.in_flight -= 1
        if hosted.gone_at is not None:
            raise ArmUncertain("cut off")
        self.asked.append(request.text)
        return ModelAnswer(
            text=self.answer if request.response_schema is None else json.dumps({"title": self.answer}),
            finish_reason="stop",
            model=hosted.spec.model_name,
            prompt_tokens=math.ceil(len((request.system_prompt + request.text).encode()) / 4),
            completion_tokens=7,
            remaining_tokens=None,
        )


def renamed(spec: DeploymentSpec, name: str) -> DeploymentSpec:
    """The same deployment under another name."""
    return replace(spec, name=name)
