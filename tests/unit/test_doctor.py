"""What the doctor finds over the app in memory, and the SDK's catalogue calls over documented JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from shared.adapters.arm import AzureArm
from shared.doctor import app as app_checks
from shared.doctor import storage
from shared.doctor.accounts import AccountCheck
from shared.doctor.findings import Finding, Status
from shared.domain import DeploymentSpec
from shared.errors import (
    AccessDenied,
    ArmConflict,
    ArmError,
    ArmRefused,
    ArmUncertain,
    ModelUnavailable,
    RateLimited,
    StorageError,
)
from shared.ports import Insert, Offer, Page, Quota, Remove, Replace
from tests.fakes.clock import VirtualClock
from tests.fakes.tables import MemoryTables
from tests.fakes.world import ACCOUNT, World, hosting

MODEL = "gpt-4.1-mini-2025-04-14.ft-0e2c"
NO_RIGHT = ArmRefused("no right", code="AuthorizationFailed")


@dataclass
class MemoryCatalogue:
    """Offers and quotas that a test names, or the error with which they are refused."""

    listed: list[Offer] = field(default_factory=list)
    free: dict[str, Quota] = field(default_factory=dict)
    offers_refused: ArmError | None = None
    quotas_refused: ArmError | None = None

    async def offers(self, account: str, *, timeout: float) -> Sequence[Offer]:
        if self.offers_refused:
            raise self.offers_refused
        return self.listed

    async def quotas(self, account: str, *, timeout: float) -> Mapping[str, Quota]:
        if self.quotas_refused:
            raise self.quotas_refused
        return self.free


OFFERED = MemoryCatalogue([Offer(MODEL, "1", "GlobalStandard", "q")], {"q": Quota(0, 1000)})


async def account_findings(world: World, catalogue: MemoryCatalogue = OFFERED) -> dict[str, Finding]:
    """The findings about the account, by the last part of the check's name."""
    control = world.app.control
    check = AccountCheck(ACCOUNT, world.app.settings, control.arm, control.model, catalogue, control.ledger)
    found = [each async for each in check.findings()]
    assert all(each.remedy for each in found if each.status is not Status.OK)
    return {each.check.removeprefix("account main: "): each for each in found}


async def stands(world: World, spec: DeploymentSpec) -> None:
    """Somebody has created that deployment, and it answers by now."""
    await world.azure.put(ACCOUNT.resource_id, spec, timeout=10)
    world.clock.advance(100)


# --- accounts ----------------------------------------------------------------------------------------


async def test_an_account_in_order_is_told_so() -> None:
    """Readable, listable, writable, offered, within quota; and not a single PUT."""
    world = World.of(hosting())
    found = await account_findings(world)
    assert {name: each.status for name, each in found.items()} == {
        "read": Status.OK,
        "list": Status.OK,
        "write": Status.OK,
        "inference": Status.UNCHECKED,
        "models": Status.OK,
        "quota": Status.OK,
    }
    assert world.azure.count("put") == world.azure.count("ask") == 0
    (name,) = [what for operation, what in world.azure.calls if operation == "delete"]
    assert name.startswith("lamplighter-doctor-")


@pytest.mark.parametrize(
    ("operation", "check", "error", "status"),
    [
        ("get", "read", NO_RIGHT, Status.FAILED),
        ("get", "read", ArmUncertain("no answer"), Status.FAILED),
        ("list", "list", NO_RIGHT, Status.FAILED),
        ("delete", "write", NO_RIGHT, Status.FAILED),
        ("delete", "write", ArmConflict("locked", code="ScopeLocked"), Status.FAILED),
        ("delete", "write", ArmConflict("busy", code="RequestConflict"), Status.UNCHECKED),
        ("delete", "write", ArmUncertain("no answer"), Status.UNCHECKED),
    ],
)
async def test_each_right_is_a_finding_of_its_own(
    operation: str, check: str, error: ArmError, status: Status
) -> None:
    """What is refused fails, what got no answer is not told; nothing else is touched by it."""
    world = World.of(hosting())
    before = await account_findings(world)
    world.azure.fail_next(operation, error)  # type: ignore[arg-type]
    after = await account_findings(world)
    assert after[check].status is status
    others = {name: each for name, each in after.items() if name not in (check, "deployments")}
    assert others == {name: each for name, each in before.items() if name != check}


async def test_somebody_elses_deployment_is_told_with_its_price_and_the_remedy() -> None:
    """It costs 1.70 an hour whether it is needed or not; adopt: true is the way out."""
    world = World.of(hosting())
    await stands(world, replace(hosting().spec, capacity=50))
    finding = (await account_findings(world))["deployments"]
    assert finding.status is Status.WARNING
    assert "it costs 1.70 USD an hour" in finding.what
    assert finding.remedy.startswith("say adopt: true")
    assert "capacity: the file says 120, Azure has 50" in finding.remedy
    finding = (await account_findings(world.reconfigured(replace(hosting(), adopt=True))))["deployments"]
    assert finding.status is Status.OK
    assert "is adopted by the next pass; it keeps what differs" in finding.what


async def test_our_own_deployment_is_recognised() -> None:
    """By its tag, and by the record alone."""
    world = World.of(hosting())
    await stands(world, replace(hosting().spec, tags={"lamplighter": "test"}))
    assert "clauses is ours" in (await account_findings(world))["deployments"].what
    other = World.of(replace(hosting(), adopt=True))
    await stands(other, hosting().spec)
    await other.app.reconcile()
    assert "clauses is ours" in (await account_findings(other))["deployments"].what


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, Status.OK),
        (RateLimited("429"), Status.OK),
        (AccessDenied("403"), Status.FAILED),
        (ModelUnavailable("500"), Status.UNCHECKED),
    ],
)
async def test_a_deployment_that_is_there_is_asked(error: Exception | None, status: Status) -> None:
    """Who is let in far enough to be throttled has the right; who is refused lacks the role."""
    world = World.of(hosting())
    await stands(world, hosting().spec)
    if error is not None:
        world.azure.fail_next("ask", error)
    finding = (await account_findings(world))["inference"]
    assert finding.status is status
    assert ("Cognitive Services OpenAI User" in finding.remedy) is (status is Status.FAILED)


# --- models and quota --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offers", "status", "told"),
    [
        ([Offer(MODEL, "1", "GlobalStandard", "q")], Status.OK, "offered on GlobalStandard"),
        ([Offer(MODEL, "1", "Standard", "q")], Status.FAILED, "is not offered on GlobalStandard"),
        ([Offer(MODEL, "2", "GlobalStandard", "q")], Status.UNCHECKED, "does not list"),
        ([], Status.UNCHECKED, "does not list"),
    ],
)
async def test_a_model_must_be_offered_on_its_sku(offers: list[Offer], status: Status, told: str) -> None:
    """The account's own list says so; what it does not list is not told to be wrong."""
    finding = (await account_findings(World.of(hosting()), MemoryCatalogue(offers)))["models"]
    assert finding.status is status
    assert told in finding.what


@pytest.mark.parametrize(
    ("quota", "minimum", "status"),
    [
        (Quota(880, 1000), None, Status.OK),
        (Quota(881, 1000), None, Status.FAILED),
        (Quota(881, 1000), 100, Status.WARNING),
        (Quota(901, 1000), 100, Status.FAILED),
        (None, None, Status.UNCHECKED),
    ],
)
async def test_the_quota_must_leave_room(quota: Quota | None, minimum: int | None, status: Status) -> None:
    """120K are needed, or the least that is configured."""
    configured = hosting()
    configured = replace(configured, spec=replace(configured.spec, minimum_capacity=minimum))
    catalogue = replace(OFFERED, free={"q": quota} if quota else {})
    assert (await account_findings(World.of(configured), catalogue))["quota"].status is status


async def test_what_the_deployment_itself_uses_is_free_for_it() -> None:
    """All of the quota is its own: it may be deleted and created again."""
    world = World.of(hosting())
    await stands(world, hosting().spec)
    catalogue = replace(OFFERED, free={"q": Quota(120, 120)})
    assert (await account_findings(world, catalogue))["quota"].status is Status.OK


@pytest.mark.parametrize("error", [NO_RIGHT, ArmRefused("404", code="404"), ArmUncertain("no answer")])
async def test_a_catalogue_that_is_not_told_is_not_checked(error: ArmError) -> None:
    """The app's own role has no right to it, and the emulator has none: how to see it is told."""
    found = await account_findings(World.of(hosting()), replace(OFFERED, offers_refused=error))
    assert found["models"].status is Status.UNCHECKED
    assert (
        "az cognitiveservices account list-models --resource-group g --name contoso" in found["models"].remedy
    )
    assert "quota" not in found
    found = await account_findings(World.of(hosting()), replace(OFFERED, quotas_refused=error))
    assert (found["models"].status, found["quota"].status) == (Status.OK, Status.UNCHECKED)


ARM_ACCOUNT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso"


@pytest.fixture
async def arm() -> AsyncIterator[AzureArm]:
    """The real SDK against a server that answers as Azure documents models and usages, two pages of each."""

    def pages(first: object, second: object) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def page(request: web.Request) -> web.Response:
            if "page" in request.query:
                return web.json_response({"value": [second]})
            return web.json_response({"value": [first], "nextLink": str(request.url.update_query(page="2"))})

        return page

    async def account(_: web.Request) -> web.Response:
        return web.json_response({"name": "contoso", "location": "swedencentral", "properties": {}})

    sku = {"name": "GlobalStandard", "usageName": "OpenAI.GlobalStandard.gpt-4.1-mini-finetune"}
    model = {"name": MODEL, "version": "1", "skus": [sku, {"name": "Standard"}]}
    usage = {"name": {"value": sku["usageName"]}, "currentValue": 30.0, "limit": 500.0, "unit": "Count"}
    app = web.Application()
    app.router.add_get(ARM_ACCOUNT, account)
    app.router.add_get(f"{ARM_ACCOUNT}/models", pages(model, {"name": "gpt-4o", "version": "x"}))
    usages = "/subscriptions/s/providers/Microsoft.CognitiveServices/locations/swedencentral/usages"
    app.router.add_get(usages, pages(usage, {"currentValue": 1, "limit": 2}))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    adapter = AzureArm(f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield adapter
    await adapter.close()
    await runner.cleanup()


async def test_offers_and_quotas_are_read_through_the_sdk(arm: AzureArm) -> None:
    """Every page of both; an offer names its quota, or none."""
    quota = "OpenAI.GlobalStandard.gpt-4.1-mini-finetune"
    assert await arm.offers(ARM_ACCOUNT, timeout=10) == [
        Offer(MODEL, "1", "GlobalStandard", quota),
        Offer(MODEL, "1", "Standard", ""),
    ]
    assert await arm.quotas(ARM_ACCOUNT, timeout=10) == {quota: Quota(30, 500)}
    with pytest.raises(ArmRefused):
        await arm.offers(ARM_ACCOUNT.replace("contoso", "fabrikam"), timeout=10)


# --- storage -----------------------------------------------------------------------------------------


def by_check(findings: Sequence[Finding]) -> dict[str, Status]:
    assert all(each.remedy for each in findings if each.status is not Status.OK)
    return {each.check: each.status for each in findings}


async def test_storage_in_order_is_told_so_and_left_as_it_was() -> None:
    """Every right was used, and nothing of ours remains."""
    world = World.of(hosting())
    assert by_check(await storage.blobs(world.blobs)) == {"blob storage": Status.OK, "blob rights": Status.OK}
    assert by_check(await storage.tables(world.tables, world.clock)) == {
        "table storage": Status.OK,
        "table rights": Status.OK,
        "clock": Status.OK,
    }
    assert world.blobs.names("leases") == []
    assert (await world.tables.page("holds", "doctor", " ", "~", 10)).rows == ()


@pytest.mark.parametrize("operation", ["create", "acquire_lease", "release_lease", "delete"])
async def test_each_right_on_blobs_is_needed(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading alone does not do."""
    world = World.of(hosting())

    async def refused(*_: object) -> None:
        raise StorageError("AuthorizationPermissionMismatch")

    monkeypatch.setattr(world.blobs, operation, refused)
    found = await storage.blobs(world.blobs)
    assert by_check(found) == {"blob storage": Status.OK, "blob rights": Status.FAILED}
    assert "Storage Blob Data Contributor" in found[1].remedy


async def test_blobs_out_of_reach_are_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be reached is told once."""
    world = World.of(hosting())

    async def refused(*_: object) -> None:
        raise StorageError("did not answer")

    monkeypatch.setattr(world.blobs, "list", refused)
    assert by_check(await storage.blobs(world.blobs)) == {"blob storage": Status.FAILED}


class FlakyTables(MemoryTables):
    """Tables whose rights, reach and clock a test takes away."""

    skew = timedelta(0)
    readable = True
    writable: tuple[type, ...] = (Insert, Replace, Remove)

    async def page(self, table: str, partition: str, start: str, stop: str, limit: int) -> Page:
        if not self.readable:
            raise StorageError("did not answer")
        found = await super().page(table, partition, start, stop, limit)
        return replace(found, server_time=found.server_time + self.skew)

    async def write(
        self, table: str, partition: str, changes: Sequence[Insert | Replace | Remove]
    ) -> tuple[str, ...]:
        if not isinstance(changes[0], self.writable):
            raise StorageError("AuthorizationPermissionMismatch")
        return await super().write(table, partition, changes)


@pytest.mark.parametrize("writable", [(Replace, Remove), (Insert, Replace)])
async def test_each_right_on_tables_is_needed(writable: tuple[type, ...]) -> None:
    """To write and to delete."""
    clock = VirtualClock()
    tables = FlakyTables(clock)
    tables.writable = writable
    found = await storage.tables(tables, clock)
    assert by_check(found)["table rights"] is Status.FAILED
    tables.readable = False
    assert by_check(await storage.tables(tables, clock)) == {"table storage": Status.FAILED}


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(0, Status.OK), (5, Status.OK), (6, Status.WARNING), (-6, Status.OK), (-7, Status.WARNING)],
)
async def test_a_clock_that_is_off_is_told(seconds: float, status: Status) -> None:
    """Five seconds are let pass; the server's Date has whole seconds, which makes six of a slow one."""
    clock = VirtualClock()
    tables = FlakyTables(clock)
    tables.skew = timedelta(seconds=seconds)
    found = await storage.tables(tables, clock)
    assert by_check(found)["clock"] is status


# --- the app's own settings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ('{"functionTimeout": "00:10:00"}', Status.OK),
        ('{"functionTimeout": "00:09:00"}', Status.OK),
        ('{"functionTimeout": "1.00:00:00"}', Status.OK),
        ('{"functionTimeout": "-1"}', Status.OK),
        ('{"functionTimeout": "00:08:59"}', Status.FAILED),
        ('{"functionTimeout": "ten minutes"}', Status.FAILED),
        ("{}", Status.WARNING),
        ("[]", Status.UNCHECKED),
        ("not json", Status.UNCHECKED),
        (None, Status.UNCHECKED),
    ],
)
def test_a_slice_must_fit_into_the_hosts_time_limit(
    content: str | None, status: Status, tmp_path: Path
) -> None:
    """Seven minutes of draining and two of the last request."""
    path = tmp_path / "host.json"
    if content is not None:
        path.write_text(content)
    finding = app_checks.function_timeout(path)
    assert finding.status is status
    assert bool(finding.remedy) is (status is not Status.OK)


def test_this_repositorys_host_json_is_in_order() -> None:
    """The one that is deployed."""
    assert app_checks.function_timeout().status is Status.OK


def test_settings_of_triggers_that_are_replaced_by_defaults_are_told() -> None:
    """The functions run all the same."""
    (good,) = app_checks.trigger_settings({})
    assert good.status is Status.OK
    bad = list(app_checks.trigger_settings({"BLOB_SOURCE": "pigeon", "RECONCILE_SCHEDULE": "hourly"}))
    assert [each.status for each in bad] == [Status.WARNING, Status.WARNING]
    assert ["BLOB_SOURCE" in bad[0].what, "RECONCILE_SCHEDULE" in bad[1].what] == [True, True]


def test_the_event_subscription_is_told_how_to_see() -> None:
    """The app's own rights do not show it; where the host polls there is none."""
    finding = app_checks.event_subscription({})
    assert finding.status is Status.UNCHECKED
    assert "az eventgrid system-topic event-subscription list" in finding.remedy
    assert app_checks.event_subscription({"BLOB_SOURCE": "LogsAndContainerScan"}).status is Status.OK


async def test_the_age_of_the_sweep_tells_whether_the_timers_run() -> None:
    """Never, just now, a quarter of an hour ago."""
    world = World.of(hosting())
    never = await app_checks.last_sweep(world.app.intake, world.clock.now())
    assert never.status is Status.WARNING
    await world.app.reconcile()
    world.clock.advance(15 * 60)
    assert (await app_checks.last_sweep(world.app.intake, world.clock.now())).status is Status.OK
    world.clock.advance(60)
    old = await app_checks.last_sweep(world.app.intake, world.clock.now())
    assert (old.status, old.what) == (Status.FAILED, "the inbox was last swept 16 min ago")


async def test_uploads_that_could_not_be_recorded_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last sweep's count is kept; storage that does not answer is not taken for good news."""
    world = World.of(hosting())
    world.upload("clauses/a.txt")
    read = world.blobs.read

    async def broken(*_: object) -> bytes:
        raise StorageError("blob storage did not answer")

    monkeypatch.setattr(world.blobs, "read", broken)
    await world.app.intake.sweep()
    finding = await app_checks.last_sweep(world.app.intake, world.clock.now())
    assert (finding.status, finding.what) == (Status.FAILED, "1 upload(s) could not be recorded")
    monkeypatch.setattr(world.blobs, "read", read)
    await world.app.intake.sweep()
    assert (await app_checks.last_sweep(world.app.intake, world.clock.now())).status is Status.OK
    monkeypatch.setattr(world.tables, "get", broken)
    unknown = await app_checks.last_sweep(world.app.intake, world.clock.now())
    assert unknown.status is Status.UNCHECKED
