"""Receivers of events: a web server, Azurite's queues, and the emulator's Event Grid topics."""

from __future__ import annotations

import asyncio
import base64
import json
import traceback
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.queue import QueueServiceClient
from standardwebhooks import Webhook

from local.azurite import ACCOUNT_KEY, Azurite, account_name
from local.emulator.server import Options, emulator
from shared.adapters.receivers import HttpSender, signature
from shared.errors import EventRefused, ReceiverError, ReceiverUnavailable
from shared.model import Receiver, ReceiverKind

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = json.dumps(
    {
        "specversion": "1.0",
        "id": "clauses~20261123T080000-df8c599b6e751b03.1.done",
        "source": "/lamplighter/test/clauses",
        "type": "lamplighter.document.done",
        "data": {"name": "clauses/Quittenbaum <&> ä.txt"},
    }
)
ACCOUNT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso"


@pytest.fixture
async def sender() -> AsyncIterator[HttpSender]:
    made = HttpSender()
    yield made
    await made.close()


class Server:
    """A webhook: its path decides how it answers. `got`: what it has verified."""

    def __init__(self) -> None:
        self.got: list[dict[str, object]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.got.append(Webhook(SECRET).verify(body, dict(request.headers)))
        match request.match_info["way"].partition("-"):
            case ("status", _, status):
                # It repeats the event where Azure would name a code, and as if it were Azure's storage.
                refusal = {"error": {"code": body.decode()}}
                headers = {"x-ms-error-code": "Quittenbaum"}
                return web.json_response(refusal, status=int(status), headers=headers)
            case ("redirect", _, _):
                raise web.HTTPTemporaryRedirect(f"{self.url}/status-200")
            case ("nested", _, _):
                return web.Response(status=400, body=b"[" * 10_000)
            case ("slow", _, _):
                await asyncio.sleep(60)
            case ("endless", _, status):
                stream = web.StreamResponse(status=int(status))
                await stream.prepare(request)
                while True:
                    await stream.write(b"{" * 1000)
                    await asyncio.sleep(0.01)
            case ("half", _, _):  # the head of an answer whose body never comes
                stream = web.StreamResponse(headers={"Content-Length": "10"})
                await stream.prepare(request)
                await asyncio.sleep(60)
        return web.Response()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found, app = Server(), web.Application()
    app.router.add_post("/T0PS3CRET/{way}", found.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/T0PS3CRET"
    yield found
    await runner.cleanup()


def webhook(url: str) -> Receiver:
    return Receiver(ReceiverKind.WEBHOOK, url, SECRET)


async def refusal(sender: HttpSender, receiver: Receiver, timeout: float = 10.0) -> ReceiverError:
    """Return the error of a send. Not even its causes show an address, a secret, or what an event says."""
    with pytest.raises(ReceiverError) as raised:
        await sender.send(receiver, EVENT, timeout=timeout)
    whole = f"{raised.value.code} {''.join(traceback.format_exception(raised.value, chain=True))}"
    for private in ("T0PS3CRET", "Quittenbaum", SECRET[6:14]):
        assert private not in whole
    assert receiver.shown in str(raised.value)
    return raised.value


# --- webhooks -----------------------------------------------------------------------------------


def test_a_body_is_signed_as_the_specification_s_libraries_do() -> None:
    """Their own example."""
    assert signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}', 1614265330) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("way", ["status-200", "status-202", "endless-200", "half"])
async def test_a_webhook_gets_an_event_that_its_library_verifies(
    server: Server, sender: HttpSender, way: str
) -> None:
    """The status is its answer, whatever follows; and repeated, the event is the same."""
    for _ in range(2):
        await sender.send(webhook(f"{server.url}/{way}"), EVENT, timeout=10)
    assert server.got == [json.loads(EVENT)] * 2


@pytest.mark.parametrize(
    ("way", "kind", "code"),
    [
        *((f"status-{status}", EventRefused, str(status)) for status in (400, 405, 409, 413, 422, 500)),
        *((f"status-{status}", ReceiverUnavailable, str(status)) for status in (401, 403, 404, 410)),
        *((f"status-{status}", ReceiverUnavailable, str(status)) for status in (408, 429, 502, 503, 504)),
        ("redirect", ReceiverUnavailable, "307"),
        ("endless-503", ReceiverUnavailable, "503"),
        ("nested", EventRefused, "400"),
        ("slow", ReceiverUnavailable, ""),
    ],
)
async def test_an_answer_of_a_webhook_says_whether_others_are_worth_a_try(
    server: Server, sender: HttpSender, way: str, kind: type[ReceiverError], code: str
) -> None:
    """What may be the event's own fault refuses that event; what cannot be is the receiver's."""
    error = await refusal(sender, webhook(f"{server.url}/{way}"), timeout=1.0 if way == "slow" else 30.0)
    assert (type(error), error.code) == (kind, code)
    assert len(server.got) == 1  # not repeated, and no redirect followed


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/T0PS3CRET",
        "https://127.0.0.1:9/T0PS3CRET",
        f"https://{'a' * 70}.example/T0PS3CRET",
    ],
)
async def test_a_webhook_out_of_reach_is_unavailable(sender: HttpSender, url: str) -> None:
    """Also if no host can have that name."""
    error = await refusal(sender, webhook(url))
    assert isinstance(error, ReceiverUnavailable) and "check its address" in str(error)


# --- queues -------------------------------------------------------------------------------------


async def test_a_message_is_what_functions_and_logic_apps_read(azurite: Azurite, sender: HttpSender) -> None:
    """JSON in base64. A queue that is missing is created by a person; then the event comes."""
    receiver = Receiver(ReceiverKind.QUEUE, f"{azurite.queue_uri}/answers")
    error = await refusal(sender, receiver)
    assert (type(error), error.code) == (ReceiverUnavailable, "QueueNotFound")
    assert "/answers" in str(error) and "check its address: it must exist" in str(error)
    credential = AzureNamedKeyCredential(account_name(azurite.queue_uri), ACCOUNT_KEY)
    with QueueServiceClient(azurite.queue_uri, credential=credential, use_env_settings=False) as service:
        queue = service.create_queue("answers")
        await sender.send(receiver, EVENT, timeout=10)
        (message,) = queue.receive_messages()
    assert json.loads(base64.b64decode(message.content)) == json.loads(EVENT)


# --- topics -------------------------------------------------------------------------------------


async def test_a_topic_gets_an_event_and_its_refusals_are_understood(sender: HttpSender) -> None:
    """Azure's code is in the error, with the role to grant if that is what is missing."""
    async with emulator(Options(accounts=(ACCOUNT,))) as running, ClientSession(running.url) as http:
        topic = Receiver(ReceiverKind.EVENT_GRID, f"{running.url}/topics/alerts/api/events")
        await sender.send(topic, EVENT, timeout=10)
        arrived = await (await http.get("/emulator/events?topic=alerts")).json()
        assert arrived["events"] == [json.loads(EVENT)]
        for kind, status, code, remedy in (
            (ReceiverUnavailable, 503, "ServerBusy", "takes no events now"),
            (ReceiverUnavailable, 403, "Forbidden", "EventGrid Data Sender"),
            (EventRefused, 400, "BadRequest", "refuses an event"),
            (EventRefused, 400, "what it says about Quittenbaum", "refuses an event (400)"),
        ):
            fault = {"plane": "events", "operation": "publish", "status": status, "code": code}
            assert (await http.post("/emulator/faults", json=fault)).status == 201
            error = await refusal(sender, topic)
            assert type(error) is kind and remedy in str(error)
            assert error.code == (code if code.isalpha() else str(status))
