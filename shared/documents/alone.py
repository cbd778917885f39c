"""Who may be in work beside whom: a document under suspicion is worked on alone in its process.

Note [who is to blame for a crash]. When a worker dies, every document that it had in work was hit, and one
may have caused it. After two crashes a document is a suspect, and from then on nothing else is in work beside
it, on any deployment of this process. Only what dies alone, several times, is to blame.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from shared.model import Document, DocumentState

SUSPECT_AFTER = 2
"""Crashes after which a document is worked on alone."""
SUSPECT_PATIENCE = timedelta(minutes=10)
"""A suspect lets others go first until it is as old as this."""
MAX_LONE_CRASHES = 3
"""Crashes alone after which a document is a dead letter."""


def crashes_of(document: Document) -> tuple[int, int]:
    """Its crashes, and those alone, with the claim that ran out if it has one."""
    crashed = document.state is DocumentState.CLAIMED
    return document.crashes + crashed, document.lone_crashes + (crashed and document.alone)


def is_suspect(document: Document) -> bool:
    """Whether it must be worked on alone."""
    return crashes_of(document)[0] >= SUSPECT_AFTER


class SoloGate:
    """One for each process: many documents at a time, or a suspect alone."""

    def __init__(self) -> None:
        self._inside = 0
        self._alone = False
        self._waiting = 0  # suspects who want to enter: nobody else enters before them
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Be in work beside others."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone and not self._waiting)
            self._inside += 1
        try:
            yield
        finally:
            await self._leave()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Be in work with nothing else in work. Cancelled while it waits, it leaves no trace."""
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
