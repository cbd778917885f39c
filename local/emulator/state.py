"""The deployments of all accounts, as a pure state machine: every question and change takes `now`.

A deployment's state is computed from the times at which its writes take hold, so that it can be asked for
any moment, which is also how a stale LIST is answered. A *generation* is one creation of a deployment.
"""

import math
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from local.emulator.options import Account, SerialiseUntil
from local.emulator.specification import DEVELOPER_TIER, SKUS, ArmError, Specification, usage_name

ACCEPTED, CREATING, SUCCEEDED, DELETING = "Accepted", "Creating", "Succeeded", "Deleting"
NEVER_READY = "never_ready"  # an outcome: Succeeded, and yet no request ever does
_ACCEPTED_SHARE = 0.1  # of the provisioning time; then Creating
_DEVELOPER_TIER_LIFE = timedelta(hours=24)
_UNUSED_LIFE = timedelta(days=15)  # Azure deletes a fine-tuned deployment that nobody called for so long
_Z95 = 1.6448536269514722  # the 95th percentile of the standard normal distribution


@dataclass(frozen=True)
class ProvisioningTime:
    """How long provisioning takes, in seconds: lognormal by its median and 95th percentile."""

    median: float
    p95: float

    def sample(self, source: random.Random) -> float:
        """One duration in seconds; equal percentiles make it a constant."""
        if self.median == self.p95:
            return self.median
        return source.lognormvariate(math.log(self.median), math.log(self.p95 / self.median) / _Z95)


@dataclass(frozen=True)
class Rules:
    """How the accounts behave; seconds, and thousands of tokens per minute."""

    provisioning: ProvisioningTime
    delete_seconds: float
    warmup_seconds: float
    serialise_until: SerialiseUntil
    quota: int
    slots: int


@dataclass(frozen=True)
class Run:
    """One accepted PUT: what it asked for, by whom, and when it takes hold."""

    specification: Specification
    by: str
    accepted: datetime
    creating: datetime
    settled: datetime
    outcome: str  # the provisioning state from `settled` on
    serves: datetime | None  # from then on requests are answered


@dataclass
class Generation:
    """One deployment from its creation to its end; `number` is unique in the emulator."""

    number: int
    account: Account
    name: str
    runs: list[Run]
    deleted: datetime | None = None  # DELETE accepted
    gone: datetime | None = None
    last_call: datetime | None = None
    stuck: bool = False  # its deletion ends when somebody ends it, not by itself

    @property
    def created(self) -> datetime:
        return self.runs[0].accepted

    @property
    def resource_id(self) -> str:
        return f"{self.account.resource_id}/deployments/{self.name}"

    def hosted_until(self) -> datetime | None:
        """When hosting ends: at the DELETE, or when Azure itself removes it; None if that is not in sight.

        Whether Azure bills a deletion that is stuck is not known: here it does, as the deployment is there.
        """
        deleted = self.gone if self.stuck else self.deleted
        ends = [end for end in (deleted, self._removed_by_azure()) if end is not None]
        return min(ends, default=None)

    def exists(self, at: datetime) -> bool:
        if at < self.created or (self.gone is not None and self.gone <= at):
            return False
        removed = self._removed_by_azure()
        return removed is None or at < removed

    def run(self, at: datetime) -> Run:
        """The last PUT accepted by then."""
        return [run for run in self.runs if run.accepted <= at][-1]

    def state(self, at: datetime) -> str:
        """The provisioning state; only asked while it exists."""
        if self.deleted is not None and self.deleted <= at:
            return DELETING
        run = self.run(at)
        if at < run.creating:
            return ACCEPTED
        return CREATING if at < run.settled else run.outcome

    def busy(self, at: datetime) -> bool:
        """Whether a write to it is still under way."""
        return self.state(at) == DELETING or at < self.run(at).settled

    def serving(self, at: datetime) -> bool:
        """Whether requests are answered. Azure does not say what a deployment being deleted does: here,
        it answers no more."""
        serves = self.run(at).serves
        return self.exists(at) and self.state(at) != DELETING and serves is not None and serves <= at

    def ready(self, at: datetime) -> datetime | None:
        """When its first request could have succeeded, if that moment came."""
        first = min((run.serves for run in self.runs if run.serves is not None), default=None)
        end = self.hosted_until()
        return first if first is not None and first <= at and (end is None or first < end) else None

    def _removed_by_azure(self) -> datetime | None:
        asked = self.runs[0].specification
        if asked.sku_name == DEVELOPER_TIER:
            return self.created + _DEVELOPER_TIER_LIFE
        return (self.last_call or self.created) + _UNUSED_LIFE if asked.fine_tuned else None


@dataclass(frozen=True)
class Operation:
    """A deletion under way, as its azure-asyncoperation URL shows it."""

    identifier: str
    generation: Generation
    started: datetime
    ends: datetime | None  # None: not in sight

    def ended(self, at: datetime) -> bool:
        return self.ends is not None and self.ends <= at


class Deployments:
    """Every deployment that exists or ever existed.

    A PUT on a deployment that is Succeeded takes hold at once; on one that came to another state it is
    provisioned anew. An operation ends with the provisioning time, whatever state that led to.
    """

    def __init__(self, rules: Rules, source: random.Random) -> None:
        self.rules = rules
        self._random = source
        self._operations: dict[str, Operation] = {}
        self.generations: list[Generation] = []

    def list(self, account: Account, at: datetime) -> list[Generation]:
        """What exists in the account at that time, by name."""
        found = [each for each in self.generations if each.account == account and each.exists(at)]
        return sorted(found, key=lambda each: each.name.lower())

    def find(self, account: Account, name: str, at: datetime) -> Generation | None:
        """The deployment of that name, whatever its case, if it exists at that time."""
        return next((each for each in self.list(account, at) if each.name.lower() == name.lower()), None)

    def put(
        self,
        account: Account,
        name: str,
        specification: Specification,
        by: str,
        now: datetime,
        outcome: str = SUCCEEDED,
    ) -> tuple[Generation, bool]:
        """Accept a PUT; the second value tells whether it creates. Raises ArmError on a conflict or quota."""
        existing = self.find(account, name, now)
        self._refuse_if_busy(account, name, now)
        _refuse_another_model(existing, specification, now)
        self._refuse_without_quota(account, existing, specification, now)
        if existing is not None and existing.state(now) == SUCCEEDED:
            serves = existing.run(now).serves
            existing.runs.append(Run(specification, by, now, now, now, SUCCEEDED, serves))
            return existing, False
        run = self._provision(specification, by, now, outcome)
        if existing is not None:
            existing.runs.append(run)
            return existing, False
        generation = Generation(len(self.generations) + 1, account, name, [run])
        self.generations.append(generation)
        return generation, True

    def delete(
        self, account: Account, name: str, now: datetime, *, for_ever: bool = False
    ) -> Operation | None:
        """Accept a DELETE; None where there is nothing to delete. Raises ArmError for a conflict.

        `for_ever`: the deployment stays in Deleting until `end_stuck`.
        """
        existing = self.find(account, name, now)
        if existing is None:
            return None
        self._refuse_if_busy(account, name, now)
        existing.deleted, existing.stuck = now, for_ever
        existing.gone = None if for_ever else now + timedelta(seconds=self.rules.delete_seconds)
        return self._started(existing, now, existing.gone)

    def pretend_to_delete(self, account: Account, name: str, now: datetime) -> Operation | None:
        """Accept a DELETE as `delete` does, and leave everything as it is."""
        existing = self.find(account, name, now)
        if existing is None:
            return None
        self._refuse_if_busy(account, name, now)
        return self._started(existing, now, now)

    def end_stuck(self, now: datetime) -> None:
        """Deletions that were stuck end now."""
        for each in self.generations:
            if each.stuck and each.gone is None:
                each.gone = now

    def remove_all(self, account: Account, now: datetime) -> None:
        """The account itself is deleted, and all that it has with it, at once."""
        for each in self.list(account, now):
            each.deleted, each.gone = each.deleted or now, now

    def _started(self, generation: Generation, now: datetime, ends: datetime | None) -> Operation:
        operation = Operation(f"delete-{generation.number}", generation, now, ends)
        self._operations[operation.identifier] = operation
        return operation

    def operation(self, identifier: str) -> Operation | None:
        return self._operations.get(identifier)

    def models(self, account: Account) -> set[tuple[str, str]]:
        """Name and version of every model that the account was ever asked to deploy.

        The emulator trains none: it learns of a model from the first deployment of it.
        """
        runs = (run for each in self.generations if each.account == account for run in each.runs)
        return {(run.specification.model_name, run.specification.model_version) for run in runs}

    def quotas(self, subscription: str, at: datetime) -> dict[str, int]:
        """The capacity in use of every quota of a subscription, by the quota's name.

        Quotas exist for each SKU of every model that an account of the subscription was asked to deploy.
        """
        own = (each for each in self.generations if _is_of(subscription, each))
        models = {run.specification.model_name for generation in own for run in generation.runs}
        names = sorted({usage_name(model, sku) for model in models for sku in SKUS})
        return {name: self._in_use(subscription, name, at) for name in names}

    def _in_use(self, subscription: str, quota: str, at: datetime, besides: Generation | None = None) -> int:
        """The capacity of all deployments that draw on a quota, in every account of the subscription."""
        there = (each for each in self.generations if each.exists(at) and each is not besides)
        asked = (each.run(at).specification for each in there if _is_of(subscription, each))
        return sum(each.capacity for each in asked if each.usage_name == quota)

    def _provision(self, specification: Specification, by: str, now: datetime, outcome: str) -> Run:
        seconds = self.rules.provisioning.sample(self._random)
        run = Run(
            specification,
            by,
            accepted=now,
            creating=now + timedelta(seconds=seconds * _ACCEPTED_SHARE),
            settled=now + timedelta(seconds=seconds),
            outcome=SUCCEEDED if outcome == NEVER_READY else outcome,
            serves=None,
        )
        if outcome != SUCCEEDED:
            return run
        return replace(run, serves=run.settled + timedelta(seconds=self.rules.warmup_seconds))

    def _refuse_if_busy(self, account: Account, name: str, now: datetime) -> None:
        for each in self.list(account, now):
            same = each.name.lower() == name.lower()
            if each.busy(now) and (same or self.rules.serialise_until == "terminal"):
                raise ArmError(
                    409,
                    "RequestConflict",
                    "Another operation is being performed on the parent resource "
                    f"'{account.resource_id}'. Please try again later.",
                )

    def _refuse_without_quota(
        self, account: Account, existing: Generation | None, asked: Specification, now: datetime
    ) -> None:
        used = self._in_use(account.subscription, asked.usage_name, now, besides=existing)
        _refuse_above(
            asked.capacity, used, self.rules.quota, f"Tokens Per Minute (thousands) - {asked.model_name}"
        )
        if asked.fine_tuned:
            others = [other for other in self.list(account, now) if other is not existing]
            used = sum(other.run(now).specification.fine_tuned for other in others)
            _refuse_above(1, used, self.rules.slots, "Fine-tuned model deployments")


def _is_of(subscription: str, generation: Generation) -> bool:
    return generation.account.subscription.lower() == subscription.lower()


def _refuse_another_model(existing: Generation | None, asked: Specification, now: datetime) -> None:
    if existing is None or existing.run(now).specification.model_name == asked.model_name:
        return
    raise ArmError(
        400,
        "CannotChangeDeploymentModel",
        f"The model of the deployment '{existing.name}' cannot be changed. "
        "Please delete it and create it again.",
    )


def _refuse_above(needed: int, used: int, limit: int, quota: str) -> None:
    if needed > limit - used:
        raise ArmError(
            400,
            "InsufficientQuota",
            f"This operation require {needed} new capacity in quota {quota}, which is bigger than the "
            f"current available capacity {limit - used}. The current quota usage is {used} and the quota "
            f"limit is {limit} for quota {quota}.",
        )
