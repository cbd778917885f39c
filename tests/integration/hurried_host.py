"""The functions host, with an app that waits less: `python -m tests.integration.hurried_host` as local.host.

What a killed host leaves behind (claims, leases, writes of unknown outcome) is waited out in real time, and
that takes minutes. For the suite each wait is cut, the longest to an eighteenth, none below what Azure takes
(a blob lease has 15 s at least), and they keep their order, which `Timing` checks. Nothing else is different
from the fragile host, and `dev.py bench kills` tells the same story with the waits as they are.
"""

import functools
from datetime import timedelta

import shared.wiring
from local.host.__main__ import main
from shared.timing import Timing
from tests.integration.fragile_host import be_fragile

HURRIED = Timing(
    request_seconds=6.0,
    bookkeeping_seconds=1.0,
    work_lease_seconds=13.0,
    blob_lease_seconds=15,
    pass_seconds=10.0,
    pass_limit_seconds=14.5,
    arm_seconds=4.0,
    probe_seconds=5.0,
    settle=timedelta(seconds=5),
    quarantine=timedelta(seconds=8),
    after_delete=timedelta(seconds=2),
    ready_limit=timedelta(seconds=10),
    first_backoff=timedelta(seconds=2),
    poll_seconds=1.0,
)


def hurry() -> None:
    """Let the app of this process be wired with the hurried limits."""
    shared.wiring.App = functools.partial(shared.wiring.App, timing=HURRIED)  # type: ignore[misc, assignment]


if __name__ == "__main__":
    hurry()
    be_fragile()
    main()
