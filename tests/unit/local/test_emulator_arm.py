"""The control plane through azure-mgmt-cognitiveservices."""

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from emulator_clients import (
    ACCOUNT,
    ACCOUNT_ID,
    GROUP,
    MODEL,
    START,
    arm_client,
    azure,
    deployment_of,
    session,
)

PATH = f"{ACCOUNT_ID}/deployments/clauses?api-version=2025-09-01"


async def refused(awaitable) -> tuple[int, str, str]:
    """The status, code and message of an ARM error."""
    with pytest.raises(HttpResponseError) as error:
        await awaitable
    assert error.value.error is not None
    return error.value.status_code, error.value.error.code, error.value.error.message


async def test_everything_that_was_put_is_shown_again():
    """Properties, SKU and tags, with Azure's own record of who created it when, and an etag."""
    async with azure() as cloud:
        await cloud.put(
            "clauses",
            capacity=25,
            tags={"installation": "contoso-prod"},
            rai_policy_name="contoso-strict",
            version_upgrade_option="NoAutoUpgrade",
            spillover_deployment_name="overflow",
        )
        cloud.clock.advance(100)
        first = await cloud.get("clauses")
        assert (first.sku.name, first.sku.capacity) == ("GlobalStandard", 25)
        assert first.tags == {"installation": "contoso-prod"}
        assert first.properties.model.name == MODEL
        assert first.properties.rai_policy_name == "contoso-strict"
        assert first.properties.version_upgrade_option == "NoAutoUpgrade"
        assert first.properties.spillover_deployment_name == "overflow"
        assert first.system_data.created_at == START
        assert first.system_data.created_by == first.system_data.last_modified_by
        assert first.id == f"{ACCOUNT_ID}/deployments/clauses"

        updated = await cloud.put("clauses", capacity=30)
        assert (updated.system_data.created_at, updated.sku.capacity) == (START, 30)
        assert updated.etag != first.etag


@pytest.mark.parametrize(
    ("model", "requests"),
    [("gpt-4.1-mini-2025-04-14.ft-1", 10), ("gpt-5-mini", 100), ("gpt-4o-mini-2024-07-18.ft-1", 60)],
)
async def test_rate_limits_follow_the_models_family(model, requests):
    """Capacity 10 is 10,000 tokens a minute, and 1, 10 or 6 requests for each thousand."""
    for minute in (60, 6):
        async with azure(minute_seconds=minute) as cloud:
            put = await cloud.put("clauses", model=model, capacity=10)
            limits = {rule.key: (rule.renewal_period, rule.count) for rule in put.properties.rate_limits}
            assert limits == {"request": (minute, requests), "token": (minute, 10_000)}


async def test_status_codes_and_headers_of_each_write():
    """PUT 201 then 200; DELETE 202 with its operation's URLs, which answer; DELETE of nothing 204."""
    body = deployment_of().serialize()
    async with azure() as cloud, session(cloud.url) as http:
        assert (await http.put(PATH, json=body)).status == 201
        cloud.clock.advance(100)
        assert (await http.put(PATH, json=body)).status == 200
        deleted = await http.delete(PATH)
        assert deleted.status == 202

        operation, result = deleted.headers["azure-asyncoperation"], deleted.headers["Location"]
        assert (await (await http.get(operation)).json())["status"] == "InProgress"
        assert (await http.get(result)).status == 202
        cloud.clock.advance(10)
        assert (await (await http.get(operation)).json())["status"] == "Succeeded"
        assert (await http.get(result)).status == 204
        assert (await http.delete(PATH)).status == 204


async def test_the_sdk_can_poll_a_delete_to_its_end():
    """Its long-running operation follows azure-asyncoperation."""
    async with azure(delete_seconds=0.0) as cloud:
        await cloud.put("clauses")
        cloud.clock.advance(100)
        poller = await cloud.arm.deployments.begin_delete(GROUP, ACCOUNT, "clauses", polling_interval=0)
        await poller.result()
        assert await cloud.list() == {}


async def test_resource_ids_are_case_insensitive():
    """The SDK of one caller may write the group and account another way than the next."""
    async with azure() as cloud, session(cloud.url) as http:
        await cloud.put("Clauses")
        assert (await cloud.arm.deployments.get(GROUP.upper(), ACCOUNT.upper(), "cLAUSES")).name == "Clauses"
        assert (await http.get(PATH.upper().replace("API-VERSION", "api-version"))).status == 200


async def test_what_is_unknown_is_not_found():
    """Another account, and another deployment: 404 ResourceNotFound."""
    async with azure() as cloud:
        with pytest.raises(ResourceNotFoundError) as missing:
            await cloud.get("clauses")
        assert missing.value.error.code == "ResourceNotFound"
        for call in (
            cloud.arm.accounts.get(GROUP, "fabrikam"),
            cloud.arm.accounts.get("elsewhere", ACCOUNT),
            cloud.arm.deployments.begin_delete(GROUP, "fabrikam", "clauses", polling=False),
        ):
            assert (await refused(call))[:2] == (404, "ResourceNotFound")


async def test_a_call_without_a_bearer_is_refused():
    """401 in ARM's shape, for reads and writes."""
    async with azure() as cloud, arm_client(cloud.url, authentication_policy=SansIOHTTPPolicy()) as anonymous:
        for call in (
            anonymous.deployments.get(GROUP, ACCOUNT, "clauses"),
            anonymous.deployments.begin_delete(GROUP, ACCOUNT, "clauses", polling=False),
        ):
            with pytest.raises(ClientAuthenticationError):
                await call


async def test_accounts_do_not_wait_for_each_other():
    """Writes serialise in one account, not between two."""
    other = ACCOUNT_ID.replace("contoso", "fabrikam")
    async with azure(accounts=(ACCOUNT_ID, other)) as cloud:
        await cloud.put("clauses")
        await cloud.arm.deployments.begin_create_or_update(
            GROUP, "fabrikam", "clauses", deployment_of(), polling=False
        )


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("clauses", {"capacity": 51}, (400, "InsufficientQuota")),
        ("clauses", {"model": "davinci"}, (400, "DeploymentModelNotSupported")),
        ("clauses", {"sku": "GlobalBatch"}, (400, "InvalidResourceProperties")),
        ("clauses", {"sku": "DataZoneStandard"}, (400, "InvalidResourceProperties")),
        ("clauses", {"capacity": 0}, (400, "InvalidResourceProperties")),
        ("c" * 65, {}, (400, "InvalidResourceName")),
        ("clauses", {"model_format": "openai"}, (500, "InternalServerError")),
    ],
)
async def test_what_azure_refuses_creates_nothing(name, asked, expected):
    """Each has Azure's code; the wrong format of a model gets a 500 without a message."""
    async with azure(quota=50) as cloud:
        status, code, message = await refused(cloud.put(name, **asked))
        assert (status, code) == expected
        assert bool(message) == (status == 400)
        assert await cloud.list() == {}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"{}", b'{"sku": 1}', b"\xff\xfe"])
async def test_a_malformed_body_is_a_bad_request(body):
    """In ARM's shape, and never a 500."""
    async with azure() as cloud, session(cloud.url) as http:
        answer = await http.put(PATH, data=body)
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "InvalidRequestContent")


async def test_an_api_version_is_required():
    """As ARM requires it of every call."""
    async with azure() as cloud, session(cloud.url) as http:
        answer = await http.get(PATH.partition("?")[0])
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "MissingApiVersionParameter")


async def test_a_list_comes_in_pages():
    """Five deployments in pages of two; the SDK follows nextLink, and each page is a call."""
    names = ["a", "b", "c", "d", "e"]
    async with azure(page_size=2, provision_median=0.0, provision_p95=0.0) as cloud:
        for name in names:
            await cloud.put(name)
        assert list(await cloud.list()) == names
        assert (await cloud.bill())["arm_calls"][ACCOUNT] == {"put": 5, "delete": 0, "list": 3, "get": 0}


async def test_quota_is_listed_for_the_region_it_is_in():
    """Each SKU has its own, in whatever case the region is named; another region has none."""
    async with azure(quota=50) as cloud:
        await cloud.ready("clauses", capacity=20)
        await cloud.put("summaries", capacity=30, sku="Standard")
        used = {
            usage.name.value: (usage.current_value, usage.limit)
            async for usage in cloud.arm.usages.list("SwedenCentral")
        }
        assert used == {
            "OpenAI.DeveloperTier.gpt4.1-mini-finetune": (0, 50),
            "OpenAI.GlobalStandard.gpt4.1-mini-finetune": (20, 50),
            "OpenAI.ProvisionedManaged": (0, 50),
            "OpenAI.Standard.gpt4.1-mini-finetune": (30, 50),
        }
        assert [usage async for usage in cloud.arm.usages.list("westeurope")] == []


async def test_arm_throttles_reads_by_a_bucket():
    """250 reads pass at once, the next has to wait; 25 more pass a second later, and writes all along."""
    async with azure() as cloud, session(cloud.url) as http:
        statuses = [(await http.get(PATH)).status for _ in range(251)]
        assert statuses == [404] * 250 + [429]
        answer = await http.get(PATH)
        assert answer.headers["Retry-After"] == "1"
        assert (await answer.json())["error"]["code"] == "TooManyRequests"
        assert (await http.get(PATH, headers={"Authorization": "Bearer another-principal"})).status == 404
        await cloud.put("clauses")
        cloud.clock.advance(1)
        statuses = [(await http.get(PATH)).status for _ in range(26)]
        assert statuses == [200] * 25 + [429]
