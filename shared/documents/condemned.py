"""Settle documents that killed their workers too often, also while nothing is hosted for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from shared.documents.alone import MAX_LONE_CRASHES, crashes_of
from shared.documents.results import Results
from shared.errors import ResultUnusable
from shared.model import Document, DocumentState


def condemned(document: Document) -> str | None:
    """Return why an unclaimed document is to blame for crashes: too many happened with it alone; else None.

    A stored answer of this run acquits it: then the worker died for another reason.
    """
    lone_crashes = crashes_of(document)[1]
    if lone_crashes == document.lone_crashes or lone_crashes < MAX_LONE_CRASHES:
        return None
    return f"the app died {lone_crashes} times while it worked on this document and nothing else"


async def settle_condemned(documents: Iterable[Document], results: Results, now: datetime) -> int:
    """Settle the condemned documents, and return their number. Nothing is hosted for them again.

    `documents`: unclaimed, or with an expired claim. Raises StorageError.
    """
    settled = 0
    for document in documents:
        if (reason := condemned(document)) is None:
            continue
        try:
            acquitted = await results.spent(document) is not None
        except ResultUnusable:
            continue  # the alert is raised; a slice decides
        if not acquitted:
            crashes, lone_crashes = crashes_of(document)
            counted = replace(document, crashes=crashes, lone_crashes=lone_crashes, alone=False)
            await results.settle(counted, DocumentState.FAILED, reason, now)
            settled += 1
    return settled
