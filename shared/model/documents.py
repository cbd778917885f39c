"""Uploads: the progress of each one, and the unfinished ones of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.model.records import RecordForm


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
    arrivals: tuple[datetime, ...] = ()  # of that page, oldest first; without those that may wait longer
    latest_start: datetime | None = None  # for those that may wait longer: when the first one must be started
    patient_since: datetime | None = None  # when the first of those that may wait longer arrived

    @property
    def oldest(self) -> datetime | None:
        """Return when the first of them all arrived."""
        return min(filter(None, (*self.arrivals[:1], self.patient_since)), default=None)


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
    unpacked_from: str = ""  # id of the ZIP archive in which it was uploaded, or of the batch that it is
    finished_at: datetime | None = None
    # Of a file of records only. Counts and cost follow its answers by some seconds.
    form: RecordForm | None = None  # None: it is one document, or was not read yet
    layout: str = ""  # how its results are written, as `records.layout` has it
    staged: str = ""  # the version (ETag) of its source whose records are staged
    records: int = 0
    invalid: int = 0  # of these, records that cannot be asked
    answered: int = 0
    refused: int = 0  # records that have no answer, and get none in this run
    rate: float = 0.0  # records per minute, lately
    expected_cost: float = 0.0  # of all records, as estimated from the file
    logged: int = 0  # bytes of its answers when this row was written
    cancelled: bool = False  # somebody wants no more answers
    etag: str | None = None
