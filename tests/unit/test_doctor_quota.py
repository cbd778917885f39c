"""Doctor reads the quota that a create would draw on: the SKU's own, the one of fine-tuned models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

from shared.model import Hosted
from shared.ports import Offer, Quota
from shared.reports.doctor.findings import Finding, Status
from shared.reports.doctor.recreation import Recreation
from shared.timing import TIMING
from tests.fakes.world import ACCOUNT, World, config, hosted, settings

CLAUSES = replace(config(), spec=replace(config().spec, sku="GlobalStandard", capacity=120))
SPEC = CLAUSES.spec
BASE, TUNED = "OpenAI.GlobalStandard.gpt4.1-mini", "OpenAI.GlobalStandard.gpt4.1-mini-finetune"
STANDARD = "OpenAI.Standard.gpt4.1-mini-finetune"


def offer(quota: str, sku: str = "GlobalStandard") -> Offer:
    return Offer(SPEC.model_name, SPEC.model_version, sku, quota)


def existing(sku: str = "GlobalStandard", model: str = SPEC.model_name) -> Hosted:
    """What stands under the name of the configured deployment, with 100K."""
    return hosted(CLAUSES.name, sku=sku, capacity=100, model_name=model)


@dataclass
class Lists:
    """An account's list of models, and its subscription's list of quotas."""

    models: Sequence[Offer]
    usages: Mapping[str, Quota]

    async def offers(self, account: str, *, timeout: float) -> Sequence[Offer]:
        return self.models

    async def quotas(self, account: str, *, timeout: float) -> Mapping[str, Quota]:
        return self.usages


async def quota(lists: Lists, there: Hosted | None = None) -> Finding:
    world = World.of(CLAUSES)
    prices, now = settings(CLAUSES).prices, world.clock.now()
    checks = Recreation(ACCOUNT, [CLAUSES], prices, world.azure, lists, TIMING, now)
    azure = {} if there is None else {there.spec.name.lower(): there}
    (found,) = [each async for each in checks.findings(azure) if each.check.endswith(": quota")]
    return found


ALL_USED, HALF_USED = Quota(1000, 1000), Quota(500, 1000)


@pytest.mark.parametrize("order", [(offer(BASE), offer(TUNED)), (offer(TUNED), offer(BASE))])
async def test_the_quota_of_fine_tuned_models_counts(order: tuple[Offer, ...]) -> None:
    """Where the list names both, in whatever order: the base model's may be used up."""
    found = await quota(Lists(order, {BASE: ALL_USED, TUNED: HALF_USED}))
    assert (found.status, "500K of 1,000K" in found.what) == (Status.OK, True)


async def test_the_quota_of_another_sku_does_not_count() -> None:
    """Standard has room, GlobalStandard has none."""
    offers = [offer(STANDARD, "Standard"), offer(TUNED)]
    found = await quota(Lists(offers, {STANDARD: HALF_USED, TUNED: ALL_USED}))
    assert (found.status, "0K of 1,000K" in found.what) == (Status.FAILED, True)


@pytest.mark.parametrize(
    ("there", "free"),
    [
        (existing(), "100K"),
        (existing(sku="Standard"), "0K"),
        (existing(model="gpt-4o-2024-08-06.ft-1"), "0K"),
    ],
)
async def test_a_deployment_frees_the_quota_that_it_draws_on(there: Hosted, free: str) -> None:
    """Its own capacity is free for its re-creation, unless its SKU or model draws on another quota."""
    offers = [offer(STANDARD, "Standard"), offer(TUNED)]
    found = await quota(Lists(offers, {STANDARD: HALF_USED, TUNED: ALL_USED}), there)
    assert f": {free} of 1,000K" in found.what


@pytest.mark.parametrize("name", ["", "OpenAI.GlobalStandard.unknown"])
async def test_a_sku_without_a_quota_is_not_checked(name: str) -> None:
    """The list names no quota for it, or one that the subscription does not list."""
    found = await quota(Lists([offer(name)], {STANDARD: HALF_USED}))
    assert found.status is Status.UNCHECKED
