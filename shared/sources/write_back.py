"""Bring the answers of finished documents to the target of their rows.

Answers are in the results first, and are never asked for again: a target that cannot be written only means
that they stand there later. They are inserted or replaced by key and version: twice changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.alerts import Alert, alert
from shared.documents.identity import is_final
from shared.errors import ContainerMissing, Missing, SourceError
from shared.model import Document, DocumentState
from shared.model.sources import KEY, VERSION
from shared.ports import AnsweredRow, Blobs, Rows
from shared.sources.taken import Claim, Taken

RESULTS = "results"  # container
KEPT_OPEN = timedelta(days=7)
"""A document of which rows have no answer may be requeued; what that brings is written for so long."""
NOT_ASKED = "not_asked"
_PIECE = 1024 * 1024
_BATCH = 500


async def write_back(
    blobs: Blobs, rows: Rows, taken: Taken, claim: Claim, document: Document, now: datetime
) -> bool:
    """Write what a finished document brought that is not written yet, and close its claim if that is all.

    Returns False, with an alert, if the target refuses every answer for what is in it. Raises SourceError,
    StorageError.
    """
    if not is_final(document):
        return True
    if document.result and claim.written < document.run:
        refused = total = 0
        async for batch in _batches(blobs, document):
            refused += await rows.write(batch)
            total += len(batch)
        if refused:
            remedy = (
                f"the target refuses {refused:,} of {total:,} answers for what is in them, and they stand in "
                "the results only: compare the types of its columns with keys, versions and answers"
            )
            fields = {"deployment": document.deployment, "document": document.id, "code": "refused"}
            alert(Alert.TARGET_UNWRITABLE, remedy, **fields)
        if refused and refused == total:
            return False
        claim = replace(claim, written=document.run)
        await taken.save(claim)
    is_whole = document.state is DocumentState.DONE and not document.refused and claim.written
    gave_nothing = not document.result or claim.written
    if is_whole or (gave_nothing and now - (document.finished_at or now) > KEPT_OPEN):
        await taken.close(claim)
    return True


async def _batches(blobs: Blobs, document: Document) -> AsyncIterator[list[AnsweredRow]]:
    """Yield the answers of a document. Raises SourceError if its results were deleted."""
    name, rest, at = f"{document.result.removesuffix('.json')}.jsonl", b"", 0
    found = list[AnsweredRow]()
    while True:
        try:
            piece = await blobs.read_range(RESULTS, name, at, _PIECE)
        except (Missing, ContainerMissing) as error:
            remedy = "restore the blob: soft delete keeps it for 7 days"
            raise SourceError("results were deleted before they were in the target", remedy) from error
        at += len(piece)
        *lines, rest = (rest + piece).split(b"\n")
        if not piece and rest:
            lines, rest = [rest], b""
        found += [row for line in lines if (row := _row(line, document)) is not None]
        while len(found) >= _BATCH or (found and not piece):
            yield found[:_BATCH]
            found = found[_BATCH:]
        if not piece:
            return


def _row(line: bytes, document: Document) -> AnsweredRow | None:
    """Return what a line of the results says; None if its record was not asked."""
    if not line.strip():
        return None
    body = json.loads(line)
    columns, error = body["columns"], body.get("error")
    if error is not None and error["code"] == NOT_ASKED:
        return None
    assert document.finished_at is not None
    return AnsweredRow(
        columns[KEY],
        columns[VERSION],
        None if error else _json(body["answer"]),
        _clean(f"{error['code']}: {error['message']}") if error else None,
        document.finished_at,
    )


def _json(answer: Any) -> str:
    """Return an answer as JSON. Half of a surrogate pair, which no database holds, stays an escape."""
    text = json.dumps(answer, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(answer)
    return text


def _clean(text: str) -> str:
    return text.replace("\0", "").encode(errors="replace").decode()
