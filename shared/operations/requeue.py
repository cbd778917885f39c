"""Give a document that failed its next run."""

from __future__ import annotations

from shared.app import Lamplighter
from shared.errors import Conflict, DocumentRefused, NotFound
from shared.model import Document


async def requeue(app: Lamplighter, document_id: str) -> Document:
    """The document, waiting for its next run. One that is unfinished already is left as it is.

    Safe to repeat. Raises NotFound for an unknown id, Conflict with what stands in the way, StorageError.
    """
    document = await app.documents.get(document_id)
    if document is None:
        raise NotFound("no document has this id: the list of documents shows each one's")
    try:
        return await app.intake.requeue(document)
    except DocumentRefused as refusal:
        raise Conflict(str(refusal)) from refusal
