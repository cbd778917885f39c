"""Answers → results, and finished sources out of the inbox.

Copy, record, conditional delete: after a crash at any point the document is in the inbox, or finished and
copied, or both, and the sweep ends what was begun. A move never races an overwrite: the delete names the
version that was answered. A requeued document goes from `failed` to `processed` in the same steps, and its
record says what is still to be deleted there.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from shared.alerts import Alert, alert, event
from shared.documents.backlog import INBOX, DocumentLedger, Leftover, short_id
from shared.domain import Document, DocumentState, ModelAnswer
from shared.errors import AlreadyExists, Changed, Missing
from shared.ports import Blobs

RESULTS, PROCESSED, FAILED = "results", "processed", "failed"
_NOTE_TYPE = "text/plain; charset=utf-8"
_LONGEST_NAME = 1000  # Azure allows 1,024 characters, counted in UTF-16


@dataclass(frozen=True)
class Spent:
    """What a document had cost when its result was stored: all attempts and runs, that answer included."""

    prompt_tokens: int
    completion_tokens: int
    cost: float


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


def source_of(document: Document) -> tuple[str, str, str | None]:
    """Where an unfinished document's source is: container, name, and the version if it lies in the inbox.

    A requeued one is read where it was moved to, as it stands there: whoever mended it wants that read.
    """
    if not document.moved_to:
        return INBOX, document.name, document.source_etag
    container, _, name = document.moved_to.partition("/")
    return container, name, None


def _note_name(name: str) -> str:
    return f"{name}.reason.txt"


def _bounded(folder: str, name: str, end: str) -> str:
    room = 2 * (_LONGEST_NAME - len(folder) - len(end) - 1)
    kept = name.encode("utf-16-le", "surrogatepass")[:room].decode("utf-16-le", "ignore")
    return f"{folder}/{kept}{end}"


class Results:
    """Stores results and settles documents."""

    def __init__(self, blobs: Blobs, ledger: DocumentLedger) -> None:
        self._blobs = blobs
        self._ledger = ledger

    async def spent(self, document: Document) -> Spent | None:
        """What the stored result of this run tells of the document's cost; None if none was stored."""
        try:
            data = await self._blobs.read(RESULTS, result_name(document))
        except Missing:
            return None
        return Spent(**json.loads(data)["spent"])

    async def store(
        self, document: Document, answer: ModelAnswer, value: Any, asked_at: datetime, answered_at: datetime
    ) -> None:
        """Write the result once; who comes second leaves what is there, so each run has exactly one.

        `document`: with this answer charged.
        """
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
            "spent": {
                "prompt_tokens": document.prompt_tokens,
                "completion_tokens": document.completion_tokens,
                "cost": document.cost,
            },
            "timings": {"asked_at": asked_at.isoformat(), "answered_at": answered_at.isoformat()},
        }
        data = json.dumps(body, ensure_ascii=False, indent=2).encode()
        with contextlib.suppress(AlreadyExists):
            await self._blobs.create(RESULTS, result_name(document), data, "application/json")

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
        final, leftover = await self._copy_source(final)
        # Whoever lost the document to somebody else must not take its source away from them.
        if await self._ledger.try_finish(final, leftover):
            self.report(final)
            await self.clear_inbox(final)
            if leftover is not None:
                await self.clear(leftover)

    async def refuse(self, document: Document, reason: str, finished_at: datetime) -> None:
        """Record an upload that was refused at once, and move it to `failed`."""
        final = replace(document, state=DocumentState.FAILED, reason=reason, finished_at=finished_at)
        final, _ = await self._copy_source(final)
        if await self._ledger.add(final):
            self.report(final)
            await self.clear_inbox(final)

    async def clear_inbox(self, document: Document) -> None:
        """Delete a finished source from the inbox, if it was copied and is still that version."""
        if document.moved_to:
            await self._blobs.delete(INBOX, document.name, document.source_etag)

    async def clear(self, leftover: Leftover) -> None:
        """Delete from `failed` what was answered in a later run, and its note. Safe to repeat.

        A version that nobody has read, as somebody changed the file meanwhile, stays.
        """
        container, _, name = leftover.place.partition("/")
        await self._blobs.delete(container, name, leftover.version)
        await self._delete_note(name)
        await self._ledger.cleared(leftover)

    async def _copy_source(self, document: Document) -> tuple[Document, Leftover | None]:
        """Copy the source to where finished ones are kept; as it stands if it is gone or overwritten.

        Also what is then left over of a requeued document, whose source does not lie in the inbox.
        """
        container = {DocumentState.DONE: PROCESSED, DocumentState.FAILED: FAILED}.get(document.state)
        if container is None:
            return document, None
        source, name, version = source_of(document)
        kept = finished_name(document)
        try:
            if version is None:
                item = await self._blobs.stat(source, name)
                if item is None:
                    return document, None
                version = item.etag
            if (source, name) != (container, kept):
                await self._blobs.copy(source, name, version, container, kept)
        except (Missing, Changed):
            return document, None
        if container == FAILED:
            await self._write_note(kept, document.reason)
        moved = replace(document, moved_to=f"{container}/{kept}")
        if not document.moved_to or moved.moved_to == document.moved_to:
            return moved, None
        return moved, Leftover(document.id, document.moved_to, version)

    async def _write_note(self, name: str, reason: str) -> None:
        """Beside the file, for the person who dropped it; in the place of a former run's."""
        note, data = _note_name(name), f"{reason}\n".encode()
        try:
            await self._blobs.create(FAILED, note, data, _NOTE_TYPE)
        except AlreadyExists:
            await self._delete_note(name)
            with contextlib.suppress(AlreadyExists):
                await self._blobs.create(FAILED, note, data, _NOTE_TYPE)

    async def _delete_note(self, name: str) -> None:
        item = await self._blobs.stat(FAILED, _note_name(name))
        if item is not None:
            await self._blobs.delete(FAILED, item.name, item.etag)

    def report(self, document: Document) -> None:
        """One log line, and an alert for a dead letter; by its id, as a file's name may be private."""
        event("document", deployment=document.deployment, document=document.id, state=document.state)
        if document.state is DocumentState.FAILED:
            remedy = f"see GET /api/documents/{document.id} or the note beside the file in {FAILED}"
            alert(Alert.DOCUMENT_FAILED, remedy, deployment=document.deployment, document=document.id)
