"""What is stored of files and batches. Ids begin with the time, so that their rows sort by it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

_HEX = "0123456789abcdef"
_NEWEST_FIRST = str.maketrans(_HEX, _HEX[::-1])
_FILE = re.compile(r"file-([0-9a-f]{32})")
_RESULT = re.compile(r"file-(output|error)-([0-9a-f]{32})")
_BATCH = re.compile(r"batch_([0-9a-f]{32})")


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file. Its blob in `files` has its id as name. `version`: the blob's ETag."""

    id: str
    name: str  # as its sender wrote it, without control characters: it is untrusted
    size: int  # bytes
    version: str
    created_at: datetime


class JobState(StrEnum):
    """How far a batch is before its document has a state of its own."""

    PENDING = "pending"  # it is no document yet
    TAKEN_IN = "taken_in"  # the document's state counts
    FAILED = "failed"  # the whole file was refused
    CANCELLED = "cancelled"  # before it was taken in


@dataclass(frozen=True)
class BatchJob:
    """A batch. `document`: the id of the document that it becomes, empty until its file was looked at."""

    id: str
    file: str  # id
    file_name: str
    file_size: int  # bytes
    file_version: str  # the blob's ETag
    endpoint: str
    completion_window: str  # as its sender wrote it
    window_seconds: int
    metadata: str  # JSON
    created_at: datetime
    state: JobState = JobState.PENDING
    document: str = ""
    code: str = ""  # why it failed
    reason: str = ""
    cancelling_at: datetime | None = None
    settled_at: datetime | None = None  # when it left the state pending
    claimed_until: datetime | None = None  # a process takes it in
    tries: int = 0  # to take it in, without those that ended in order
    etag: str | None = None

    @property
    def window(self) -> timedelta:
        """Return the time within which it is to be done."""
        return timedelta(seconds=self.window_seconds)


def new_file_id(at: datetime) -> str:
    """Return an id for a file."""
    return f"file-{_new(at)}"


def new_batch_id(at: datetime) -> str:
    """Return an id for a batch."""
    return f"batch_{_new(at)}"


def _new(at: datetime) -> str:
    return f"{int(at.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def file_hex(file_id: str) -> str | None:
    """Return the part of an uploaded file's id that identifies it; None for anything else."""
    found = _FILE.fullmatch(file_id)
    return found[1] if found else None


def batch_hex(batch_id: str) -> str | None:
    """Return the part of a batch's id that identifies it; None for anything else."""
    found = _BATCH.fullmatch(batch_id)
    return found[1] if found else None


class ResultKind(StrEnum):
    """The files that a batch has when it is finished."""

    OUTPUT = "output"
    ERROR = "error"


def result_id(batch_id: str, kind: ResultKind) -> str:
    """Return the id of a batch's file."""
    return f"file-{kind}-{batch_id.removeprefix('batch_')}"


def result_of(file_id: str) -> tuple[str, ResultKind] | None:
    """Return the batch whose file this id names, and which file; None for anything else."""
    found = _RESULT.fullmatch(file_id)
    return (f"batch_{found[2]}", ResultKind(found[1])) if found else None


def newest_first(hexadecimal: str) -> str:
    """Return the text whose order is the reverse. Safe to apply twice."""
    return hexadecimal.translate(_NEWEST_FIRST)
