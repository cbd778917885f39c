"""One deployment as Azure and the records have it, and the decision about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared.model import (
    Demand,
    DeploymentConfig,
    DeploymentRecord,
    Hosted,
    Owner,
    RecordState,
)
from shared.planning.decision import Decision, Observation
from shared.planning.observed import OWNER_TAG
from shared.planning.plan import plan
from tests.fakes.records import changed
from tests.fakes.world import ACCOUNT, config, hosted, picture

ME = Owner("test", "store")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CREATED = NOW - timedelta(minutes=30)
BUSY = Demand(3, False, (NOW - timedelta(minutes=5),))
OURS = {OWNER_TAG: "test"}
STATES = ["Accepted", "Creating", "Succeeded", "Deleting", "Failed", "Canceled", "Disabled", "Moving", "Odd"]


def azure(
    state: str = "Succeeded",
    name: str = "clauses",
    tags: Mapping[str, str] = OURS,
    created_at: datetime | None = CREATED,
) -> Hosted:
    return hosted(name, state, created_at, tags=tags)


def record(
    state: RecordState = RecordState.OPEN, name: str = "clauses", **changes: object
) -> DeploymentRecord:
    found = changed(
        DeploymentRecord(ACCOUNT.resource_id, name),
        state=state,
        number=1,
        changed_at=CREATED,
        intent_at=CREATED,
        created_at=CREATED,
    )
    return changed(found, **changes)


def decide(
    found: Hosted | None,
    known: DeploymentRecord | None,
    *,
    demand: Demand = BUSY,
    working: int = 0,
    given: DeploymentConfig | None = None,
    began_at: datetime | None = None,
    now: datetime = NOW,
) -> Decision:
    """The decision about one deployment."""
    chosen = given or config()
    records = {"clauses": known} if known else {}
    known_now = picture(now, chosen, records=records, demand={"clauses": demand})
    seen = Observation(began_at or now, {"clauses": found} if found else {}, known_now, {"clauses": working})
    (decision,) = plan(ME, ACCOUNT, seen)
    return decision
