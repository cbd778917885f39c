"""Translate files and batches to the objects of OpenAI's API, as the openai SDK's types have them.

https://platform.openai.com/docs/api-reference/batch/object and …/files/object
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.batches.rows import BatchJob, JobState, ResultKind, StoredFile, result_id
from shared.documents.identity import is_final
from shared.model import Document, DocumentState


class Status(StrEnum):
    """The states of a batch. OpenAI's `expired` does not occur: a late batch is finished late."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


def status_of(job: BatchJob, document: Document | None) -> Status:
    """Return the status of a batch. `document`: its document, if it is one already."""
    if job.state is JobState.FAILED:
        return Status.FAILED
    if job.state is JobState.CANCELLED:
        return Status.CANCELLED
    if document is None:
        return Status.CANCELLING if job.cancelling_at else Status.VALIDATING
    if not is_final(document):
        if document.cancelled or (job.state is JobState.PENDING and job.cancelling_at):
            return Status.CANCELLING
        done = document.answered + document.refused
        return Status.FINALIZING if 0 < document.records <= done else Status.IN_PROGRESS
    if document.state is DocumentState.DONE:
        return Status.COMPLETED
    return Status.CANCELLED if document.cancelled else Status.FAILED


def has_result(document: Document | None, kind: ResultKind) -> bool:
    """Return whether a batch has this file: it is finished, and the file has a line."""
    if document is None or not is_final(document) or not document.result:
        return False
    lines = document.answered if kind is ResultKind.OUTPUT else document.records - document.answered
    return lines > 0


def batch_object(job: BatchJob, document: Document | None) -> dict[str, Any]:
    """Return a batch."""
    status = status_of(job, document)
    ended = (document.finished_at if document else None) or job.settled_at
    finished = {
        each: _seconds(ended) if status is each else None
        for each in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
    }
    results = {kind: result_id(job.id, kind) if has_result(document, kind) else None for kind in ResultKind}
    return {
        "id": job.id,
        "object": "batch",
        "endpoint": job.endpoint,
        "model": document.deployment if document else None,
        "errors": _errors(job, document) if status is Status.FAILED else None,
        "input_file_id": job.file,
        "completion_window": job.completion_window,
        "status": status,
        "output_file_id": results[ResultKind.OUTPUT],
        "error_file_id": results[ResultKind.ERROR],
        "created_at": _seconds(job.created_at),
        "in_progress_at": _seconds(job.settled_at) if job.state is JobState.TAKEN_IN else None,
        "expires_at": _seconds(job.created_at + timedelta(seconds=job.window_seconds)),
        "finalizing_at": None,
        "completed_at": finished[Status.COMPLETED],
        "failed_at": finished[Status.FAILED],
        "expired_at": None,
        "cancelling_at": _seconds(job.cancelling_at),
        "cancelled_at": finished[Status.CANCELLED],
        "request_counts": {
            "total": document.records if document else 0,
            "completed": document.answered if document else 0,
            "failed": document.refused if document else 0,
        },
        "metadata": json.loads(job.metadata) if job.metadata else None,
    }


def _errors(job: BatchJob, document: Document | None) -> dict[str, Any]:
    code, reason = (job.code, job.reason) if document is None else ("stopped", document.reason)
    return {"object": "list", "data": [{"code": code, "message": reason, "param": None, "line": None}]}


def file_object(file: StoredFile) -> dict[str, Any]:
    """Return an uploaded file."""
    return _file(file.id, file.size, file.created_at, file.name, "batch")


def result_object(job: BatchJob, kind: ResultKind, size: int, created_at: datetime) -> dict[str, Any]:
    """Return a file of a batch."""
    name = f"{job.id}_{kind}.jsonl"
    return _file(result_id(job.id, kind), size, created_at, name, "batch_output")


def _file(file_id: str, size: int, created_at: datetime, name: str, purpose: str) -> dict[str, Any]:
    return {
        "id": file_id,
        "object": "file",
        "bytes": size,
        "created_at": _seconds(created_at),
        "filename": name,
        "purpose": purpose,
        "status": "processed",
        "expires_at": None,
        "status_details": None,
    }


def deleted_object(file_id: str) -> dict[str, Any]:
    """Return what a deleted file leaves."""
    return {"id": file_id, "object": "file", "deleted": True}


def list_object(items: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """Return a page."""
    ids = [item["id"] for item in items] or [None]
    return {"object": "list", "data": items, "first_id": ids[0], "last_id": ids[-1], "has_more": more}


def _seconds(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at is not None else None
