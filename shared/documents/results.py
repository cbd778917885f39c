"""Answers → results, and finished sources out of the inbox.

Copy, record, conditional delete: after a crash at any point the document is in the inbox, or finished and
copied, or both, and the sweep ends what was begun. A move never races an overwrite: the delete names the
version that was answered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from shared.alerts import Alert, alert, event
from shared.documents.backlog import INBOX, DocumentLedger, short_id
from shared.domain import Document, DocumentState, ModelAnswer
from shared.errors import AlreadyExists, Changed, Missing
from shared.ports import Blobs

RESULTS, PROCESSED, FAILED = "results", "processed", "failed"
_LONGEST_NAME = 1000  # Azure allows 1,024 characters, counted in UTF-16


@dataclass(frozen=True)
class Result:
    """What a document's run brought, as it is stored."""

    answer: Any
    model: str
    prompt_tokens: int
    completion_tokens: int


def file_name(document: Document) -> str:
    """The upload's own name, without the deployment's folder."""
    return document.name.partition("/")[2] or document.name


def result_name(document: Document) -> str:
    """Where the result of this run is: `<deployment>/<name>.<id>.<run>.json` in the container `results`."""
    end = f".{short_id(document)}.{document.run}.json"
    return _bounded(document.deployment, file_name(document), end)


def finished_name(document: Document) -> str:
    """Where a finished source is kept: its id in the name, so that no version overwrites another."""
    suffix = PurePosixPath(file_name(document)).suffix[:20]
    stem = file_name(document).removesuffix(suffix)
    return _bounded(document.deployment, stem, f".{short_id(document)}{suffix}")


def _bounded(folder: str, name: str, end: str) -> str:
    room = 2 * (_LONGEST_NAME - len(folder) - len(end) - 1)
    kept = name.encode("utf-16-le", "surrogatepass")[:room].decode("utf-16-le", "ignore")
    return f"{folder}/{kept}{end}"


class Results:
    """Stores results and settles documents."""

    def __init__(self, blobs: Blobs, ledger: DocumentLedger) -> None:
        self._blobs = blobs
        self._ledger = ledger

    async def load(self, document: Document) -> Result | None:
        """The result of this run, if one was stored."""
        try:
            data = await self._blobs.read(RESULTS, result_name(document))
        except Missing:
            return None
        stored = json.loads(data)
        usage = stored["usage"]
        return Result(stored["answer"], stored["model"], usage["prompt_tokens"], usage["completion_tokens"])

    async def store(
        self, document: Document, answer: ModelAnswer, value: Any, asked_at: datetime, answered_at: datetime
    ) -> Result:
        """Write the result once; who comes second adopts what is there, so each run has exactly one."""
        body = {
            "document": {
                "id": document.id,
                "deployment": document.deployment,
                "name": file_name(document),
                "source_etag": document.source_etag,
                "size": document.size,
                "arrived_at": document.arrived_at.isoformat(),
                "run": document.run,
            },
            "answer": value,
            "model": answer.model,
            "usage": {
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
            },
            "timings": {"asked_at": asked_at.isoformat(), "answered_at": answered_at.isoformat()},
        }
        data = json.dumps(body, ensure_ascii=False, indent=2).encode()
        try:
            await self._blobs.create(RESULTS, result_name(document), data, "application/json")
        except AlreadyExists:
            winner = await self.load(document)
            assert winner is not None, "a result was there a moment ago"
            return winner
        return Result(value, answer.model, answer.prompt_tokens, answer.completion_tokens)

    async def settle(
        self, document: Document, state: DocumentState, reason: str, finished_at: datetime
    ) -> None:
        """Give an unfinished document its final state, and move its source out of the inbox."""
        final = replace(
            document,
            state=state,
            reason=reason,
            finished_at=finished_at,
            claimed_by="",
            claimed_until=None,
            not_before=None,
        )
        final = await self._copy_source(final)
        # Whoever lost the document to somebody else must not take its source away from them.
        if await self._ledger.try_finish(final):
            self.report(final)
            await self.clear_inbox(final)

    async def refuse(self, document: Document, reason: str, finished_at: datetime) -> None:
        """Record an upload that was refused at once, and move it to `failed`."""
        final = replace(document, state=DocumentState.FAILED, reason=reason, finished_at=finished_at)
        final = await self._copy_source(final)
        if await self._ledger.add(final):
            self.report(final)
            await self.clear_inbox(final)

    async def clear_inbox(self, document: Document) -> None:
        """Delete a finished source from the inbox, if it was copied and is still that version."""
        if document.moved_to:
            await self._blobs.delete(INBOX, document.name, document.source_etag)

    async def _copy_source(self, document: Document) -> Document:
        """Copy the source to where finished ones are kept; as it stands if it is gone or overwritten."""
        container = {DocumentState.DONE: PROCESSED, DocumentState.FAILED: FAILED}.get(document.state)
        if container is None:
            return document
        name = finished_name(document)
        try:
            await self._blobs.copy(INBOX, document.name, document.source_etag, container, name)
        except (Missing, Changed):
            return document
        if container == FAILED:
            # Beside the file, for the person who dropped it.
            try:
                note = f"{document.reason}\n".encode()
                await self._blobs.create(FAILED, f"{name}.reason.txt", note, "text/plain; charset=utf-8")
            except AlreadyExists:
                pass
        return replace(document, moved_to=f"{container}/{name}")

    def report(self, document: Document) -> None:
        """One log line, and an alert for a dead letter; by its id, as a file's name may be private."""
        event("document", deployment=document.deployment, document=document.id, state=document.state)
        if document.state is DocumentState.FAILED:
            remedy = f"see GET /api/documents/{document.id} or the note beside the file in {FAILED}"
            alert(Alert.DOCUMENT_FAILED, remedy, deployment=document.deployment, document=document.id)
