"""The deployments of all accounts as a pure state machine: every query and change takes the time.

A state is computed from the times at which writes take effect. So it can be computed for any moment, also for
the past of a stale LIST. A *generation* is one deployment from its creation to its end.
"""

import math
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from local.emulator.options import Account, SerialiseUntil
from local.emulator.specification import DEVELOPER_TIER, SKUS, ArmError, Specification, usage_name

ACCEPTED, CREATING, SUCCEEDED, DELETING = "Accepted", "Creating", "Succeeded", "Deleting"
NEVER_READY = "never_ready"  # an outcome: the state is Succeeded, but no request ever succeeds
_ACCEPTED_SHARE = 0.1  # of the provisioning time the state is Accepted; then it is Creating
_DEVELOPER_TIER_LIFE = timedelta(hours=24)
_UNUSED_LIFE = timedelta(days=15)  # Azure deletes a fine-tuned deployment without calls after that time
_Z95 = 1.6448536269514722  # the 95th percentile of the standard normal distribution


@dataclass(frozen=True)
class Lognormal:
    """A duration in seconds: lognormal, given by its median and 95th percentile."""

    median: float
    p95: float

    def sample(self, source: random.Random) -> float:
        """Return one duration in seconds; it is constant if both percentiles are equal."""
        if self.median == self.p95:
            return self.median
        return source.lognormvariate(math.log(self.median), math.log(self.p95 / self.median) / _Z95)


@dataclass(frozen=True)
class Rules:
    """The behaviour of accounts. Times are in seconds, the quota in thousands of tokens per minute."""

    provisioning: Lognormal
    delete_seconds: float
    warmup_seconds: float
    serialise_until: SerialiseUntil
    quota: int  # of each SKU and model, for all accounts of a subscription
    slots: int  # fine-tuned deployments of an account


@dataclass(frozen=True)
class Run:
    """One accepted PUT: its body, its caller, and when it takes effect."""

    specification: Specification
    by: str
    accepted: datetime
    creating: datetime
    settled: datetime
    outcome: str  # the provisioning state from `settled` on
    serves: datetime | None  # requests are answered from then on; None: never


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
    stuck: bool = False  # its deletion ends only with `end_stuck`

    @property
    def created(self) -> datetime:
        return self.runs[0].accepted

    @property
    def resource_id(self) -> str:
        return f"{self.account.resource_id}/deployments/{self.name}"

    def hosted_until(self) -> datetime | None:
        """Return when hosting ends: at the DELETE, or when Azure removes it; None if neither is known.

        It is unknown whether Azure bills a stuck deletion: here it does, as the deployment still exists.
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
        """Return the last PUT that was accepted by that time."""
        return [run for run in self.runs if run.accepted <= at][-1]

    def state(self, at: datetime) -> str:
        """Return the provisioning state at a time at which it exists."""
        if self.deleted is not None and self.deleted <= at:
            return DELETING
        run = self.run(at)
        if at < run.creating:
            return ACCEPTED
        return CREATING if at < run.settled else run.outcome

    def busy(self, at: datetime) -> bool:
        """Return whether a write to it is still in progress."""
        return self.state(at) == DELETING or at < self.run(at).settled

    def serving(self, at: datetime) -> bool:
        """Return whether requests are answered.

        Azure does not document what a deployment does while it is deleted: here it no longer answers.
        """
        serves = self.run(at).serves
        return self.exists(at) and self.state(at) != DELETING and serves is not None and serves <= at

    def ready(self, at: datetime) -> datetime | None:
        """Return when its first request could succeed; None if that has not happened by then."""
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
    """A deletion in progress, as its azure-asyncoperation URL shows it."""

    identifier: str
    generation: Generation
    started: datetime
    ends: datetime | None  # None: unknown

    def ended(self, at: datetime) -> bool:
        return self.ends is not None and self.ends <= at


class Deployments:
    """Every deployment that exists or ever existed.

    A PUT on a deployment in the state Succeeded takes effect at once; in another state, the deployment is
    provisioned again. An operation ends with the provisioning time, with any outcome.
    """

    def __init__(self, rules: Rules, source: random.Random) -> None:
        self.rules = rules
        self._random = source
        self._operations: dict[str, Operation] = {}
        self.generations: list[Generation] = []

    def list(self, account: Account, at: datetime) -> list[Generation]:
        """Return the deployments that exist in the account at that time, sorted by name."""
        found = [each for each in self.generations if each.account == account and each.exists(at)]
        return sorted(found, key=lambda generation: generation.name.lower())

    def find(self, account: Account, name: str, at: datetime) -> Generation | None:
        """Return the deployment of that name (case-insensitive) if it exists at that time."""
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
        """Accept a PUT; the second value is True for a creation. Raises ArmError on a conflict or quota."""
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
        """Accept a DELETE; return None if there is nothing to delete. Raises ArmError on a conflict.

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
        """Accept a DELETE as `delete` does, but delete nothing."""
        existing = self.find(account, name, now)
        if existing is None:
            return None
        self._refuse_if_busy(account, name, now)
        return self._started(existing, now, now)

    def end_stuck(self, now: datetime) -> None:
        """End all stuck deletions now."""
        for generation in self.generations:
            if generation.stuck and generation.gone is None:
                generation.gone = now

    def remove_all(self, account: Account, now: datetime) -> None:
        """Remove all deployments at once, as the deletion of the account itself does."""
        for generation in self.list(account, now):
            generation.deleted, generation.gone = generation.deleted or now, now

    def _started(self, generation: Generation, now: datetime, ends: datetime | None) -> Operation:
        operation = Operation(f"delete-{generation.number}", generation, now, ends)
        self._operations[operation.identifier] = operation
        return operation

    def operation(self, identifier: str) -> Operation | None:
        return self._operations.get(identifier)

    def models(self, account: Account) -> set[tuple[str, str]]:
        """Return name and version of every model that the account was ever asked to deploy.

        The emulator trains no models: it knows a model from its first deployment on.
        """
        own = (generation for generation in self.generations if generation.account == account)
        runs = (run for generation in own for run in generation.runs)
        return {(run.specification.model_name, run.specification.model_version) for run in runs}

    def quotas(self, subscription: str, at: datetime) -> dict[str, int]:
        """Return the capacity in use of every quota of a subscription, by the quota's name.

        Quotas exist for each SKU of every model that an account of the subscription was asked to deploy.
        """
        own = (generation for generation in self.generations if _is_of(subscription, generation))
        models = {run.specification.model_name for generation in own for run in generation.runs}
        names = sorted({usage_name(model, sku) for model in models for sku in SKUS})
        return {name: self._in_use(subscription, name, at) for name in names}

    def _in_use(self, subscription: str, quota: str, at: datetime, besides: Generation | None = None) -> int:
        """Return the capacity of all deployments that draw on a quota, in all accounts of a subscription."""
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
        for other in self.list(account, now):
            same = other.name.lower() == name.lower()
            if other.busy(now) and (same or self.rules.serialise_until == "terminal"):
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
