"""Say which document an upload is: its id, which begins with its deployment and the time of its arrival."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from shared.errors import Changed, Missing
from shared.model import Document, DocumentState
from shared.planning.batch_wait import Patience
from shared.ports import BlobItem

INBOX = "inbox"  # container
SHORT_ID = r"\d{8}T\d{6}-(?:\d{1,5}m\d{1,5}-)?[0-9a-f]{16}"
"""The pattern of ids without the deployment: arrival, its patience if it has some (minutes), and a digest."""
UNKNOWN_DEPLOYMENT = "_unknown"
"""The partition of uploads to folders that cannot be a deployment's name."""

_MINUTE = timedelta(minutes=1)
_FINAL = frozenset(
    {DocumentState.DONE, DocumentState.FAILED, DocumentState.SUPERSEDED, DocumentState.WITHDRAWN}
)


def is_final(document: Document) -> bool:
    """Return whether the document is in a final state."""
    return document.state in _FINAL


def identify(item: BlobItem, deployment: str) -> Document:
    """Return the document of an upload: the same container, name and ETag are always the same document."""
    return Document(
        id=id_of(item, deployment),
        deployment=deployment,
        name=item.name,
        source_etag=item.etag,
        size=item.size,
        arrived_at=item.modified_at.astimezone(UTC),
    )


def id_of(item: BlobItem, deployment: str) -> str:
    """Return the id of an upload's document."""
    digest = hashlib.sha256(f"{INBOX}\n{item.name}\n{item.etag}".encode()).hexdigest()[:16]
    return f"{deployment}~{short_id_at(item.modified_at)}-{digest}"


def id_of_file(archive: Document, key: str) -> str:
    """Return the id of a file in an uploaded archive. `key` tells the file from the others there."""
    digest = hashlib.sha256(f"{archive.id}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{archive.deployment}~{short_id_at(archive.arrived_at)}-{digest}"


def gone(error: Missing | Changed, container: str = INBOX) -> tuple[DocumentState, str]:
    """Return the final state and its reason for a document whose source was deleted or overwritten."""
    if isinstance(error, Missing):
        place = "the inbox" if container == INBOX else container
        return DocumentState.WITHDRAWN, f"the file was deleted from {place} before it was answered"
    return DocumentState.SUPERSEDED, "the file was overwritten before it was answered; see the newer document"


def deployment_of(document_id: str) -> str:
    """Return the deployment (or other folder) with which a document's id begins; empty for an empty id."""
    return document_id.partition("~")[0]


def short_id(document: Document) -> str:
    """Return the id without the deployment, for names inside a deployment's folder."""
    return document.id.partition("~")[2]


def short_id_at(at: datetime) -> str:
    """Return the start of the short ids of documents that arrived at `at`. Ids sort by it."""
    text = at.astimezone(UTC).isoformat(timespec="seconds")
    return text.replace("-", "").replace(":", "")[:15]


def arrived_at(short: str) -> datetime:
    """Return the time with which a short id starts: the document's arrival, as storage has whole seconds."""
    return datetime.fromisoformat(f"{short[:15]}Z")


def id_of_batch(batch_id: str, deployment: str, created_at: datetime, patience: Patience) -> str:
    """Return the id of a batch's document."""
    digest = hashlib.sha256(batch_id.encode()).hexdigest()[:16]
    wait, run = (int(each / _MINUTE) for each in (patience.wait, patience.run))
    return f"{deployment}~{short_id_at(created_at)}-{wait}m{run}-{digest}"


def patience(short: str) -> Patience | None:
    """Return the patience of the document with a short id; None if it waits like any other."""
    wait, _, run = short[16:-17].partition("m")
    return Patience(int(wait) * _MINUTE, int(run) * _MINUTE) if run else None
