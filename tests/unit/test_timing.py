"""The time limits: an order on which a protocol does not hold is refused, and what is handed in is used."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from shared.errors import OutcomeUnknown
from shared.model import RecordState
from shared.timing import Timing
from tests.fakes.records import changed
from tests.fakes.world import World, config


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        ({"request_seconds": 200.0}, "request_seconds + bookkeeping_seconds (240 s)"),
        ({"request_seconds": 170.0, "bookkeeping_seconds": 1.0}, "request_seconds + work_renewal_seconds"),
        ({"session_margin": timedelta(minutes=4)}, "work_lease_seconds (240 s)"),
        ({"probe_seconds": 40.0}, "probe_seconds (40 s) must be less than pass_seconds (40 s)"),
        ({"arm_seconds": 20.0}, "arm_seconds + arm_seconds (40 s)"),
        ({"pass_limit_seconds": 40.0}, "pass_seconds (40 s) must be less than pass_limit_seconds"),
        ({"pass_limit_seconds": 60.0}, "pass_limit_seconds (60 s) must be less than blob_lease_seconds"),
        ({"pass_seconds": 45.0}, "pass_seconds + arm_seconds (60 s)"),
        ({"quarantine": timedelta(seconds=15), "settle": timedelta(0)}, "arm_seconds (15 s)"),
        ({"settle": timedelta(minutes=2)}, "settle (120 s) must be less than quarantine"),
        ({"list_lag": timedelta(minutes=1)}, "settle (60 s) must be less than list_lag"),
        ({"doubt": timedelta(minutes=8)}, "quarantine + settle + list_lag (480 s)"),
        ({"blob_lease_seconds": 61}, "Azure leases a blob for 15 to 60 s"),
    ],
)
def test_an_order_that_breaks_a_protocol_is_refused(limits: dict[str, Any], refused: str) -> None:
    """The message names both sides, with their seconds."""
    with pytest.raises(ValueError, match=re.escape(refused)):
        Timing(**limits)


async def test_passes_and_workers_keep_the_limits_that_they_were_handed() -> None:
    """The quarantine of a create whose answer was lost, and a worker's lease."""
    longer = Timing(quarantine=timedelta(minutes=4), work_lease_seconds=300.0)
    world = World.of(config(), timing=longer)
    world.upload("clauses/a.txt")
    world.azure.fail_next("put", OutcomeUnknown("no answer"))
    await world.app.reconcile()
    world.clock.advance(longer.quarantine.total_seconds() - 5)
    await world.app.reconcile()
    assert (await world.record()).state is RecordState.CREATING
    work = world.worker()
    await work.enter()
    work.record = changed(await world.record(), state=RecordState.OPEN, delete_after=None)
    assert work.allows(299.0)
    assert not work.allows(301.0)
