"""Process a document that is suspected of crashes alone in its process.

Note [who is to blame for a crash]. When a worker dies, all documents that it was processing are affected, and
one of them may be the cause. After two crashes a document is a suspect, and from then on the process handles
nothing else beside it, on any deployment. Only a document that crashes several times alone is to blame.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from shared.model import Document, DocumentState

SUSPECT_AFTER = 2
"""Crashes after which a document is processed alone."""
SUSPECT_PATIENCE = timedelta(minutes=10)
"""A suspect waits for other documents until it is this old."""
MAX_LONE_CRASHES = 3
"""Crashes of a document processed alone after which it is a dead letter."""


def crashes_of(document: Document) -> tuple[int, int]:
    """Return its crashes and its crashes alone, including an expired claim."""
    crashed = document.state is DocumentState.CLAIMED
    return document.crashes + crashed, document.lone_crashes + (crashed and document.alone)


def is_suspect(document: Document) -> bool:
    """Return whether it must be processed alone."""
    return crashes_of(document)[0] >= SUSPECT_AFTER


class SoloGate:
    """Admit many documents at a time, or one suspect alone. There is one gate in a process."""

    def __init__(self) -> None:
        self._inside = 0
        self._alone = False
        self._waiting = 0  # suspects that wait to enter: no other document enters before them
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Enter beside other documents."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone and not self._waiting)
            self._inside += 1
        try:
            yield
        finally:
            await self._leave()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Enter alone, when no other document is inside. A cancelled wait has no effect."""
        async with self._changed:
            self._waiting += 1
            try:
                await self._changed.wait_for(lambda: not self._alone and not self._inside)
                self._alone = True
            finally:
                self._waiting -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            await self._leave()

    async def _leave(self) -> None:
        async with self._changed:
            if self._alone:
                self._alone = False
            else:
                self._inside -= 1
            self._changed.notify_all()
