"""Events: what receivers are told, at least once, whatever fails. Stories in memory and virtual time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.alerts import Alert
from shared.errors import StorageError
from shared.model import DeploymentConfig, EventType, Receiver, ReceiverKind
from shared.notify import deliver
from shared.notify.deliver import KEPT
from tests.fakes.world import World, config

TOPIC = Receiver(ReceiverKind.EVENT_GRID, "https://topic.example/api/events")
HOOK = Receiver(
    ReceiverKind.WEBHOOK,
    "https://hook.example/in",
    "c2VjcmV0" * 4,
    frozenset({EventType.DOCUMENT_DONE, EventType.DOCUMENT_FAILED}),
    file_names=True,
)
TEXT, NAME = "The landlord is Jane Doe", "lease of Jane Doe.txt"


def notifying(*receivers: Receiver, **changes: Any) -> DeploymentConfig:
    return replace(config(**changes), notify=receivers)


async def answered(world: World, name: str = NAME, text: str = TEXT) -> None:
    world.upload(f"clauses/{name}", text)
    await world.app.document_uploaded(f"clauses/{name}")


async def days_pass(world: World, days: float = 0.01) -> None:
    """Let time pass, with a pass that sees what is gone, and deliver once."""
    world.clock.advance(days * 86400)
    await world.app.reconcile()
    await world.app.deliver_events()


def raised(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in caplog.messages]


def types(world: World, receiver: Receiver) -> list[str]:
    return [each["type"].removeprefix("lamplighter.") for each in world.receivers.got[receiver.url]]


async def test_a_document_and_its_deployment_are_followed_from_start_to_end() -> None:
    world = World.of(notifying(TOPIC, HOOK))
    await answered(world)
    await days_pass(world)
    got = world.receivers.got[TOPIC.url]
    assert sorted(types(world, TOPIC)) == [
        "deployment.closed",
        "deployment.ready",
        "deployment.waking",
        "document.done",
    ]
    assert len({each["id"] for each in got}) == 4
    document = await world.document(f"clauses/{NAME}")
    done = next(each for each in got if each["type"].endswith("done"))
    assert done["specversion"] == "1.0" and done["source"] == "/lamplighter/test/clauses"
    assert done["data"] == {
        "deployment": "clauses",
        "document": document.id,
        "run": 1,
        "state": "done",
        "reason": "answered",
        "prompt_tokens": document.prompt_tokens,
        "completion_tokens": document.completion_tokens,
        "cost": round(document.cost, 6),
        "currency": "USD",
        "link": f"/api/documents/{document.id}",
    }
    closed = next(each for each in got if each["type"].endswith("closed"))
    assert closed["data"]["hosted_seconds"] > 0 and closed["data"]["cost"] > 0
    assert "Jane" not in json.dumps(got)
    # The webhook wants documents only, and may know their names.
    (told,) = world.receivers.got[HOOK.url]
    assert told["data"]["name"] == NAME and told["data"]["result"] == f"results/{document.result}"
    assert "landlord" not in json.dumps(told)
    before = world.receivers.tries
    await days_pass(world)
    assert world.receivers.tries == before  # nothing is sent twice


async def test_a_refused_file_and_a_deployment_without_capacity_are_reported() -> None:
    world = World.of(notifying(TOPIC))
    world.azure.quota = 0
    await answered(world, "empty.txt", " ")
    await answered(world)
    await days_pass(world, 0)
    (failed,) = [each for each in world.receivers.got[TOPIC.url] if "document" in each["type"]]
    assert failed["data"]["state"] == "failed" and "white space" in failed["data"]["reason"]
    refused = [each["data"] for each in world.receivers.got[TOPIC.url] if "document" not in each["type"]]
    assert all("quota" in each["reason"] and each["retry_at"] for each in refused)
    # It never existed, so it neither wakes nor closes.
    assert set(types(world, TOPIC)) == {"document.failed", "deployment.refused"}
    world.azure.quota = 1000
    for _ in range(8):
        await days_pass(world, 0.01)
    assert types(world, TOPIC).count("deployment.waking") == 1


async def test_each_run_of_a_document_has_its_own_event() -> None:
    world = World.of(notifying(TOPIC))
    await answered(world, "a.txt", " ")
    failed = await world.document("clauses/a.txt")
    world.blobs.upload(failed.moved_to.partition("/")[0], failed.moved_to.partition("/")[2], b"corrected")
    await world.app.intake.requeue(failed)
    await world.app.drive(world.app.settings.deployments["clauses"], 300)
    await days_pass(world, 0)
    about = [each for each in world.receivers.got[TOPIC.url] if "document" in each["type"]]
    assert [(each["data"]["run"], each["data"]["state"]) for each in about] == [(1, "failed"), (2, "done")]
    assert len({each["id"] for each in about}) == 2


async def test_a_dead_receiver_stops_nothing_and_gets_everything_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World.of(notifying(TOPIC, HOOK))
    world.receivers.down = {TOPIC.url}
    for number in range(30):
        await answered(world, f"{number}.txt")
        tries = world.receivers.tries
        await days_pass(world)
        # One try shows that it is down; the webhook gets its event.
        assert world.receivers.tries == tries + 2
    assert len(world.receivers.got[HOOK.url]) == 30 and not world.receivers.got[TOPIC.url]
    (told,) = [each for each in raised(caplog) if each["event"] == Alert.EVENTS_WAIT]
    assert told["receiver"] == "event_grid at topic.example" and told["code"] == "503"
    world.receivers.down = set()
    await days_pass(world)
    assert types(world, TOPIC).count("document.done") == 30
    assert len({each["id"] for each in world.receivers.got[TOPIC.url]}) == len(world.receivers.got[TOPIC.url])


async def test_a_refused_event_holds_up_no_other_and_is_dropped_after_a_week(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World.of(notifying(HOOK))
    world.receivers.refuses = lambda event: event["data"]["name"].endswith("bad.txt")
    for number in range(20):
        await answered(world, f"{number}.{'bad' if number < 8 else 'good'}.txt")
    tries = [0, 0, 0]
    for tick in range(3):
        before = world.receivers.tries
        await days_pass(world, 0.0005)
        tries[tick] = world.receivers.tries - before
    assert len(world.receivers.got[HOOK.url]) == 12
    assert sum(tries) < 3 * 20  # those that were refused are tried less and less often
    await days_pass(world, KEPT / timedelta(days=1))
    assert Alert.EVENTS_DROPPED in {each["event"] for each in raised(caplog)}
    before = world.receivers.tries
    await days_pass(world)
    assert world.receivers.tries == before


async def test_an_event_that_is_never_answered_keeps_no_other_from_its_receiver(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As of a webhook that hangs on it. What lasts for less than 15 minutes is no alert."""
    hook = replace(HOOK, events=frozenset(EventType))
    world = World.of(notifying(hook))
    world.receivers.hangs = lambda event: event["data"].get("name", "").endswith("bad.txt")
    for number in range(39):
        world.upload(f"clauses/{number}.{'bad' if number < 3 else 'good'}.txt")
    await world.app.intake.sweep()
    await answered(world, "last.good.txt")
    minute = 1 / 1440
    for _ in range(5):
        await days_pass(world, minute)
    assert Alert.EVENTS_WAIT not in {each["event"] for each in raised(caplog)}
    for _ in range(300):
        await days_pass(world, minute)
    assert types(world, hook).count("document.done") == 37
    assert {"deployment.waking", "deployment.ready", "deployment.closed"} <= set(types(world, hook))
    assert Alert.EVENTS_WAIT in {each["event"] for each in raised(caplog)}


async def test_a_receiver_that_refuses_everything_is_left_alone() -> None:
    world = World.of(notifying(HOOK))
    world.receivers.refuses = lambda _: True
    for number in range(60):
        await answered(world, f"{number}.txt")
    await days_pass(world, 0)
    assert world.receivers.tries < 30


async def test_a_crash_between_send_and_removal_repeats_the_same_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World.of(notifying(HOOK))
    await answered(world)

    async def dies(*_: Any) -> None:
        raise StorageError("the process died")

    with monkeypatch.context() as dying:
        dying.setattr(deliver.Delivery, "_save", dies)
        with pytest.raises(Exception, match="died"):
            await days_pass(world, 0)
    await days_pass(world, 0)
    first, second = world.receivers.got[HOOK.url]
    assert first == second


async def test_deployments_that_share_a_receiver_do_not_send_twice() -> None:
    other = replace(HOOK, events=frozenset(EventType), file_names=False)
    world = World.of(notifying(HOOK), replace(config("terms"), notify=(other,)))
    await answered(world)
    world.upload("terms/a.txt")
    await world.app.document_uploaded("terms/a.txt")
    await days_pass(world)
    got = world.receivers.got[HOOK.url]
    assert len({each["id"] for each in got}) == len(got) == 5
    assert not any("name" in each["data"] for each in got if each["data"]["deployment"] == "terms")


async def test_without_receivers_nothing_is_written_or_read() -> None:
    world = World.of(config())
    await answered(world)
    world.tables.lose("documents", "deployments")
    await world.app.deliver_events()
    assert world.receivers.tries == 0
