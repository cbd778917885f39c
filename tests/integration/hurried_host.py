"""The fragile host with an app that waits less: `python -m tests.integration.hurried_host`.

A killed host leaves claims, leases and writes of unknown outcome. The app waits until they have expired,
which takes minutes of real time. This host shortens each wait, the longest to an eighteenth. None is below
Azure's minimum (15 s for a blob lease), and they keep their order, which `Timing` checks. `dev.py bench
kills` runs the same test with the real waits.
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
    """Make this process build the app with the shorter limits."""
    shared.wiring.App = functools.partial(shared.wiring.App, timing=HURRIED)  # type: ignore[misc, assignment]


if __name__ == "__main__":
    hurry()
    be_fragile()
    main()
