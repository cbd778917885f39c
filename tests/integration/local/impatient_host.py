"""The functions host with messages that stay invisible for 2 s: `python impatient_host.py`, for tests.

In Azure it is ten minutes, which a message waits if its worker dies.
"""

import local.host.queues
from local.host.__main__ import main

if __name__ == "__main__":
    local.host.queues.INVISIBLE_SECONDS = 2.0
    main()
