"""Find the documents that a slice may start next: one read of the backlog serves many claims."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection

from shared.documents.alone import SUSPECT_PATIENCE, is_suspect
from shared.documents.drain_tools import DrainTools
from shared.model import Document

LOOK = 2.0
"""Seconds between two reads of the backlog while documents are in progress."""
_MOST = 200  # documents that one read finds; other workers may change them before they are claimed


class Candidates:
    """The unfinished documents of a deployment that are neither claimed nor pausing, oldest first.

    Of those that one read finds, the ones that were never refused come first: a slice may end at a document
    that Azure always refuses, and those behind it would wait for ever.
    """

    def __init__(self, tools: DrainTools, deployment: str) -> None:
        self._tools = tools
        self._clock = tools.clock
        self._deployment = deployment
        self._found: deque[Document] = deque()
        self._look_at = -math.inf  # monotonic seconds
        self.suspect: Document | None = None
        """The oldest document that must be processed alone."""

    async def look(self, running: Collection[str], left: Collection[str]) -> None:
        """Read the backlog if all found documents were taken. Skip those in progress and those left.

        Raises StorageError.
        """
        if self._found or (running and self._clock.monotonic() < self._look_at):
            return
        self.suspect = None
        found = []
        async for document in self._tools.claimable(self._deployment):
            if document.id in running or document.id in left:
                continue
            if is_suspect(document):
                self.suspect = self.suspect or document
                if self._clock.now() - document.arrived_at > SUSPECT_PATIENCE:
                    break  # later documents must not delay it for ever
                continue
            found.append(document)
            if len(found) == _MOST:
                break
        self._found.extend(sorted(found, key=_was_refused))
        self._look_at = self._clock.monotonic() + LOOK

    def take(self) -> Document | None:
        """Return the next document, and do not return it again."""
        return self._found.popleft() if self._found else None


def _was_refused(document: Document) -> bool:
    return document.unanswered > 0 or document.attempts > 0
