"""The functions host with a worker that some documents kill: `python -m tests.integration.fragile_host`.

So does a file that crashes a library, or needs more memory than there is: the process ends while it works on
other documents, and no handler of the app notices. Everything else is as in local.host.
"""

import importlib
import os
from typing import Any

from local.host.__main__ import main

DEADLY = "[[kills the worker]]"
"""The mark of a document that kills the worker when the worker is about to send its request."""


def be_fragile() -> None:
    """Make documents with the mark kill this process. Raises AttributeError if the adapter has changed."""
    model = importlib.import_module("shared.adapters.openai").AzureModel
    ask = model.ask

    async def die_or_ask(*given: Any, **options: Any) -> Any:
        if any(DEADLY in getattr(each, "text", "") for each in given):
            os._exit(137)  # at once, as SIGKILL ends it
        return await ask(*given, **options)

    model.ask = die_or_ask


if __name__ == "__main__":
    be_fragile()
    main()
