"""Hand a document in: what speaks against it is found before anything is stored or deployed for it."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from pathlib import PurePosixPath

from shared.app import Lamplighter
from shared.documents.identity import INBOX
from shared.documents.litter import is_litter
from shared.documents.places import file_name
from shared.documents.records.form import HEAD, form_of
from shared.documents.source import refuse_by_size
from shared.errors import AlreadyExists, Conflict, InvalidRequest, IsRecordFile, IsZipArchive
from shared.model import DeploymentConfig, Document

_LONGEST_BLOB_NAME = 1000
_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Submitted:
    """A document that was taken in, and the name that somebody gave it."""

    document: Document
    asked_name: str

    @property
    def note(self) -> str | None:
        """What its sender should know: that it has another name than the one that was asked for."""
        name = file_name(self.document)
        return None if name == self.asked_name else f"this name is taken: the document is called {name!r}"


async def submit(app: Lamplighter, config: DeploymentConfig, name: str, body: bytes) -> Submitted:
    """Put a file into the deployment's folder of the inbox and record it. The file is looked at once.

    Each call makes a document of its own: a name that is taken gets a suffix. Raises InvalidRequest for the
    name, DocumentRefused for a file that cannot be answered (DocumentTooLarge for its size), Conflict if
    somebody deletes it at once, StorageError.
    """
    _check_name(name, config)
    sized = await app.intake.sized(config, len(body))
    looked_at = True
    try:
        if form_of(body[:HEAD], config.task) is None:
            refuse_by_size(len(body), app.settings.max_document_bytes)
        await app.intake.sources.look_at_body(name, body, sized, app.settings.prices)
    except (IsZipArchive, IsRecordFile):
        looked_at = False  # the intake looks at each file, or record, in it
    blob, version = await _store(app, config, name, body)
    document = await app.intake.arrived(blob, looked_at=version if looked_at else None)
    if document is None:
        raise Conflict("the document was deleted from the inbox while it was taken in: submit it again")
    return Submitted(document, name)


async def _store(app: Lamplighter, config: DeploymentConfig, name: str, body: bytes) -> tuple[str, str]:
    """The blob in the inbox that has the body, and its version: nothing that lies there is overwritten."""
    blobs, blob = app.context.blobs, f"{config.name}/{name}"
    try:
        return blob, await blobs.create(INBOX, blob, body, _TYPE)
    except AlreadyExists:
        suffix = PurePosixPath(name).suffix
        blob = f"{blob.removesuffix(suffix)}-{uuid.uuid4().hex[:12]}{suffix}"
        return blob, await blobs.create(INBOX, blob, body, _TYPE)


def _check_name(name: str, config: DeploymentConfig) -> None:
    if re.search(r"[\x00-\x1f\x7f/\\\ufffe\uffff]", name) or name.strip(".") == "":
        raise InvalidRequest(
            "the file's name must be a plain name: no slashes, no control characters, not only dots"
        )
    if is_litter(name):
        raise InvalidRequest(
            "files of such a name are left alone, as programs leave them behind: name it otherwise"
        )
    try:
        length = len(f"{config.name}/{name}".encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        raise InvalidRequest("the file's name is not valid Unicode") from None
    if length > _LONGEST_BLOB_NAME:
        most = _LONGEST_BLOB_NAME - len(config.name) - 1
        raise InvalidRequest(f"the file's name is too long: {most} characters at most")
