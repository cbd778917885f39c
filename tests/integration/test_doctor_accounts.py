"""doctor's checks of an account on the emulator: rights, deployments, models and quota."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.world import config
from tests.integration.command_line import QUOTA, REFUSED, Setup, findings, message_of
from tests.unit.settings_file import ACCOUNT_ID

CLAUSES = config().spec  # as in the set-up's deployments.yaml
OURS = {"lamplighter": "contoso-test"}
SOON = "run doctor again in a minute"


async def test_an_account_in_order_is_reported_so(setup: Setup) -> None:
    """It can be read, listed, written and asked; models and quota are there. Nothing is created for it."""
    await setup.deploy(replace(CLAUSES, tags=OURS))
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    checks = ("read", "list", "write", "deployments", "inference", "models", "lifecycle", "quota", "capacity")
    assert {f"account main: {check}" for check in checks} <= set(findings(answer, "ok"))
    assert message_of(answer, "account main: deployments") == "clauses is ours and Succeeded"
    assert message_of(answer, "account main: inference") == "clauses answered"
    assert await setup.hosted() == (1, 1)


# --- rights ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "check"),
    [("get", "account main: read"), ("list", "account main: list"), ("delete", "account main: write")],
)
async def test_a_right_that_is_missing_is_one_finding(setup: Setup, operation: str, check: str) -> None:
    """The finding names the grant; the other checks are made, too."""
    before = await setup.run("doctor", "--json")
    await setup.fault(plane="arm", operation=operation, **REFUSED)
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert set(findings(answer, "failed")) == {check}
    assert "accounts/deployments/read, write, delete" in findings(answer, "failed")[check]
    assert set(findings(answer, "ok")) == set(findings(before, "ok")) - {check}
    unlisted = "account main: deployments" in findings(answer, "not checked")
    assert unlisted is (operation == "list")


@pytest.mark.parametrize("operation", ["get", "list"])
async def test_an_account_that_does_not_answer_fails(setup: Setup, operation: str) -> None:
    """It may recover, but nothing can be hosted now."""
    await setup.fault(plane="arm", operation=operation, status=503)
    answer = await setup.run("doctor", "--json")
    assert (answer.code, len(findings(answer, "failed"))) == (1, 1)


async def test_a_delete_lock_is_not_a_missing_right(setup: Setup) -> None:
    """It fails, since nothing could ever be deleted; the remedy is to remove the lock."""
    await setup.fault(plane="arm", operation="delete", status=409, code="ScopeLocked")
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    locked = "remove the delete lock: deployments could never be deleted"
    assert findings(answer, "failed") == {"account main: write": locked}


@pytest.mark.parametrize("status", [409, 429, 503])
async def test_an_account_that_is_busy_leaves_the_right_to_write_open(setup: Setup, status: int) -> None:
    """A running operation, throttling and an error in Azure say nothing about rights."""
    await setup.fault(plane="arm", operation="delete", status=status)
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    assert findings(answer, "not checked")["account main: write"] == SOON


@pytest.mark.parametrize(
    ("fault", "status", "remedy"),
    [
        ({"status": 429}, "ok", ""),
        ({"status": 401, "code": "PermissionDenied"}, "failed", "Cognitive Services OpenAI User"),
        ({"status": 403, "code": "PermissionDenied"}, "failed", "Cognitive Services OpenAI User"),
        ({"status": 500}, "not checked", SOON),
        ({"drop": "before"}, "not checked", SOON),
        ({"status": 404, "code": "DeploymentNotFound"}, "not checked", SOON),
    ],
)
async def test_a_deployment_that_is_there_is_asked(
    setup: Setup, fault: dict[str, Any], status: str, remedy: str
) -> None:
    """A caller that is throttled has the right; a caller that is refused lacks the role."""
    await setup.deploy(replace(CLAUSES, tags=OURS))
    await setup.fault(plane="data", operation="chat", **fault)
    answer = await setup.run("doctor", "--json")
    assert answer.code == (status == "failed")
    assert remedy in findings(answer, status)["account main: inference"]


# --- deployments that exist --------------------------------------------------------------------------


async def test_somebody_elses_deployment_is_reported_with_its_price_and_the_remedy(setup: Setup) -> None:
    """It costs 1.70 an hour, needed or not; the remedy is adopt: true, with the properties that it keeps."""
    await setup.deploy(replace(CLAUSES, capacity=50))
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    assert "it costs 1.70 USD an hour" in message_of(answer, "account main: deployments")
    remedy = findings(answer, "warning")["account main: deployments"]
    assert remedy.startswith("say adopt: true")
    assert "capacity: the file says 120, Azure has 50" in remedy
    setup.configure(adopt="true")
    answer = await setup.run("doctor", "--json")
    assert "account main: deployments" in findings(answer, "ok")
    assert "is adopted by the next pass; it keeps what differs" in message_of(
        answer, "account main: deployments"
    )
    await setup.run("reconcile")
    answer = await setup.run("doctor", "--json")
    assert "clauses is ours" in message_of(answer, "account main: deployments")


# --- what a re-creation needs ---------------------------------------------------------------------------

SOURCE = ACCOUNT_ID.replace("contoso", "fabrikam")


async def test_a_source_that_may_not_be_read_fails(setup: Setup) -> None:
    """Its account does not exist for a caller without the right to see it: the create would be refused."""
    setup.configure(model__source=SOURCE)
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    remedy = findings(answer, "failed")["account main: model source"]
    assert f"Reader on {SOURCE}" in remedy and "LinkedAuthorizationFailed" in remedy
    setup.configure(model__source=ACCOUNT_ID)
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    assert "account main: model source" not in [each["check"] for each in answer.json["findings"]]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"lifecycle": "GenerallyAvailable"}, "ok"),
        ({"lifecycle": "Deprecating"}, "warning"),
        ({"lifecycle": "Deprecated"}, "failed"),
        ({"retires": "2020-01-01T00:00:00Z"}, "failed"),
        ({"retires": "2999-01-01T00:00:00Z"}, "ok"),
    ],
)
async def test_a_model_that_azure_retires_is_reported_before_it_is_deleted(
    setup: Setup, fault: dict[str, str], status: str
) -> None:
    """A deprecated model cannot be deployed again: the existing deployment must not be deleted."""
    await setup.deploy(replace(CLAUSES, tags=OURS))
    await setup.fault(plane="arm", operation="models", **fault)
    answer = await setup.run("doctor", "--json")
    assert answer.code == (status == "failed")
    remedy = findings(answer, status)["account main: lifecycle"]
    assert status == "ok" or remedy.startswith("train a newer model; until it is in place keep what stands")


async def test_the_base_models_age_counts_where_the_fine_tuned_is_not_listed(setup: Setup) -> None:
    """It is not known whether Azure lists fine-tuned ones."""
    base = replace(CLAUSES, name="base", model_name="gpt-4.1-mini", model_version="2025-04-14")
    await setup.deploy(base)
    await setup.fault(plane="arm", operation="models", lifecycle="Deprecated")
    answer = await setup.run("doctor", "--json")
    assert "account main: lifecycle" in findings(answer, "failed")


@pytest.mark.parametrize(("left", "status"), [(120, "ok"), (119, "warning")])
async def test_what_the_region_has_left_is_reported(setup: Setup, left: int, status: str) -> None:
    """Azure calls it advisory: too little is a warning, with the setting that keeps it and the cost."""
    await setup.fault(plane="arm", operation="capacities", left=left)
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    message = f"clauses: {left}K are left in the region for gpt-4.1-mini on GlobalStandard, it takes 120K"
    assert message_of(answer, "account main: capacity") == message
    remedy = findings(answer, status)["account main: capacity"]
    assert status == "ok" or ("keep_if_scarce: true" in remedy and "1.70 USD an hour" in remedy)


async def test_a_capacity_that_may_not_be_read_is_not_checked(setup: Setup) -> None:
    """Reading it needs a right on the subscription."""
    await setup.fault(plane="arm", operation="capacities", **REFUSED)
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    assert "Reader on the account's subscription" in findings(answer, "not checked")["account main: capacity"]


# --- models and quota --------------------------------------------------------------------------------


async def test_a_model_that_the_account_does_not_list_is_not_reported_as_wrong(setup: Setup) -> None:
    """It is not known whether Azure lists fine-tuned ones; without its entry a model's quota is unknown."""
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    unknown = findings(answer, "not checked")
    assert "compare model.name and model.version" in unknown["account main: models"]
    assert "az cognitiveservices usage list" in unknown["account main: quota"]


async def test_a_sku_that_the_region_does_not_offer_fails(setup: Setup) -> None:
    """The create would be refused, and the remedy names the SKUs that are offered."""
    await setup.deploy(replace(CLAUSES, name="other"))
    setup.configure(sku__name="DataZoneStandard")
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    offered = "set sku.name to one of DeveloperTier, GlobalStandard, ProvisionedManaged, Standard"
    assert findings(answer, "failed") == {"account main: models": offered}


async def test_lists_that_may_not_be_read_are_not_checked(setup: Setup) -> None:
    """The app's own rights do not include them: the remedy says how to see them, and nothing fails."""
    await setup.deploy(replace(CLAUSES, tags=OURS))
    await setup.fault(plane="arm", operation="models", **REFUSED)
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    see = "az cognitiveservices account list-models --resource-group g --name contoso"
    assert see in findings(answer, "not checked")["account main: models"]
    assert "account main: quota" not in [each["check"] for each in answer.json["findings"]]
    await setup.fault(plane="arm", operation="usages", **REFUSED)
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    assert "account main: models" in findings(answer, "ok")
    assert "usage list --location REGION" in findings(answer, "not checked")["account main: quota"]


@pytest.mark.parametrize(
    ("taken", "minimum", "status"),
    [
        (QUOTA - 120, None, "ok"),
        (QUOTA - 119, None, "failed"),
        (QUOTA - 119, "100", "warning"),
        (QUOTA - 100, "100", "warning"),
        (QUOTA - 99, "100", "failed"),
    ],
)
async def test_the_quota_must_leave_room(setup: Setup, taken: int, minimum: str | None, status: str) -> None:
    """There must be room for 120K, or for the configured minimum."""
    await setup.deploy(replace(CLAUSES, name="other", capacity=taken))
    setup.configure(**({"sku__minimum_capacity": minimum} if minimum else {}))
    answer = await setup.run("doctor", "--json")
    assert answer.code == (status == "failed")
    assert "account main: quota" in findings(answer, status)
    assert f"{QUOTA - taken}K of 1,000K tokens a minute are free" in message_of(answer, "account main: quota")


async def test_what_the_deployment_itself_uses_is_free_for_it(setup: Setup) -> None:
    """With all of the quota in use it may be deleted and created again."""
    await setup.deploy(replace(CLAUSES, tags=OURS))
    await setup.deploy(replace(CLAUSES, name="other", capacity=QUOTA - 120))
    answer = await setup.run("doctor", "--json")
    assert "account main: quota" in findings(answer, "ok")
    assert "120K of 1,000K tokens a minute are free" in message_of(answer, "account main: quota")


async def test_the_quota_of_another_sku_is_another(setup: Setup) -> None:
    """All of it is in use on GlobalStandard, and none on DeveloperTier."""
    await setup.deploy(replace(CLAUSES, name="other", capacity=QUOTA))
    setup.configure(sku__name="DeveloperTier")
    answer = await setup.run("doctor", "--json")
    assert "account main: quota" in findings(answer, "ok")
    assert "1,000K of 1,000K tokens a minute are free" in message_of(answer, "account main: quota")
