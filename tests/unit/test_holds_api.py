"""Holds by HTTP: the whole request is checked, and the answer says what it costs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.doors import api
from shared.errors import ProviderRefused
from shared.model import DocumentState
from tests.fakes.clock import START
from tests.fakes.world import ACCOUNT, World, config
from tests.unit.command_line import command

ASKED = {"way": "up", "for": "2h", "owner": "dana", "reason": "demo for legal"}
HOUR = timedelta(hours=1)


async def ask(world: World, name: str = "clauses", **changes: Any) -> api.Reply:
    """POST …/hold, with some keys changed; None leaves one out."""
    body = {key: value for key, value in (ASKED | changes).items() if value is not None}
    return await api.hold(world.app, name, json.dumps(body).encode())


async def problems(world: World, **changes: Any) -> dict[str, str]:
    """Return the mistakes of a refused request by key; nothing was held."""
    reply = await ask(world, **changes)
    assert reply.status == 400, reply.body
    assert await world.app.context.ledger.holds(ACCOUNT.resource_id, START) == {}
    shown = {each["key"]: each["remedy"] for each in reply.body["problems"]}
    assert all(f"{key}: {remedy}" in reply.body["error"] for key, remedy in shown.items())
    return shown


async def test_a_hold_up_is_kept_shown_with_its_cost_and_obeyed_at_once() -> None:
    """The body is the command's; the deployment is being created when the answer comes."""
    world = World.of(config())
    reply = await ask(world)
    assert reply.status == 200
    why = ("--owner", "dana", "--reason", "demo for legal")
    by_command = await command(World.of(config()), "up", "clauses", "--for", "2h", *why, "--json")
    assert reply.body == by_command.json
    assert reply.body["forecast"]["cost"] == 3.4
    assert reply.body["step"].startswith("wait: Azure is creating it")
    assert world.azure.names() == ["clauses"]
    shown = (await api.deployment(world.app, "clauses")).body["hold"]
    assert (shown["way"], shown["owner"], shown["reason"]) == ("up", "dana", "demo for legal")


async def test_a_hold_may_end_at_a_time_with_its_zone() -> None:
    """18:00 in Berlin is 17:00 UTC."""
    reply = await ask(World.of(config()), **{"for": None, "until": "2026-11-23T18:00:00+01:00"})
    assert reply.body["until"] == "2026-11-23T17:00:00+00:00"


async def test_an_upload_during_a_hold_down_waits_and_is_answered_after_it() -> None:
    """Nothing is created for two hours; then the deployment is created without any action."""
    world = World.of(config())
    reply = await ask(world, way="down")
    assert reply.body["forecast"]["cost"] == 0
    submitted = await api.submit(world.app, "clauses", "letter.txt", b"Dear all", None)
    assert "held down by dana" in submitted.body["reason"]
    while world.clock.now() < START + 2 * HOUR - timedelta(minutes=1):
        await world.tick()
        world.clock.advance(60)
    assert world.azure.count("put") == 0
    assert (await world.document("clauses/letter.txt")).state is DocumentState.WAITING
    answered = await world.until(lambda: world.results() != [], timedelta(minutes=10))
    assert answered >= START + 2 * HOUR
    assert (await world.document("clauses/letter.txt")).state is DocumentState.DONE


async def test_delete_ends_a_hold_and_none_is_no_error() -> None:
    """The pass that follows deletes what nothing else wants."""
    world = World.of(config())
    await ask(world)
    await world.until(lambda: bool(world.azure.asked), timedelta(minutes=5))
    reply = await api.release(world.app, "CLAUSES")
    assert (reply.status, reply.body["deployment"], reply.body["released"]) == (200, "clauses", True)
    assert reply.body["step"].startswith("wait: Azure is deleting it") or world.azure.names() == []
    again = await api.release(world.app, "clauses")
    assert (again.status, again.body["released"]) == (200, False)


async def test_what_azure_refuses_is_reported_and_the_hold_stays() -> None:
    """The right to list is missing: once it is granted, the hold need not be repeated."""
    world = World.of(config())
    world.azure.fail_next("list", ProviderRefused("no right to list", code="AuthorizationFailed"))
    reply = await ask(world)
    assert (reply.status, reply.body["step"]) == (200, "no right to list")
    assert (await world.app.context.ledger.holds(ACCOUNT.resource_id, START))["clauses"].up


async def test_an_unknown_deployment_is_not_found() -> None:
    """With the name that was meant."""
    world = World.of(config())
    for reply in (await ask(world, "clausse"), await api.release(world.app, "clausse")):
        assert reply.status == 404
        assert "did you mean 'clauses'?" in reply.body["error"]


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"way": "sideways"}, "way", "write up or down"),
        ({"way": True}, "way", "write a text in quotes"),
        ({"way": None}, "way", "is missing"),
        ({"for": "two hours"}, "for", "write a duration such as"),
        ({"for": "0s"}, "for", "more than nothing"),
        ({"for": "31d"}, "for", "too long"),
        ({"for": "999999999d999999999d"}, "for", "too long"),
        ({"for": 7200}, "for", "write a text in quotes"),
        ({"for": None}, "until", "write either until (an ISO time) or for"),
        ({"until": "2026-11-24T08:00:00Z"}, "until", "write either until"),
        (
            {"for": None, "until": "2026-11-23T07:59:00Z"},
            "until",
            "2026-11-23 07:59 UTC is past: a hold ends",
        ),
        ({"for": None, "until": "2026-11-23T08:00:00Z"}, "until", "after 2026-11-23 08:00 UTC, and by"),
        ({"for": None, "until": "2027-11-23"}, "until", "is too far away: a hold ends"),
        ({"for": None, "until": "2027-11-23"}, "until", "by 2026-12-23 08:00 UTC (30 days) at the latest"),
        ({"for": None, "until": "2026-11-23T18:00"}, "until", "names no zone"),
        ({"for": None, "until": "tomorrow"}, "until", "write a date, or an ISO time"),
        ({"for": None, "until": "0001-01-01T00:00:00+10:00"}, "until", "write a year"),
        ({"owner": None}, "owner", "is missing"),
        ({"owner": " "}, "owner", "write 1 to 200 characters"),
        ({"owner": "x" * 201}, "owner", "write 1 to 200 characters"),
        ({"owner": ["dana"]}, "owner", "write a text in quotes"),
        ({"reason": "r" * 201}, "reason", "write 1 to 200 characters"),
        ({"reason": "two\nlines"}, "reason", "on one line"),
        ({"reason": "half a character \ud800"}, "reason", "on one line"),
        ({"ownr": "dana"}, "ownr", "unknown key: known are way, until, for, owner, reason"),
        ({"\ud800": "dana"}, "a key", "unknown key"),
    ],
)
async def test_each_mistake_is_reported_with_its_key_and_remedy(
    changes: dict[str, Any], key: str, says: str
) -> None:
    """And nothing is held."""
    shown = await problems(World.of(config()), **changes)
    assert list(shown) == [key]
    assert says in shown[key]


async def test_all_mistakes_are_reported_at_once() -> None:
    """As those of deployments.yaml are."""
    shown = await problems(
        World.of(config()), way="on", owner=None, reason="", colour="red", **{"for": "soon"}
    )
    assert set(shown) == {"way", "for", "owner", "reason", "colour"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        *((body, "the body: is not JSON: send") for body in (b"", b"{", b"\xff\xfe", b"[" * 5_000)),
        *((body, "the body: send") for body in (b"[]", b'"up"', b"null")),
        ('{"owner": "Jörg"}'.encode("cp1252"), "is not UTF-8 text"),
        (b'{"way": "up", "x": "' + b"x" * 10_000 + b'"}', "is longer than 10,000 bytes"),
    ],
)
async def test_what_is_no_small_json_object_is_refused(body: bytes, says: str) -> None:
    """With the reason, and an example of what is."""
    world = World.of(config())
    reply = await api.hold(world.app, "clauses", body)
    assert reply.status == 400
    assert 'send a JSON object such as {"way": "up"' in reply.body["error"]
    assert says in reply.body["error"]
    json.dumps(reply.body, ensure_ascii=False).encode()


async def test_a_hold_on_the_developer_tier_costs_nothing() -> None:
    """Azure asks no hosting fee."""
    free = config()
    world = World.of(replace(free, spec=replace(free.spec, sku="DeveloperTier")))
    forecast = (await ask(world)).body["forecast"]
    assert (forecast["hours"], forecast["cost"], forecast["currency"]) == (2, 0, "USD")
