"""Store answers as results, and move finished sources out of the inbox.

The steps are copy, record, conditional delete: after a crash at any point the document is in the inbox, or
finished and copied, or both, and the sweep completes the steps. A move never races an overwrite: the delete
names the version that was answered. A requeued document moves from `failed` to `processed` in the same steps,
and its record holds what is still to be deleted there; so does a file of an archive, from `unpacked`.

Note [Done has a result]: "already exists" means that a blob exists, not whose it is. A document becomes done
only after its result was written, or read and found to be this document's and this run's. Any other blob of
that name raises an alert, and the document waits: no request is sent again, and nothing is overwritten.

Note [Files for people]: an answer is also written as text or Markdown beside its result, and its tables as
CSV, by the process that has just written or read that result, before the document is done. The app never
reads these files: if one cannot be written, that is a log line, and the document is done nevertheless.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.alerts import Alert, alert, event
from shared.documents.backlog import DocumentLedger, Leftover
from shared.documents.checkpoints import Checkpoints
from shared.documents.identity import INBOX, is_final, short_id
from shared.documents.places import (
    FAILED,
    PROCESSED,
    RESULTS,
    beside,
    file_name,
    finished_name,
    note_name,
    result_name,
    source_of,
)
from shared.documents.result_text import TEXT, for_people
from shared.documents.spent import Spent
from shared.documents.stored_result import Stored, read_result, write_listing, write_records, write_result
from shared.errors import (
    AlreadyExists,
    BlobRefused,
    Changed,
    ContainerMissing,
    Missing,
    ResultUnusable,
    StorageError,
)
from shared.model import Document, DocumentState, ModelAnswer
from shared.ports import BlobItem, Blobs


class Results:
    """Store results and settle documents."""

    def __init__(self, blobs: Blobs, ledger: DocumentLedger) -> None:
        self._blobs = blobs
        self._ledger = ledger
        self._seen: set[str] = set()  # results that were written or read, of documents not settled yet

    def checkpoints(self, document: Document) -> Checkpoints:
        """Return where the answers of this run are kept until it is done."""
        return Checkpoints(self._blobs, document)

    async def spent(self, document: Document) -> Spent | None:
        """Return the document's cost when this run's result was stored; None if there is no result.

        Raises as `found`.
        """
        found = await self.found(document)
        return found.spent if found else None

    async def found(self, document: Document) -> Stored | None:
        """Return this run's result; None if there is none.

        Raises ResultUnusable, with an alert, if another blob has the result's name; another StorageError if
        it cannot be read.
        """
        name = result_name(document)
        try:
            found = read_result(document, await self._blobs.read(RESULTS, name))
        except (Missing, ContainerMissing):
            # If the container was deleted with the answer in it, the request is sent again.
            return None
        except BlobRefused as error:
            raise self._unusable(document, error.code) from error
        if found is None:
            raise self._unusable(document, "it is not the result of this document and run")
        self._seen.add(name)
        if found.answer is not None:
            await self._write_for_people(document, found.answer, found.evidence)
        return found

    async def store(
        self,
        document: Document,
        answer: ModelAnswer,
        value: Any,
        asked_at: datetime,
        answered_at: datetime,
        evidence: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Write the result once. If the result exists, keep it, so that every run has exactly one.

        `document`: with this answer charged. `evidence`: where the answer's quotes stand. Raises
        ResultUnusable, with an alert, if another blob has the result's name; another StorageError if it
        cannot be written.
        """
        data = write_result(document, file_name(document), answer, value, asked_at, answered_at, evidence)
        if await self._create(document, data):
            await self._write_for_people(document, value, evidence)

    async def store_listing(self, archive: Document, files: Mapping[str, str]) -> None:
        """Write the result of an archive. `files`: names in it by documents' ids. Raises as `store` does."""
        await self._create(archive, write_listing(archive, file_name(archive), files))

    async def store_records(
        self, document: Document, files: Mapping[str, str], state: DocumentState, reason: str
    ) -> None:
        """Write the result of a file of records. `files`: the blobs that hold the answers, by the ends of
        their names. `state`, `reason`: with which it is finished. Raises as `store` does.
        """
        await self._create(document, write_records(document, file_name(document), files, state, reason))

    async def _create(self, document: Document, data: bytes) -> bool:
        """Create the result; False if it exists already."""
        name = result_name(document)
        for _ in range(2):
            try:
                await self._blobs.create(RESULTS, name, data, "application/json")
            except AlreadyExists:
                if await self.spent(document) is not None:
                    return False
            except StorageError as error:
                remedy = f"a result could not be written, and its document waits: {error}"
                fields = {"deployment": document.deployment, "container": RESULTS, "code": error.code}
                alert(Alert.STORAGE_REFUSED, remedy, **fields)
                raise
            else:
                self._seen.add(name)
                return True
        raise self._unusable(document, "it appears and disappears")

    async def _write_for_people(self, document: Document, answer: Any, evidence: Any) -> None:
        """Try once to write the files for people; see the note."""
        for file in for_people(answer, evidence, file_name(document)):
            try:
                await self._blobs.create(RESULTS, beside(document, file.end), file.data, file.content_type)
            except AlreadyExists:
                continue
            except StorageError as error:
                fields = {"deployment": document.deployment, "document": document.id, "code": error.code}
                event("answer_not_written_as_text", **fields)
                return

    def _unusable(self, document: Document, what: str) -> ResultUnusable:
        where = f"the container {RESULTS} (its name ends in .{short_id(document)}.{document.run}.json)"
        remedy = f"move the blob away that stands where the document's result belongs, in {where}: {what}"
        fields = {"deployment": document.deployment, "container": RESULTS, "document": document.id}
        alert(Alert.STORAGE_REFUSED, remedy, **fields)
        return ResultUnusable(f"another blob stands where its result belongs, in {RESULTS}: {what}")

    async def current(self, document: Document) -> Document:
        """Return the row of a document that this worker has, as it is now: somebody may have cancelled it.

        Raises Changed if another one has it, or has finished it; StorageError.
        """
        found = await self._ledger.get(document.id)
        if document.etag is None and found is None:
            return document
        if found is None or is_final(found) or found.claimed_by != document.claimed_by:
            raise Changed("another worker has the document")
        return found

    async def settle(
        self, document: Document, state: DocumentState, reason: str, finished_at: datetime
    ) -> bool:
        """Give an unfinished document its final state, and move its source out of the inbox.

        It may be an upload that is not recorded yet, such as one that is refused at once. Return False if
        its row was changed meanwhile.

        Done only if its result is there (see the note): raises StorageError if it is not.
        """
        result = result_name(document)
        if state is DocumentState.DONE and result not in self._seen and await self.spent(document) is None:
            raise StorageError("a document without a result is not done")
        self._seen.discard(result)
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
        # A worker that lost the document to another one must not delete the source.
        if await (self._ledger.try_finish(final, leftover) if final.etag else self._ledger.add(final)):
            self.report(final)
            await self.clear_inbox(final)
            if leftover is not None:
                await self.clear(leftover)
            return True
        return False

    async def refuse_unpacked(
        self, document: Document, reason: str, finished_at: datetime, data: bytes
    ) -> None:
        """Record a file of an archive that was refused at once. `data`: empty if it could not be unpacked."""
        final = replace(document, state=DocumentState.FAILED, reason=reason, finished_at=finished_at)
        kept = finished_name(final)
        if data:
            with contextlib.suppress(AlreadyExists):
                await self._blobs.create(FAILED, kept, data, "application/octet-stream")
            await self._write_note(final, kept)
        if await self._ledger.add(replace(final, moved_to=f"{FAILED}/{kept}" if data else "")):
            self.report(final)

    async def clear_inbox(self, document: Document) -> None:
        """Delete a finished source from the inbox, if it was copied and is still that version."""
        if document.moved_to and not document.unpacked_from:
            await self._delete(document.id, INBOX, document.name, document.source_etag)

    async def clear(self, leftover: Leftover) -> None:
        """Delete a file, and its note in `failed`, after it was moved on from there. Safe to repeat.

        If the file was changed meanwhile, the new version stays, as no run has read it.
        """
        container, _, name = leftover.place.partition("/")
        await self._delete(leftover.document, container, name, leftover.version)
        if container == FAILED:
            await self._delete_note(leftover.document, name)
        await self._ledger.cleared(leftover)

    async def _delete(self, document_id: str, container: str, name: str, version: str) -> None:
        """Delete a finished file. If Azure's policies keep it, it stays: the document is finished anyway."""
        try:
            await self._blobs.delete(container, name, version)
        except BlobRefused as error:
            remedy = f"a finished file stays in {container}: {error.reason}"
            fields = {"container": container, "document": document_id, "code": error.code}
            alert(Alert.STORAGE_REFUSED, remedy, **fields)

    async def _copy_source(self, document: Document) -> tuple[Document, Leftover | None]:
        """Copy the source to the finished ones; return the document unchanged if it is gone or overwritten.

        Return also the leftover of a requeued document, whose source is not in the inbox.
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
        except (Missing, Changed, ContainerMissing):
            return document, None
        except BlobRefused as error:
            # The copy of an earlier try may be immutable or archived by now; its name identifies it.
            if version is None or await self._stat(container, kept) is None:
                remedy = f"a finished file stays in {source}: {error.reason}"
                fields = {"container": source, "document": document.id, "code": error.code}
                alert(Alert.STORAGE_REFUSED, remedy, **fields)
                return document, None
        if container == FAILED:
            await self._write_note(document, kept)
        moved = replace(document, moved_to=f"{container}/{kept}")
        if not document.moved_to or moved.moved_to == document.moved_to:
            return moved, None
        return moved, Leftover(document.id, document.moved_to, version)

    async def _write_note(self, document: Document, name: str) -> None:
        """Write the reason beside the file, for the person who uploaded it; replace an earlier run's note.

        The document has the reason, too: a note that cannot be replaced stays.
        """
        note, data = note_name(name), f"{document.reason}\n".encode()
        for _ in range(2):
            try:
                await self._blobs.create(FAILED, note, data, TEXT)
            except AlreadyExists:
                await self._delete_note(document.id, name)
            else:
                return

    async def _delete_note(self, document_id: str, name: str) -> None:
        item = await self._stat(FAILED, note_name(name))
        if item is not None:
            await self._delete(document_id, FAILED, item.name, item.etag)

    async def _stat(self, container: str, name: str) -> BlobItem | None:
        """Return the properties of a blob in a container that may not exist yet."""
        try:
            return await self._blobs.stat(container, name)
        except ContainerMissing:
            return None

    def report(self, document: Document) -> None:
        """Log one line, and an alert for a dead letter, with the id only: a file's name may be private."""
        event("document", deployment=document.deployment, document=document.id, state=document.state)
        if document.state is DocumentState.FAILED and not document.cancelled:
            remedy = f"see GET /api/documents/{document.id} or the note beside the file in {FAILED}"
            alert(Alert.DOCUMENT_FAILED, remedy, deployment=document.deployment, document=document.id)
