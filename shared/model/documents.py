"""Uploads: how far each has come, and how many are unfinished."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DocumentState(StrEnum):
    """The life of an upload. The last four are final."""

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
        """When the first of them arrived."""
        return self.arrivals[0] if self.arrivals else None


@dataclass(frozen=True)
class Document:
    """An upload: container, name and ETag, and how far it has come."""

    id: str
    deployment: str
    name: str  # blob name in the inbox, folder included
    source_etag: str
    size: int  # bytes
    arrived_at: datetime
    state: DocumentState = DocumentState.WAITING
    run: int = 1
    reason: str = ""
    attempts: int = 0  # failures, not hand-overs or crashes
    crashes: int = 0  # claims that ran out: the app died, or stood still
    lone_crashes: int = 0  # of these, with no other document in work in that process
    alone: bool = False  # the claim in force is of a document that is worked on alone
    unanswered: int = 0  # times in a row that it was handed back after an error that blames no document
    claimed_by: str = ""
    claimed_until: datetime | None = None
    not_before: datetime | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0  # in the currency of the prices, over all attempts and runs
    result: str = ""  # blob name in `results`
    moved_to: str = ""  # container/name of the finished source; a requeued document is read from there
    finished_at: datetime | None = None
    etag: str | None = None
