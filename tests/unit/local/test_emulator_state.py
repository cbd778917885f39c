"""Deployments through their states, by a clock set by hand."""

import random
import statistics
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from emulator_clients import ACCOUNT_ID, MODEL, START

from local.emulator.options import Account
from local.emulator.specification import ArmError, Specification
from local.emulator.state import NEVER_READY, Deployments, Lognormal, Rules

ACCOUNT = Account.parse(ACCOUNT_ID)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def deployments(**rules) -> Deployments:
    values = {
        "provisioning": Lognormal(100, 100),
        "delete_seconds": 10,
        "warmup_seconds": 20,
        "serialise_until": "terminal",
        "quota": 1000,
        "slots": 10,
        **rules,
    }
    return Deployments(Rules(**values), random.Random(1))


def asking(capacity: int = 10, sku: str = "GlobalStandard", model: str = MODEL) -> Specification:
    return Specification({"name": sku, "capacity": capacity}, {}, {"model": {"name": model}})


def put(cloud: Deployments, name: str, now: datetime, *, outcome: str = "Succeeded", **kwargs):
    return cloud.put(ACCOUNT, name, asking(**kwargs), "test", now, outcome)[0]


def test_a_deployment_is_accepted_created_warms_up_serves_and_is_deleted():
    """100 s of provisioning, 20 s of warm-up, 10 s of deletion, and nothing after that."""
    cloud = deployments()
    clauses = put(cloud, "clauses", at(0))
    seen = [(second, clauses.state(at(second)), clauses.serving(at(second))) for second in (0, 10, 100, 120)]
    assert seen == [
        (0, "Accepted", False),
        (10, "Creating", False),
        (100, "Succeeded", False),
        (120, "Succeeded", True),
    ]
    assert cloud.delete(ACCOUNT, "clauses", at(200)) is not None
    assert (clauses.state(at(209)), clauses.serving(at(209))) == ("Deleting", False)
    assert cloud.find(ACCOUNT, "clauses", at(209)) is clauses
    assert cloud.find(ACCOUNT, "clauses", at(210)) is None


def test_the_past_can_be_asked_for():
    """What existed at any moment stays known, through deletion and creation anew."""
    cloud = deployments()
    first = put(cloud, "clauses", at(0))
    cloud.delete(ACCOUNT, "clauses", at(200))
    second = put(cloud, "clauses", at(300))
    seen = [cloud.list(ACCOUNT, at(seconds)) for seconds in (-1, 150, 205, 250, 300)]
    assert seen == [[], [first], [first], [], [second]]
    assert (first.state(at(5)), first.state(at(150))) == ("Accepted", "Succeeded")
    assert first.number != second.number


@pytest.mark.parametrize("outcome", ["Failed", "Canceled", "SomethingNew"])
def test_another_outcome_never_serves_and_can_be_put_again(outcome):
    """A PUT on a deployment that did not succeed provisions it anew, without a new creation."""
    cloud = deployments()
    clauses = put(cloud, "clauses", at(0), outcome=outcome)
    assert clauses.state(at(100)) == outcome
    assert (clauses.serving(at(1000)), clauses.ready(at(1000))) == (False, None)
    assert put(cloud, "clauses", at(1000)) is clauses
    assert clauses.state(at(1050)) == "Creating"
    assert clauses.ready(at(2000)) == at(1120)


def test_a_deployment_may_succeed_and_never_be_ready():
    """It says Succeeded and yet never serves, until it is deleted and created again."""
    cloud = deployments()
    clauses = put(cloud, "clauses", at(0), outcome=NEVER_READY)
    assert (clauses.state(at(100)), clauses.serving(at(10_000))) == ("Succeeded", False)
    cloud.delete(ACCOUNT, "clauses", at(10_000))
    assert put(cloud, "clauses", at(10_010)).serving(at(10_130))


def test_an_update_takes_hold_at_once_and_goes_on_serving():
    """A PUT on a deployment that succeeded changes its capacity; it stays the same creation."""
    cloud = deployments()
    clauses = put(cloud, "clauses", at(0))
    updated, created = cloud.put(ACCOUNT, "CLAUSES", asking(capacity=20), "another", at(200))
    assert (updated, created) == (clauses, False)
    assert clauses.serving(at(200))
    assert [clauses.run(at(second)).specification.capacity for second in (199, 200)] == [10, 20]
    assert clauses.created == at(0)


def test_writes_on_an_account_wait_for_each_other_until_the_operation_is_terminal():
    """Others, and the deployment itself, meet RequestConflict while it is created and while it is deleted."""
    cloud = deployments()
    put(cloud, "clauses", at(0))
    for write in (
        lambda now: put(cloud, "summaries", now),
        lambda now: put(cloud, "clauses", now),
        lambda now: cloud.delete(ACCOUNT, "clauses", now),
    ):
        with pytest.raises(
            ArmError, match="Another operation is being performed on the parent resource"
        ) as refused:
            write(at(99))
        assert (refused.value.status, refused.value.code) == (409, "RequestConflict")
    put(cloud, "summaries", at(100))
    cloud.delete(ACCOUNT, "clauses", at(200))
    with pytest.raises(ArmError):
        put(cloud, "letters", at(209))
    put(cloud, "letters", at(210))


def test_writes_may_wait_until_the_other_is_accepted_only():
    """Then only a deployment's own operation stands in the way."""
    cloud = deployments(serialise_until="accepted")
    put(cloud, "clauses", at(0))
    put(cloud, "summaries", at(0))
    with pytest.raises(ArmError):
        cloud.delete(ACCOUNT, "clauses", at(1))


def test_quota_counts_what_exists_and_is_released_when_it_is_gone():
    """100 of capacity: 60 leave no room for 60, an update to 100 fits, and a deletion frees all."""
    cloud = deployments(quota=100)
    put(cloud, "clauses", at(0), capacity=60)
    with pytest.raises(ArmError, match=r"require 60 new capacity .* available capacity 40") as refused:
        put(cloud, "summaries", at(100), capacity=60)
    assert (refused.value.status, refused.value.code) == (400, "InsufficientQuota")
    put(cloud, "clauses", at(100), capacity=100)
    cloud.delete(ACCOUNT, "clauses", at(200))
    put(cloud, "summaries", at(210), capacity=100)


def test_each_sku_and_model_has_a_quota_of_its_own():
    """GlobalStandard is used up: the base model, another SKU and another model have room all the same."""
    cloud = deployments(quota=100)
    put(cloud, "clauses", at(0), capacity=100)
    put(cloud, "base", at(100), capacity=100, model="gpt-4.1-mini-2025-04-14")
    put(cloud, "standard", at(200), capacity=100, sku="Standard")
    put(cloud, "other", at(300), capacity=100, model="gpt-4o-2024-08-06.ft-1")
    with pytest.raises(ArmError, match="available capacity 0"):
        put(cloud, "twin", at(400), capacity=1, model="gpt-4.1-mini-2025-04-14.ft-2")


def test_the_accounts_of_a_subscription_share_its_quota():
    """And another subscription has its own."""
    cloud = deployments(quota=100)
    put(cloud, "clauses", at(0), capacity=60)
    neighbour, elsewhere = replace(ACCOUNT, name="neighbour"), replace(ACCOUNT, subscription="another")
    with pytest.raises(ArmError, match="available capacity 40"):
        cloud.put(neighbour, "clauses", asking(60), "test", at(100))
    cloud.put(elsewhere, "clauses", asking(60), "test", at(100))
    assert set(cloud.quotas(ACCOUNT.subscription.upper(), at(100)).values()) == {0, 60}


def test_slots_count_fine_tuned_deployments_only():
    """Two slots hold two fine-tuned models; a base model needs none."""
    cloud = deployments(slots=2)
    put(cloud, "one", at(0))
    put(cloud, "two", at(100), model="ftchkpt-0e2c")
    with pytest.raises(ArmError, match="Fine-tuned"):
        put(cloud, "three", at(200))
    put(cloud, "base", at(200), model="gpt-4.1-mini")


def test_azure_deletes_the_developer_tier_after_a_day():
    """It lives 24 hours from its creation, in use or not."""
    cloud = deployments()
    trial = put(cloud, "trial", at(0), sku="DeveloperTier")
    trial.last_call = at(86_000)
    assert cloud.find(ACCOUNT, "trial", at(86_399)) is trial
    assert cloud.find(ACCOUNT, "trial", at(86_400)) is None
    assert trial.hosted_until() == at(86_400)


def test_azure_deletes_a_fine_tuned_deployment_that_nobody_calls_for_15_days():
    """A call on the fourteenth day starts the fifteen days anew; a base model stays."""
    day = 86_400
    cloud = deployments()
    clauses = put(cloud, "clauses", at(0))
    put(cloud, "base", at(100), model="gpt-4.1-mini")
    clauses.last_call = at(14 * day)
    assert cloud.find(ACCOUNT, "clauses", at(29 * day - 1)) is clauses
    assert [each.name for each in cloud.list(ACCOUNT, at(29 * day))] == ["base"]


def test_provisioning_times_have_their_median_and_95th_percentile():
    """2,000 samples of median 300 s and p95 900 s come near both; the same seed gives the same times."""
    time = Lognormal(300, 900)
    source, again = random.Random(7), random.Random(7)
    samples = [time.sample(source) for _ in range(2000)]
    assert statistics.median(samples) == pytest.approx(300, rel=0.1)
    assert statistics.quantiles(samples, n=20)[-1] == pytest.approx(900, rel=0.15)
    assert samples == [time.sample(again) for _ in range(2000)]
