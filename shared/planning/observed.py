"""Translate what Azure lists: who owns a deployment, which state it has, and from when on it is gone.

Note [LISTs are late]. A LIST may show a state that is minutes old, and may leave out an entry. So a
deployment that a LIST does not show is doubted first and forgotten later, unless Azure accepted a delete of
ours before that LIST. If a forgotten deployment appears again, the createdAt in its record identifies it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.model import DeploymentRecord, Hosted, Observed, Owner, RecordState
from shared.timing import Timing

OWNER_TAG = "lamplighter"  # value: our installation
STORAGE_TAG = "lamplighter-storage"  # value: the storage account that holds its record
DELETE_AFTER_TAG = "delete-after"
OUR_TAGS = (OWNER_TAG, STORAGE_TAG, DELETE_AFTER_TAG)


def owns(owner: Owner, tags: Mapping[str, str]) -> bool:
    """Return whether a deployment's tags name us. Earlier versions wrote no tag for the storage account."""
    return tags.get(OWNER_TAG) == owner.installation and tags.get(STORAGE_TAG, owner.storage) == owner.storage


def is_twin(owner: Owner, tags: Mapping[str, str]) -> bool:
    """Return whether a deployment belongs to a copy of the app: our installation, but other records."""
    return tags.get(OWNER_TAG) == owner.installation and not owns(owner, tags)


def is_ours(azure: Hosted, record: DeploymentRecord, owner: Owner, timing: Timing) -> bool:
    """Return whether tags or the record prove that it is ours. One is enough, because Azure may drop tags.

    The record proves it by Azure's createdAt, even if a LIST left the deployment out and the app forgot it.
    Before createdAt is known, the record proves it by an intent whose time fits: the last one, or that of a
    create which was given up without a known outcome.
    """
    generation = record.generation
    if OWNER_TAG in azure.spec.tags:
        return owns(owner, azure.spec.tags)
    if not generation.owned:
        return False
    known = (generation.created_at, generation.earlier_created_at)
    if azure.created_at is not None and azure.created_at in known:
        return True
    if record.doubted_at is not None and _fits(azure.created_at, record.doubted_at, timing):
        return True
    if record.state is RecordState.ABSENT and generation.created_at is not None:
        return False
    if generation.intent_at is None or (generation.created_at is not None and azure.created_at is not None):
        return False
    if azure.created_at is None:
        return record.state is not RecordState.ABSENT
    return _fits(azure.created_at, generation.intent_at, timing)


def _fits(created_at: datetime | None, intent_at: datetime, timing: Timing) -> bool:
    """Return whether a create that was sent at `intent_at` can have made it."""
    latest = intent_at + timing.quarantine + timing.clock_skew
    return created_at is not None and intent_at - timing.clock_skew <= created_at <= latest


def is_past(azure: Hosted, record: DeploymentRecord, now: datetime, timing: Timing) -> bool:
    """Return whether a stale LIST shows a deleted generation of ours, the last one or one before it."""
    generation, created_at = record.generation, azure.created_at
    if created_at is None or generation.intent_at is None or created_at == generation.created_at:
        return False
    is_recent = now - generation.intent_at < timing.list_lag + timing.quarantine
    earlier = generation.earlier_created_at
    return is_recent and earlier is not None and created_at <= earlier


def is_of_a_doubted_create(azure: Hosted, record: DeploymentRecord) -> bool:
    """Return whether a deployment of ours is newer than what the record is about.

    A create was given up without a known outcome, and the next one was refused, perhaps because of it.
    """
    known, created_at = record.generation.created_at, azure.created_at
    refused = record.state is RecordState.DELETING and record.generation.seen_at is None
    return refused and known is not None and created_at is not None and created_at > known


def observe(azure: Hosted | None, record: DeploymentRecord, owner: Owner, timing: Timing) -> Observed:
    """Return the observed state of a deployment."""
    if azure is None:
        return Observed.ABSENT
    if not is_ours(azure, record, owner, timing):
        return Observed.FOREIGN
    proven = record.state not in (RecordState.ABSENT, RecordState.CREATING)
    return Observed.READY if azure.status is Observed.SUCCEEDED and proven else azure.status


def is_expected_gone(record: DeploymentRecord) -> bool:
    """Return whether Azure accepted a delete of this generation, or never listed it.

    A delete that Azure refused, or that met a busy account, does not count.
    """
    return record.delete_accepted_at is not None or record.generation.seen_at is None


def absence_counts_from(record: DeploymentRecord, began_at: datetime, timing: Timing) -> datetime:
    """Return from when on a LIST without the deployment proves that it is gone.

    `began_at`: when the current LIST began. It is the first one without it if the record names none.
    """
    generation = record.generation
    assert record.changed_at is not None
    if not record.settled:
        # A create may take effect late, and a LIST may show that even later.
        lag = timing.settle if record.state is RecordState.CREATING else timedelta(0)
        return record.changed_at + timing.quarantine + lag
    if record.state is RecordState.DELETING and is_expected_gone(record):
        # The answer to a later delete says nothing about an earlier delete without an answer.
        uncertain_at = generation.uncertain_at
        uncertain = uncertain_at + timing.quarantine if uncertain_at else record.changed_at
        return max(record.changed_at, uncertain)
    missed_since = generation.missed_since or began_at
    # Requests to the deployment also say that it does not exist: two independent signs.
    agreed = generation.silent_since is not None and generation.silent_probes > 0
    return max(record.changed_at, missed_since) + (timing.settle if agreed else timing.list_lag)
