"""The functions host, with an app that waits less: `python -m tests.integration.hurried_host` as local.host.

What a killed host leaves behind (claims, leases, writes of unknown outcome) is waited out in real time, and
that takes minutes. For the suite each wait is cut, the longest to an eighteenth, none below what Azure takes
(a blob lease has 15 s at least), and they keep their order: a request ends before its lease does, a pass
before its account's. Nothing else is different from the fragile host, and `dev.py bench kills` tells the same
story with the waits as they are.
"""

import importlib
import sys
from datetime import timedelta

from local.host.__main__ import main
from tests.integration.fragile_host import be_fragile

# By the constants' names, wherever they were imported; seconds.
WORK_LEASE, BLOB_LEASE, QUARANTINE, SETTLE = 13, 15, 8, 5
HURRIED: dict[str, float | timedelta] = {
    "WORK_LEASE": float(WORK_LEASE),  # 240
    "REQUEST_LIMIT": 6.0,  # 120
    "_BOOKKEEPING": 1.0,  # 10
    "BLOB_LEASE": BLOB_LEASE,  # 60
    "PASS_SECONDS": 10.0,  # 40
    "ARM_SECONDS": 4.0,  # 15
    "PROBE_SECONDS": 5.0,  # 10
    "POLL_SECONDS": 1.0,  # 5
    "QUARANTINE": timedelta(seconds=QUARANTINE),  # 120
    "SETTLE": timedelta(seconds=SETTLE),  # 60
    "AFTER_DELETE": timedelta(seconds=2),  # 20
    "READY_LIMIT": timedelta(seconds=10),  # 900
    "_FIRST_BACKOFF": timedelta(seconds=2),  # 30, of deployments and of documents
}


def hurry() -> None:
    """Cut the waits of this process. Raises LookupError for a constant that the app does not have."""
    importlib.import_module("shared.wiring")  # and with it whatever has these constants
    ours = [module for name, module in sys.modules.items() if name.startswith("shared.")]
    for name, value in HURRIED.items():
        owners = [module for module in ours if hasattr(module, name)]
        if not owners:
            raise LookupError(f"nothing in shared is called {name} any more")
        for module in owners:
            setattr(module, name, value)


if __name__ == "__main__":
    hurry()
    be_fragile()
    main()
