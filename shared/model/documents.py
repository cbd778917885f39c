"""Uploads: the progress of each one, and the unfinished ones of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DocumentState(StrEnum):
    """The states of an upload. The last four are final."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Demand:
    """The unfinished documents of one deployment: a page of them, and whether there are more."""

    unfinished: int = 0
    more: bool = False
    arrivals: tuple[datetime, ...] = ()  # of that page, oldest first

    @property
    def oldest(self) -> datetime | None:
        """Return when the first of them arrived."""
        return self.arrivals[0] if self.arrivals else None


@dataclass(frozen=True)
class Document:
    """An upload: its identity (container, name and ETag) and its progress."""

    id: str
    deployment: str
    name: str  # blob name in the inbox, folder included; of a file in an archive, below that of the archive
    source_etag: str
    size: int  # bytes
    arrived_at: datetime
    state: DocumentState = DocumentState.WAITING
    run: int = 1
    reason: str = ""
    attempts: int = 0  # failures, not hand-overs or crashes
    crashes: int = 0  # claims that expired: the app died or was paused
    lone_crashes: int = 0  # of these, while that process worked on no other document
    alone: bool = False  # under the current claim, its process works on no other document
    unanswered: int = 0  # times in a row that it was handed back after an error that blames no document
    claimed_by: str = ""
    claimed_until: datetime | None = None
    not_before: datetime | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0  # in the currency of the prices, over all attempts and runs
    result: str = ""  # blob name in `results`
    moved_to: str = ""  # container/name of the finished source; a requeued document is read from there
    unpacked_from: str = ""  # id of the ZIP archive in which it was uploaded
    finished_at: datetime | None = None
    etag: str | None = None
