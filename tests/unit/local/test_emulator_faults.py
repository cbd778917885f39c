"""Faults on request, as the real SDKs meet them."""

import asyncio
import contextlib

import aiohttp
import openai
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport
from emulator_clients import ACCOUNT, GROUP, Azure, arm_client, azure

DROPPED = (ServiceRequestError, ServiceResponseError)


async def fault(cloud: Azure, **fields: object) -> None:
    async with aiohttp.ClientSession(cloud.url) as http:
        answer = await http.post("/emulator/faults", json=fields)
        assert answer.status == 201, await answer.text()


async def listed(cloud: Azure) -> list[dict]:
    async with aiohttp.ClientSession(cloud.url) as http:
        return (await (await http.get("/emulator/faults")).json())["faults"]


async def test_an_error_is_answered_as_often_as_asked_and_nothing_happens():
    """Two PUTs get the 503 with its code, message and headers; the third creates."""
    async with azure() as cloud:
        answer = {"status": 503, "code": "ServerBusy", "message": "Busy.", "headers": {"Retry-After": "7"}}
        await fault(cloud, plane="arm", operation="put", count=2, **answer)
        for _ in range(2):
            with pytest.raises(HttpResponseError) as busy:
                await cloud.put("clauses")
            assert (busy.value.status_code, busy.value.error.code) == (503, "ServerBusy")
            assert busy.value.response.headers["Retry-After"] == "7"
            assert await cloud.list() == {}
        await cloud.put("clauses")


async def test_a_fault_meets_only_the_deployment_it_names():
    """Another deployment's requests pass; its own, in any case of its name, get the error."""
    async with azure() as cloud:
        await cloud.ready("clauses")
        await cloud.ready("summaries")
        await fault(cloud, plane="data", operation="chat", deployment="Summaries", status=500)
        await cloud.ask("clauses")
        with pytest.raises(openai.InternalServerError):
            await cloud.ask("summaries")
        cloud.clock.advance(60)
        await cloud.ask("summaries")


@pytest.mark.parametrize(("drop", "state"), [("before", "absent"), ("after", "Accepted")])
async def test_a_dropped_put_did_or_did_not_happen(drop, state):
    """The caller sees the same broken connection in both cases."""
    async with azure() as cloud:
        await fault(cloud, plane="arm", operation="put", drop=drop)
        with pytest.raises(DROPPED):
            await cloud.put("clauses")
        assert await cloud.state("clauses") == state


async def test_a_call_that_a_transport_sends_again_takes_effect_again():
    """aiohttp, as the SDK has it, sends a DELETE twice of which its caller sees the second answer only.

    The deployment that was created anew in between would be deleted by the second: nothing hides that.
    """
    async with azure() as cloud:
        await cloud.ready("clauses")
        await fault(cloud, plane="arm", operation="delete", drop="after")
        async with arm_client(cloud.url, transport=AioHttpTransport()) as resending:
            with pytest.raises(HttpResponseError) as busy:
                await resending.deployments.begin_delete(GROUP, ACCOUNT, "clauses", polling=False)
        assert busy.value.error.code == "RequestConflict"  # with its own first sending
        assert [(each["fired"], each["remaining"]) for each in await listed(cloud)] == [(1, 0)]
        bill = await cloud.bill()
        assert (bill["arm_calls"]["contoso"]["delete"], bill["arm_calls_sent_again"]["contoso"]) == (2, 1)


async def test_a_delete_may_be_accepted_without_effect():
    """202 and an operation that succeeds, and the deployment still answers; the next DELETE deletes it."""
    async with azure() as cloud:
        await cloud.ready("clauses")
        await fault(cloud, plane="arm", operation="delete", no_effect=True)
        await cloud.delete("clauses")
        assert await cloud.state("clauses") == "Succeeded"
        await cloud.ask("clauses")
        assert (await cloud.bill())["open"] == 1
        await cloud.delete("clauses")
        assert await cloud.state("clauses") == "Deleting"


async def test_a_deployment_may_stay_in_deleting():
    """For a day it is billed, answers nothing and keeps its account busy; clearing the faults ends it."""
    async with azure() as cloud:
        await cloud.ready("clauses")
        await fault(cloud, plane="arm", operation="delete", stuck=True)
        await cloud.delete("clauses")
        cloud.clock.advance(86_400)
        assert await cloud.state("clauses") == "Deleting"
        with pytest.raises(openai.NotFoundError):
            await cloud.ask("clauses")
        for write in (cloud.put("other"), cloud.delete("clauses")):
            with pytest.raises(HttpResponseError) as busy:
                await write
            assert busy.value.error.code == "RequestConflict"
        assert (await cloud.bill())["totals"]["hosted_seconds"] > 86_400
        async with aiohttp.ClientSession(cloud.url) as http:
            await http.delete("/emulator/faults")
        assert await cloud.state("clauses") == "absent"
        hosted = (await cloud.bill())["totals"]["hosted_seconds"]
        await cloud.ready("clauses")
        assert (await cloud.bill())["deployments"][0]["hosted_seconds"] == hosted


async def test_a_list_may_miss_an_entry():
    """Once it does not show one of two deployments, which exists all the time."""
    async with azure() as cloud:
        for name in ("clauses", "summaries"):
            await cloud.ready(name)
        await fault(cloud, plane="arm", operation="list", omit="Clauses")
        assert list(await cloud.list()) == ["summaries"]
        assert list(await cloud.list()) == ["clauses", "summaries"]


async def test_tags_may_be_dropped():
    """The deployment is created without what says whose it is."""
    async with azure() as cloud:
        await fault(cloud, plane="arm", operation="put", drop_tags=True)
        await cloud.put("clauses", tags={"lamplighter": "test"})
        assert not (await cloud.get("clauses")).tags


async def test_one_document_may_be_refused_for_ever():
    """Only requests that contain its text meet the fault, each time."""
    async with azure() as cloud:
        await cloud.ready("clauses")
        await fault(cloud, plane="data", operation="chat", containing="heavy", count=10**6, status=429)
        for _ in range(2):
            with pytest.raises(openai.RateLimitError):
                await cloud.ask("clauses", "a heavy document")
            await cloud.ask("clauses", "a light one")
            cloud.clock.advance(60)


async def test_an_account_may_be_created_again_under_another_subdomain():
    """Its deployments are gone, and nothing answers at the old endpoint."""
    async with azure() as cloud:
        await cloud.ready("clauses")
        async with aiohttp.ClientSession(cloud.url) as http:
            path = "/emulator/accounts/contoso/endpoint"
            moved = await http.post(path, json={"subdomain": "contoso-2"})
            assert (await moved.json())["endpoint"] == f"{cloud.url}/contoso-2/"
            for refused in ({"subdomain": "emulator"}, {"subdomain": "a/b"}, {}, []):
                assert (await http.post(path, json=refused)).status == 400
        account = await cloud.arm.accounts.get(GROUP, ACCOUNT)
        assert account.properties.endpoint == f"{cloud.url}/contoso-2/"
        assert await cloud.list() == {}
        await cloud.ready("clauses")
        with pytest.raises(openai.NotFoundError) as elsewhere:
            await cloud.ask("clauses")
        assert elsewhere.value.code == "404"
        cloud.openai.base_url = f"{cloud.url}/contoso-2/openai/v1/"
        await cloud.ask("clauses")


async def test_a_dropped_delete_and_a_dropped_request():
    """The deletion happened though nobody heard of it; the request was answered to nobody, and is counted."""
    async with azure() as cloud:
        await cloud.ready("clauses")
        await fault(cloud, plane="data", operation="chat", drop="after")
        with pytest.raises(openai.APIConnectionError):
            await cloud.ask("clauses")
        bill = await cloud.bill()
        assert (bill["totals"]["requests_answered"], bill["in_flight"]) == (1, 0)
        await fault(cloud, plane="arm", operation="delete", drop="after")
        with pytest.raises(DROPPED):
            await cloud.delete("clauses")
        assert await cloud.state("clauses") == "Deleting"


async def test_an_effect_may_come_late():
    """The connection breaks now, and the deployment appears afterwards."""
    async with azure() as cloud:
        await fault(cloud, plane="arm", operation="put", late_seconds=0.2)
        with pytest.raises(DROPPED):
            await cloud.put("clauses")
        assert await cloud.state("clauses") == "absent"
        async with asyncio.timeout(10):
            while await cloud.state("clauses") != "Accepted":
                await asyncio.sleep(0.02)


async def test_an_effect_that_has_not_come_dies_with_the_emulator():
    """No task is left behind."""
    async with azure() as cloud:
        await fault(cloud, plane="arm", operation="put", late_seconds=3600)
        with pytest.raises(DROPPED):
            await cloud.put("clauses")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_delay_holds_the_answer_back():
    """What is due before the delay is over happens before the answer, which is the usual one."""
    happened = []
    async with azure() as cloud:
        await fault(cloud, plane="arm", operation="list", delay_seconds=0.4)
        asyncio.get_running_loop().call_later(0.2, happened.append, "half of the delay")
        assert await cloud.list() == {}
        happened.append("the answer")
    assert happened == ["half of the delay", "the answer"]


@pytest.mark.parametrize("state", ["Failed", "Canceled", "SomethingNew"])
async def test_a_creation_may_come_to_another_state(state):
    """The deployment exists in that state, and answers no request."""
    async with azure() as cloud:
        await fault(cloud, plane="arm", operation="put", provision=state)
        await cloud.ready("clauses")
        assert await cloud.state("clauses") == state
        with pytest.raises(openai.NotFoundError):
            await cloud.ask("clauses")


async def test_a_creation_may_never_become_ready():
    """It succeeded, and still answers nothing; deleted and created again, it does."""
    async with azure() as cloud:
        await fault(cloud, plane="arm", operation="put", provision="never_ready")
        await cloud.ready("clauses")
        cloud.clock.advance(3600)
        assert await cloud.state("clauses") == "Succeeded"
        with pytest.raises(openai.NotFoundError):
            await cloud.ask("clauses")
        await cloud.delete("clauses")
        cloud.clock.advance(10)
        await cloud.ready("clauses")
        await cloud.ask("clauses")


async def test_a_list_may_be_stale():
    """It shows what was 60 s ago: nothing before the creation, and a deployment after its end."""
    async with azure() as cloud:
        await cloud.put("clauses")
        await fault(cloud, plane="arm", operation="list", lag_seconds=60)
        assert await cloud.list() == {}
        cloud.clock.advance(100)
        await cloud.delete("clauses")
        cloud.clock.advance(10)
        await fault(cloud, plane="arm", operation="list", lag_seconds=60)
        assert await cloud.list() == {"clauses": "Creating"}
        assert await cloud.list() == {}


async def test_faults_are_listed_with_how_often_they_fired_and_cleared():
    """One of two fired once; after the clearing nothing is left of them."""
    async with azure() as cloud:
        await fault(cloud, plane="arm", operation="list", count=3, status=500)
        await fault(cloud, plane="arm", operation="put", drop="before")
        with contextlib.suppress(HttpResponseError):
            await cloud.list()
        assert [(each["operation"], each["fired"], each["remaining"]) for each in await listed(cloud)] == [
            ("list", 1, 2),
            ("put", 0, 1),
        ]
        async with aiohttp.ClientSession(cloud.url) as http:
            assert (await http.delete("/emulator/faults")).status == 204
        assert await listed(cloud) == []
        assert await cloud.list() == {}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "Invalid JSON"),
        (b"[]", "fault"),
        (b'{"plane": "arm", "operation": "put", "delay": 3}', "delay: Extra inputs are not permitted"),
        (b'{"plane": "arm", "operation": "post", "drop": "before"}', "operation"),
        (b'{"plane": "arm", "operation": "put"}', "exactly one of"),
        (b'{"plane": "arm", "operation": "put", "drop": "before", "late_seconds": 1}', "exactly one of"),
        (b'{"plane": "data", "operation": "put", "drop": "before"}', "plane data has the operations chat"),
        (b'{"plane": "arm", "operation": "get", "provision": "Failed"}', "provision is for put only"),
        (b'{"plane": "arm", "operation": "get", "drop": "after", "code": "x"}', "belong to status"),
        (b'{"plane": "arm", "operation": "put", "no_effect": true}', "no_effect is for delete only"),
        (b'{"plane": "arm", "operation": "put", "drop_tags": false}', "drop_tags"),
        (b'{"plane": "arm", "operation": "put", "status": 400, "drop": "after"}', "exactly one of"),
        (b'{"plane": "arm", "operation": "put", "containing": "x", "status": 400}', "is for chat only"),
        (b'{"plane": "arm", "operation": "get", "status": 200}', "status"),
        (b'{"plane": "arm", "operation": "get", "drop": "after", "count": 0}', "count"),
    ],
)
async def test_what_is_no_fault_is_refused_with_the_valid_keys(body, reason):
    """400 with what is wrong and what is allowed; nothing is queued."""
    async with azure() as cloud:
        async with aiohttp.ClientSession(cloud.url) as http:
            answer = await http.post("/emulator/faults", data=body)
            message = (await answer.json())["error"]["message"]
        assert answer.status == 400
        assert reason in message
        assert "Valid keys: plane, operation, deployment, containing, count, status," in message
        assert await listed(cloud) == []
