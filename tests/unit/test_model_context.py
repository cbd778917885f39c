"""The model's context size is Azure's until a task names another: what it refuses is not deployed for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.model import DocumentState, Large, ModelContext, Task, prompt
from tests.fakes.world import ACCOUNT, World, config, hosted
from tests.unit.large_documents import FILL, no_threads  # noqa: F401

LONG = FILL * 800  # about 10,000 tokens
TASK = Task(prompt("Summarise."), 100)
OTHER = "gpt-4.1-mini-2025-04-14.ft-5b1f"


async def outcome(world: World, name: str) -> tuple[DocumentState, str]:
    """Return what becomes of a long document, and why."""
    world.upload(f"clauses/{name}", LONG)
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(hours=1))
    found = await world.document(f"clauses/{name}")
    return found.state, found.reason


async def test_what_azure_has_shown_once_is_known_before_the_next_deployment() -> None:
    """The first document shows it. The next one is refused at once, until another model is configured."""
    world = World.of(config(task=TASK))
    world.azure.context_tokens = 8000
    state, reason = await outcome(world, "first.txt")
    assert state is DocumentState.FAILED
    assert "the model takes 8,000 (task.context_tokens, or what Azure shows)" in reason
    assert (await world.record()).history.context == ModelContext(config().spec.model_name, "1", 8000)
    world.clock.advance(3600)
    await world.tick()
    assert (world.azure.names(), world.azure.count("put")) == ([], 1)
    assert (await outcome(world, "second.txt"), world.azure.count("put")) == ((state, reason), 1)
    world.azure.context_tokens = None  # Azure does not show it any more
    world.upload("clauses/short.txt")
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(hours=1))
    world.clock.advance(3600)
    await world.tick()
    assert (await outcome(world, "third.txt"), world.azure.count("put")) == ((state, reason), 2)
    other = world.reconfigured(config(task=TASK, model=OTHER))
    assert (await outcome(other, "fourth.txt"))[0] is DocumentState.DONE


@pytest.mark.parametrize(
    ("task", "requests"),
    [
        (replace(TASK, context_tokens=20_000), 1),  # the setting wins
        (replace(TASK, large=Large.MAP_REDUCE), 2),
    ],
)
async def test_a_document_is_asked_about_as_the_setting_or_azure_says(task: Task, requests: int) -> None:
    """In pieces that fit, without a refusal of the model."""
    world = World.of(config(task=task))
    world.azure.context_tokens = 8000
    assert (await outcome(world, "first.txt"))[0] is DocumentState.DONE
    assert len([text for text in world.azure.asked if "tenant" in text]) == requests


async def test_the_context_of_a_deployment_of_somebody_else_is_known_too() -> None:
    """It is used as it stands."""
    world = World.of(config(task=TASK))
    world.azure.context_tokens = 8000
    await world.azure.put(ACCOUNT.resource_id, hosted().spec, timeout=1)
    world.clock.advance(100)
    assert (await outcome(world, "first.txt"))[0] is DocumentState.FAILED
    assert not (await world.record()).generation.owned
