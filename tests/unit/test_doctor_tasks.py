"""Doctor compares a task with what Azure shows of its model, and looks for the deployment of embeddings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import DeploymentConfig, Hosted, Large, Task, prompt
from shared.ports import Offer
from shared.reports.doctor.findings import Status
from shared.reports.doctor.tasks import embeddings, sizes
from tests.fakes.world import config, hosted

SPEC = config().spec
LISTED = Offer(SPEC.model_name, "1", SPEC.sku, "", context_tokens=128_000, max_output_tokens=16_384)
SHOWN = replace(hosted(), context_tokens=64_000)
OTHER = replace(hosted(model_name="gpt-4o-2024-08-06.ft-1"), context_tokens=1000)


def asking(context: int | None = None, output: int = 1000, embedder: str | None = None) -> DeploymentConfig:
    """Return a deployment with these sizes in its task."""
    large = Large.RETRIEVE if embedder else Large.WHOLE
    task = Task(prompt("Answer."), output, context_tokens=context, large=large, embeddings=embedder)
    return config(task=task)


@pytest.mark.parametrize(
    ("task", "offer", "there", "status", "what"),
    [
        (asking(), None, None, Status.UNCHECKED, "write task.context_tokens, as Microsoft's page"),
        (asking(), LISTED, None, Status.OK, "takes 128,000 tokens by Azure's list, which counts once"),
        (asking(), LISTED, OTHER, Status.OK, "takes 128,000 tokens by Azure's list, which counts once"),
        (asking(), LISTED, SHOWN, Status.OK, "its model takes 64,000 tokens"),
        (asking(64_000), LISTED, SHOWN, Status.OK, "its model takes 64,000 tokens"),
        (asking(64_001), LISTED, SHOWN, Status.WARNING, "is 64,001, and Azure shows 64,000 write 64000"),
        (asking(128_001), LISTED, None, Status.WARNING, "write 128000: the model refuses what is longer"),
    ],
)
def test_the_context_size_is_azures_or_the_settings(
    task: DeploymentConfig, offer: Offer | None, there: Hosted | None, status: Status, what: str
) -> None:
    """What the deployment itself shows counts more than the list; a setting above it is a mistake."""
    (found,) = sizes("context", task, offer, there)
    assert found.status is status
    assert what in f"{found.what} {found.remedy}"


def test_a_setting_without_azures_word_is_not_in_doubt() -> None:
    assert [*sizes("context", asking(128_000), None, None)] == []


def test_answers_longer_than_the_model_gives_are_reported() -> None:
    """Azure refuses the requests."""
    _, found = sizes("context", asking(output=20_000), LISTED, None)
    assert (found.status, found.remedy[:23]) == (Status.WARNING, "write 16384 at most: Az")


@pytest.mark.parametrize(
    ("azure", "status", "what"),
    [
        ({}, Status.FAILED, "ranks passages by Embedder, which is not on the account"),
        ({"embedder": hosted("embedder", "Failed")}, Status.FAILED, "which is Failed"),
        ({"embedder": hosted("embedder")}, Status.OK, "which stands"),
    ],
)
def test_a_deployment_for_embeddings_must_stand(azure: dict[str, Hosted], status: Status, what: str) -> None:
    """Until then passages are ranked by their words, and nothing fails."""
    found = embeddings("embeddings", asking(embedder="Embedder"), azure)
    assert found is not None and found.status is status and what in found.what
    assert embeddings("embeddings", asking(), azure) is None
