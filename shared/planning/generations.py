"""Move a deployment's record from one generation to the next, and back."""

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
    """Return the record of the next generation. Only this function resets the fields of a generation.

    Two facts of the last generation stay: its createdAt, which identifies a stale LIST, and when its deletes
    were accepted, because Azure needs a pause after them. `not_before` is cleared, because a create begins or
    a deployment exists. The count of failures stays until a request is answered.
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
    """Return the record after a create that had no effect: an existing deployment is older, or not ours."""
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
