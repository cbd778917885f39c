"""What tasks need of Azure beside their deployment: the model's sizes, and a deployment for embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shared.model import DeploymentConfig, Hosted, Observed
from shared.ports import Offer
from shared.reports.doctor.findings import Finding, failed, ok, unchecked, warning


def sizes(
    check: str, config: DeploymentConfig, offer: Offer | None, there: Hosted | None
) -> Iterator[Finding]:
    """Compare the task's tokens with those that Azure shows of the model.

    `offer`: the model, or its base model, in the account's list. `there`: what stands under its name.
    """
    task, name = config.task, config.name
    same = there is not None and there.spec.model_name == config.spec.model_name
    shown = there.context_tokens if there is not None and same else None
    size = shown or (offer.context_tokens if offer else None)
    if size is None:
        if task.context_tokens is None:
            remedy = (
                "write task.context_tokens, as Microsoft's page of the base model says it: without it, only "
                "the model's refusal shows that a document is too long"
            )
            yield unchecked(check, f"{name}: Azure does not show how many tokens its model takes", remedy)
    elif task.context_tokens is None and shown is None:
        what = f"{name}: its model takes {size:,} tokens by Azure's list, which counts once the deployment "
        yield ok(check, f"{what}shows it too, or at once if task.context_tokens says it")
    elif task.context_tokens is not None and task.context_tokens > size:
        what = f"{name}: task.context_tokens is {task.context_tokens:,}, and Azure shows {size:,}"
        yield warning(check, what, f"write {size}: the model refuses what is longer")
    else:
        yield ok(check, f"{name}: its model takes {size:,} tokens")
    most = offer.max_output_tokens if offer else None
    if most is not None and task.max_output_tokens > most:
        what = f"{name}: task.max_output_tokens is {task.max_output_tokens:,}, and its model gives {most:,}"
        yield warning(check, what, f"write {most} at most: Azure refuses requests that ask for more")


def embeddings(check: str, config: DeploymentConfig, azure: Mapping[str, Hosted]) -> Finding | None:
    """Check that the deployment for embeddings stands; None if the task has none.

    `azure`: what stands, by lower-case names.
    """
    name = config.task.embeddings
    if name is None:
        return None
    found, used_by = azure.get(name.lower()), f"{config.name} ranks passages by {name}"
    if found is not None and found.status is Observed.SUCCEEDED:
        return ok(check, f"{used_by}, which stands ({found.spec.model_name})")
    state = "is not on the account" if found is None else f"is {found.said}"
    remedy = (
        "deploy a model for embeddings under this name, such as text-embedding-3-small, or correct "
        "task.embeddings: until then passages are ranked by their words"
    )
    return failed(check, f"{used_by}, which {state}", remedy)
