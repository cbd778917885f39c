"""How a deployment's record goes from one generation to the next, and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.model import DeploymentRecord, Generation


def next_generation(
    record: DeploymentRecord,
    *,
    owned: bool = True,
    intent_at: datetime | None = None,
    created_at: datetime | None = None,
    delete_after: datetime | None = None,
    sku: str = "",
    capacity: int = 0,
) -> DeploymentRecord:
    """The record of the next generation: the only place that resets what belongs to one.

    Two facts of the last one stay: its createdAt, by which a stale LIST is recognised, and when its deletes
    were accepted, as Azure wants a pause after them. No wait is left over (`not_before`), as a create begins
    or a deployment stands; failures are counted further, until a request is answered.
    """
    last = record.generation
    generation = Generation(
        number=last.number + 1,
        owned=owned,
        intent_at=intent_at,
        created_at=created_at,
        earlier_created_at=last.created_at,
        delete_after=delete_after,
        deleted_at=last.deleted_at,
        deleted_again_at=last.deleted_again_at,
        sku=sku,
        capacity=capacity,
    )
    return replace(record, generation=generation, backoff=replace(record.backoff, not_before=None))


def without_intent(record: DeploymentRecord) -> DeploymentRecord:
    """After a create that surely had no effect: what stands there is older, or others'."""
    generation = record.generation
    return replace(
        record,
        generation=replace(
            generation,
            number=generation.number - 1,
            intent_at=None,
            created_at=generation.earlier_created_at,
            earlier_created_at=None,
        ),
    )
