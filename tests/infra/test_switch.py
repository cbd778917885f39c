"""The safety switch, run from its own definition on the emulator: it deletes only our expired deployments."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from local.emulator.server import Options, emulator
from shared.hosting.create import TAG_TIME
from shared.planning.observed import DELETE_AFTER_TAG, OWNER_TAG
from shared.settings.load import load
from tests.infra.bicep import RESOURCE_MANAGER, Deployed
from tests.infra.shared_uses import ROOT
from tests.infra.workflow import Run, WorkflowError, definition, run

START = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
OURS = "my-installation"
PROVIDER = "providers/Microsoft.CognitiveServices/accounts"
ACCOUNT = f"/subscriptions/s/resourceGroups/models/{PROVIDER}/contoso"
OTHER = f"/subscriptions/t/resourceGroups/others/{PROVIDER}/fabrikam"


class Clock:
    """A time that tests move; the emulator and the switch share it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Azure:
    """Two accounts, and the switch as Azure would run it."""

    url: str
    clock: Clock
    session: aiohttp.ClientSession

    async def create(self, name: str, tags: dict[str, str] | None, account: str = ACCOUNT) -> None:
        """Create a deployment with these tags, and wait until its creation has ended."""
        model = {"format": "OpenAI", "name": "gpt-4.1-mini-2025-04-14.ft-0e2c", "version": "1"}
        body = {"sku": {"name": "GlobalStandard", "capacity": 1}, "properties": {"model": model}}
        body |= {} if tags is None else {"tags": tags}
        answer = await self._call("PUT", f"{account}/deployments/{name}", body)
        assert answer.status == 201, await answer.text()
        self.clock.now += timedelta(seconds=10)

    async def names(self, account: str = ACCOUNT) -> set[str]:
        """Return the deployments that exist a minute later, when running operations have ended."""
        self.clock.now += timedelta(minutes=1)
        answer = await (await self._call("GET", f"{account}/deployments")).json()
        return {deployment["name"] for deployment in answer["value"]}

    async def switch(self, *accounts: str) -> Run:
        """Run the switch once."""
        parameters = {
            "installation": OURS,
            "accounts": list(accounts or (ACCOUNT,)),
            "resourceManager": self.url,
        }
        return await run(definition(), parameters, self.clock.now)

    async def _call(self, method: str, path: str, body: Any = None) -> aiohttp.ClientResponse:
        return await self.session.request(
            method,
            f"{self.url}{path}?api-version=2025-09-01",
            data=None if body is None else json.dumps(body),
            headers={"Authorization": "Bearer of-the-app", "Content-Type": "application/json"},
        )


@asynccontextmanager
async def azure_with(**options: Any) -> AsyncIterator[Azure]:
    clock = Clock()
    quick = {"provision_median": 0, "provision_p95": 0, "delete_seconds": 5, "warmup_seconds": 0}
    given = Options(accounts=(ACCOUNT, OTHER), **{**quick, **options})
    async with emulator(given, clock) as running, aiohttp.ClientSession() as session:
        yield Azure(running.url, clock, session)


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with azure_with() as running:
        yield running


def tags(delete_after: datetime | str, owner: str = OURS) -> dict[str, str]:
    """Return the tags as the app writes them, or with another text for the time."""
    text = delete_after if isinstance(delete_after, str) else delete_after.strftime(TAG_TIME)
    return {OWNER_TAG: owner, DELETE_AFTER_TAG: text}


AN_HOUR_AGO, IN_AN_HOUR = START - timedelta(hours=1), START + timedelta(hours=1)
KEPT = {
    "ours-and-not-yet": tags(IN_AN_HOUR),
    "ours-without-a-time": {OWNER_TAG: OURS},
    "another-installation": tags(AN_HOUR_AGO, owner="contoso-test"),
    "same-word-other-case": tags(AN_HOUR_AGO, owner=OURS.upper()),
    "nobody-s": {DELETE_AFTER_TAG: "2026-01-01T00:00:00Z"},
    "without-tags": None,
    "empty-time": tags(""),
    "a-word": tags("tomorrow"),
    "a-date": tags("2026-01-01"),
    "not-utc": tags("2026-11-22T21:00:00+01:00"),
    "with-a-space": tags("2026-11-22 21:00:00Z"),
    "without-seconds": tags("2026-11-22T21:00Z"),
    "without-a-zone": tags("2026-11-22T21:00:00."),
}


async def test_only_our_expired_deployments_are_deleted(azure: Azure) -> None:
    """Of seven deployments of several kinds on one account, the switch deletes one."""
    await azure.create("ours-and-past", tags(AN_HOUR_AGO))
    # The account holds at most ten fine-tuned deployments.
    for name, given in list(KEPT.items())[:6]:
        await azure.create(name, given)
    outcome = await azure.switch()
    assert outcome.succeeded
    assert [method for method, _, _ in outcome.requests] == ["GET", "DELETE"]
    assert await azure.names() == set(list(KEPT)[:6])


@pytest.mark.parametrize("name", KEPT)
async def test_each_of_these_is_kept(azure: Azure, name: str) -> None:
    """With any tags it is kept, and the switch still deletes the expired deployment."""
    await azure.create(name, KEPT[name])
    await azure.create("ours-and-past", tags(AN_HOUR_AGO))
    assert (await azure.switch()).succeeded
    assert await azure.names() == {name}


async def test_a_deployment_expires_after_its_second(azure: Azure) -> None:
    """At the second of the tag it is kept; a second later it is deleted."""
    await azure.create("edge", tags(START + timedelta(seconds=60)))
    azure.clock.now = START + timedelta(seconds=60)
    assert [method for method, _, _ in (await azure.switch()).requests] == ["GET"]
    azure.clock.now += timedelta(seconds=1)
    assert [method for method, _, _ in (await azure.switch()).requests] == ["GET", "DELETE"]


async def test_two_expired_deployments_take_two_runs(azure: Azure) -> None:
    """Azure accepts one write per account at a time: a 409 fails the run, and the next run continues."""
    await azure.create("first", tags(AN_HOUR_AGO))
    await azure.create("second", tags(AN_HOUR_AGO))
    outcome = await azure.switch()
    assert [status for _, _, status in outcome.requests] == [200, 202, 409]
    assert not outcome.succeeded
    assert await azure.names() == {"second"}
    assert (await azure.switch()).succeeded
    assert await azure.names() == set()


async def test_a_running_delete_is_not_repeated() -> None:
    """A deployment that Azure is deleting already is not deleted again, so the run does not fail."""
    async with azure_with(delete_seconds=3600) as azure:
        await azure.create("slow", tags(AN_HOUR_AGO))
        await azure.switch()
        azure.clock.now += timedelta(minutes=15)
        outcome = await azure.switch()
        assert outcome.succeeded
        assert [method for method, _, _ in outcome.requests] == ["GET"]


async def test_a_failing_account_does_not_block_another(azure: Azure) -> None:
    """A removed account fails the run, which raises an alert; the other account is still cleaned up."""
    await azure.create("ours-and-past", tags(AN_HOUR_AGO), account=OTHER)
    gone = ACCOUNT.replace("contoso", "removed")
    outcome = await azure.switch(gone, OTHER)
    assert not outcome.succeeded
    assert await azure.names(OTHER) == set()


async def test_it_needs_no_right_to_follow_an_operation(azure: Azure) -> None:
    """Without the option that stops polling, Azure would poll a URL that the switch may not read."""
    careless = definition()
    inner = careless["actions"]["For_each_account"]["actions"]["For_each_of_these"]["actions"]
    del inner["Delete_deployment"]["operationOptions"]
    await azure.create("ours-and-past", tags(AN_HOUR_AGO))
    parameters = {"installation": OURS, "accounts": [ACCOUNT], "resourceManager": azure.url}
    with pytest.raises(WorkflowError, match="polled"):
        await run(careless, parameters, azure.clock.now)


def test_the_bicep_gives_it_what_the_app_uses(deployed: Deployed, parameters: dict[str, Any]) -> None:
    """It gets the installation, every account, and Azure's address without a slash at the end."""
    (switch,) = deployed.of_type("Microsoft.Logic/workflows")
    environment = {"AZURE_OPENAI_ACCOUNT_ID": str(parameters["openAiAccountId"])}
    settings = load(ROOT / "deployments.yaml", environment)
    assert switch.properties["definition"] == definition()
    assert switch.properties["parameters"] == {
        "installation": {"value": settings.installation},
        "accounts": {"value": [parameters["openAiAccountId"], *parameters["moreOpenAiAccountIds"]]},
        "resourceManager": {"value": RESOURCE_MANAGER.rstrip("/")},
    }
    assert switch.properties["state"] == "Enabled"
    assert switch.body["identity"] == {"type": "SystemAssigned"}


def test_it_runs_every_fifteen_minutes_one_run_at_a_time() -> None:
    """A leak lasts at most a quarter of an hour beyond the longest session."""
    (trigger,) = definition()["triggers"].values()
    assert trigger["type"] == "Recurrence"
    assert trigger["recurrence"] == {"frequency": "Minute", "interval": 15}
    assert trigger["runtimeConfiguration"] == {"concurrency": {"runs": 1}}
