"""An answer without the required form is repaired once, from the answer alone."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from shared.errors import RequestRefused
from shared.model import DocumentState, Message, ModelAnswer, ModelRequest, Task, prompt
from tests.fakes.world import World, config

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title"],
    "properties": {"title": {"type": "string", "maxLength": 5}},
}
REFUSED = RequestRefused("no", code="content_filter", status=400)
TOO_LONG, SHORT = '{"title": "A lease of land"}', '{"title": "Lease"}'


def asked_of(world: World, *answers: str | Exception) -> list[ModelRequest]:
    """Let the model give these answers in turn, the last one for ever; return its requests as they come."""
    asked, left, original = list[ModelRequest](), list(answers), world.azure.ask

    async def ask(endpoint: str, deployment: str, request: ModelRequest, *, timeout: float) -> ModelAnswer:
        await original(endpoint, deployment, request, timeout=timeout)
        if request.response_schema is None:  # the probe
            return ModelAnswer("yes", "stop", "m", 5, 1)
        asked.append(request)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return ModelAnswer(answer, "stop", "m", 100, 10)

    world.azure.ask = ask  # type: ignore[method-assign]
    return asked


def world_of(cap: float | None = None) -> World:
    """Return a world with one document, whose answer may have five letters."""
    world = World.of(config(task=Task(prompt("Title?"), 100, SCHEMA, cap)))
    world.upload("clauses/a.txt", "A secret lease of land.")
    return world


async def stored(world: World) -> dict[str, object]:
    """Return the document's result once there is one."""
    await world.until(lambda: bool(world.results()), timedelta(minutes=10))
    found: dict[str, object] = json.loads(await world.blobs.read("results", world.results()[0]))
    return found


async def test_a_wrong_form_is_corrected_without_the_document() -> None:
    """One request more, with the answer and what is wrong with it; both are charged."""
    world = world_of()
    asked = asked_of(world, TOO_LONG, SHORT)
    result = await stored(world)
    assert result["answer"] == {"title": "Lease"}
    assert result["usage"] == {"prompt_tokens": 200, "completion_tokens": 20}
    first, repair = asked
    assert first.text == "A secret lease of land."
    assert repair.messages == (
        Message(
            "user",
            "Correct the following answer and change nothing else in it. What is wrong with it: the model's "
            f"answer does not conform to the schema at properties/title/maxLength.\n\n{TOO_LONG}",
        ),
    )
    assert repair.response_schema == SCHEMA
    document = await world.document("clauses/a.txt")
    assert (document.prompt_tokens, document.completion_tokens, document.attempts) == (200, 20, 0)


@pytest.mark.parametrize("repaired", [TOO_LONG, "no JSON", REFUSED, ""])
async def test_a_repair_that_fails_is_one_attempt(repaired: str | Exception) -> None:
    """The document is asked about again later."""
    world = world_of()
    asked = asked_of(world, TOO_LONG, repaired, SHORT)
    assert (await stored(world))["answer"] == {"title": "Lease"}
    assert asked[-1].text == "A secret lease of land."
    assert (await world.document("clauses/a.txt")).attempts == 1


async def test_an_empty_answer_is_not_repaired() -> None:
    """There is nothing to correct."""
    world = world_of()
    asked = asked_of(world, " ", SHORT)
    await stored(world)
    assert [request.text for request in asked] == ["A secret lease of land."] * 2


async def test_a_repair_keeps_the_cap() -> None:
    """What the cap does not admit any more is not asked: the document fails with the reason of the cap."""
    world = world_of(cap=0.0002)
    asked = asked_of(world, TOO_LONG)
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(hours=1))
    document = await world.document("clauses/a.txt")
    assert document.state is DocumentState.FAILED
    assert "max_cost_per_document" in document.reason
    assert [request.text for request in asked] == ["A secret lease of land."] * len(asked)
