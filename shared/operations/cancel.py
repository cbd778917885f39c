"""Cancel a file of records: no other record is asked, and what is answered stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from shared.app import Lamplighter
from shared.documents.identity import is_final
from shared.documents.record_files.finish import Finish
from shared.documents.records.answer_log import AnswerLog
from shared.errors import Changed, Conflict, NotFound
from shared.model import Document, DocumentState

_TRIES = 5  # its worker writes its row every few seconds
_TO_FINISH = timedelta(minutes=4)  # an HTTP response must come within 230 s


async def cancel(app: Lamplighter, document_id: str) -> Document:
    """Let a file of records end: at once if it waits, else within some seconds by the worker that has it.

    Safe to repeat. Returns the document as it is now. Raises NotFound for an unknown id, Conflict for what
    is finished or is no file of records, StorageError.
    """
    for _ in range(_TRIES):
        document = await app.documents.get(document_id)
        if document is None:
            raise NotFound("no document has this id: the list of documents shows each one's")
        if document.cancelled and (is_final(document) or _has_worker(document, app)):
            return document
        if is_final(document):
            raise Conflict(f"it is {document.state} already: nothing is left to cancel")
        if document.form is None:
            raise Conflict("it is one document, and not a file of records: delete it from the inbox instead")
        try:
            if _has_worker(document, app):
                return await app.documents.save(replace(document, cancelled=True))
            return await _finish(app, document)
        except Changed:
            continue
    raise Conflict("it is being changed all the time: try again")


def _has_worker(document: Document, app: Lamplighter) -> bool:
    until = document.claimed_until
    return until is not None and until > app.context.clock.now()


async def _finish(app: Lamplighter, document: Document) -> Document:
    """Claim a file that waits, and finish it with what is answered."""
    context, config = app.context, app.settings.find(document.deployment)
    claimed = await app.documents.save(
        replace(
            document,
            state=DocumentState.CLAIMED,
            cancelled=True,
            claimed_by=f"cancel {uuid4().hex}",
            claimed_until=context.clock.now() + _TO_FINISH,
        )
    )
    log = AnswerLog(context.blobs, claimed)
    known = await log.load(claimed.records)
    finish = Finish(context.blobs, app.results, context.clock)
    await finish.stop(claimed, config.task, log, known, "it was cancelled")
    return await app.documents.get(claimed.id) or claimed
