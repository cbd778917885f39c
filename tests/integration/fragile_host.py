"""The functions host, whose worker dies over some documents: `python -m tests.integration.fragile_host`.

As of a file that crashes a library, or takes more memory than there is: the process is gone in the middle of
what it does for others, and no handler of the app sees it. Nothing else is different from local.host.
"""

import importlib
import os
from typing import Any

from local.host.__main__ import main

DEADLY = "[[kills the worker]]"
"""The mark of a document that the worker dies of as soon as it would ask the model about it."""


def be_fragile() -> None:
    """Let this process die of documents with the mark. Raises AttributeError for another adapter."""
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
