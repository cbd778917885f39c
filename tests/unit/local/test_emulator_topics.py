"""Event Grid topics of the emulator, as a publisher meets them."""

import json

import pytest
from emulator_clients import azure, session

EVENT = {"specversion": "1.0", "id": "1", "source": "/a", "type": "b", "data": {"c": "ä"}}
ONE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
URL = "/topics/alerts/api/events?api-version=2018-01-01"


async def test_events_are_taken_one_by_one_or_together():
    """The answer is 200 without a body; a topic shows its own events only, in their order."""
    async with azure() as cloud, session(cloud.url) as http:
        for form, body in (
            (f"{ONE}; charset=utf-8", EVENT),
            (BATCH, [EVENT | {"id": "2"}, EVENT | {"id": "3"}]),
        ):
            answer = await http.post(URL, json=body, headers={"Content-Type": form})
            assert (answer.status, await answer.read()) == (200, b"")
        shown = await (await http.get("/emulator/events?topic=alerts")).json()
        assert [each["id"] for each in shown["events"]] == ["1", "2", "3"]
        assert shown["events"][0] == EVENT
        assert await (await http.get("/emulator/events?topic=other")).json() == {"events": []}


@pytest.mark.parametrize(
    ("body", "form", "url", "status", "code"),
    [
        *[(json.dumps(EVENT | {name: ""}), ONE, URL, 400, "BadRequest") for name in ("id", "source", "type")],
        (json.dumps(EVENT | {"specversion": "0.3"}), ONE, URL, 400, "BadRequest"),
        (json.dumps([EVENT]), ONE, URL, 400, "BadRequest"),
        (json.dumps([EVENT, {}]), BATCH, URL, 400, "BadRequest"),
        ("no JSON", ONE, URL, 400, "BadRequest"),
        (json.dumps(EVENT), "application/json", URL, 400, "BadRequest"),
        (json.dumps(EVENT), ONE, "/topics/alerts/api/events", 400, "BadRequest"),
        (json.dumps(EVENT | {"data": "a" * 1024 * 1024}), ONE, URL, 413, "RequestEntityTooLarge"),
    ],
)
async def test_what_is_no_event_is_refused(body, form, url, status, code):
    """In Azure's form; of a batch nothing is taken."""
    async with azure() as cloud, session(cloud.url) as http:
        answer = await http.post(url, data=body, headers={"Content-Type": form})
        assert (answer.status, (await answer.json())["error"]["code"]) == (status, code)
        assert (await (await http.get("/emulator/events?topic=alerts")).json())["events"] == []


async def test_a_token_is_needed_and_a_topic_may_be_down():
    """The fault names the topic; another one takes events meanwhile."""
    async with azure() as cloud, session(cloud.url, Accept="*/*") as http:
        answer = await http.post(URL, json=EVENT, headers={"Content-Type": ONE})
        assert (answer.status, (await answer.json())["error"]["code"]) == (401, "Unauthorized")
    async with azure() as cloud, session(cloud.url) as http:
        down = {"plane": "events", "operation": "publish", "deployment": "alerts", "status": 503}
        assert (await http.post("/emulator/faults", json=down)).status == 201
        statuses = [
            (await http.post(url, json=EVENT, headers={"Content-Type": ONE})).status
            for url in (URL.replace("alerts", "other"), URL, URL)
        ]
        assert statuses == [200, 503, 200]
