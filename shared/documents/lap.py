"""Read the unfinished rows, oldest first and a page at a time: the lap, the first step of a sweep.

An upload that a row names is recorded, so the walk need not look it up. If the walk does not find it, it has
vanished.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.documents.backlog import DocumentLedger
from shared.documents.identity import deployment_of
from shared.documents.seen import Seen
from shared.model import Document
from shared.ports import Clock

_KEPT = 5000  # documents of a lap that are checked if the walk does not find them
_BEHIND_ALL = "~"  # sorts after every document of a deployment


@dataclass
class LapPart:
    """The part of a lap that one sweep read: documents whose source must be in the inbox."""

    documents: list[Document] = field(default_factory=list)
    server_time: datetime | None = None
    read_to: str = ""  # the last document read; empty: the lap is complete
    left_out: bool = False  # there were more documents than are kept

    def keep(self, documents: Sequence[Document], now: datetime) -> None:
        """Keep those that are unclaimed and were not moved: their source is in the inbox."""
        for document in documents:
            if document.moved_to or (document.claimed_until and document.claimed_until > now):
                continue
            if len(self.documents) == _KEPT:
                self.left_out = True
                return
            self.documents.append(document)

    @property
    def looked_at_to(self) -> str:
        """Return the last document of the lap that is checked once all kept ones are."""
        return self.documents[-1].id if self.left_out else self.read_to


class Lap:
    """Read the laps of one process. `complete`: it has finished one."""

    def __init__(
        self, clock: Clock, ledger: DocumentLedger, deployments: Collection[str], seen: Seen
    ) -> None:
        self.complete = False
        self._clock = clock
        self._ledger = ledger
        self._names = sorted(deployments)
        self._seen = seen
        # How far this process has read. The sweep's row holds how far everything was checked.
        self._read_to: str | None = None

    async def read(self, part: LapPart, stopped_at: str, now: datetime, until: float) -> None:
        """Read on into `part`, until the lap's end or monotonic `until`; at least one page.

        `stopped_at`: where a process that has read nothing yet begins. Raises StorageError.
        """
        last = stopped_at if self._read_to is None else self._read_to
        if not last:
            self._seen.begin_lap()
        for name in self._names:
            if name < deployment_of(last):
                continue
            more = True
            while more:
                page = await self._ledger.unfinished_after(name, last if deployment_of(last) == name else "")
                part.server_time = part.server_time or page.server_time
                for document in page.documents:
                    self._seen.note_waiting(document.id)
                part.keep(page.documents, now)
                last = page.documents[-1].id if page.documents else f"{name}~{_BEHIND_ALL}"
                more = page.more
                if self._clock.monotonic() > until and (more or name != self._names[-1]):
                    part.read_to = self._read_to = last
                    return
        self._seen.end_lap()
        part.read_to = self._read_to = ""
        self.complete = True
