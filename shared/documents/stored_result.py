"""Write results as JSON, and read stored ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.documents.spent import Spent, parsed, spent_of
from shared.model import Document, DocumentState, ModelAnswer


@dataclass(frozen=True)
class Stored:
    """A stored result. `evidence`: None if there is none. Answer and evidence are untrusted.

    `answer`: None in the result of an archive, which lists its documents instead, and of a file of records,
    which names its files. `state`, `reason`: with which its document is to be finished. `counts`: how many
    records of a file were answered, and how many failed.
    """

    spent: Spent
    answer: Any
    evidence: Any
    state: DocumentState = DocumentState.DONE
    reason: str = "answered"
    counts: tuple[int, int] | None = None

    def applied_to(self, document: Document) -> Document:
        """Return the document with its cost and counts: its row may be some seconds behind them."""
        charged = self.spent.charged_to(document)
        if self.counts is None:
            return charged
        return replace(charged, answered=self.counts[0], refused=self.counts[1], rate=0.0)


def write_result(
    document: Document,
    file_name: str,
    answer: ModelAnswer,
    value: Any,
    asked_at: datetime,
    answered_at: datetime,
    evidence: Sequence[Mapping[str, Any]] | None,
) -> bytes:
    """Return a result as it is stored. `document`: with its answer charged."""
    body = {
        "document": _about(document, file_name),
        "answer": value,
        **({} if evidence is None else {"evidence": evidence}),
        "model": answer.model,
        "usage": {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens},
        "spent": spent_of(document),
        "timings": {"asked_at": asked_at.isoformat(), "answered_at": answered_at.isoformat()},
    }
    return _json(body)


def write_listing(archive: Document, file_name: str, files: Mapping[str, str]) -> bytes:
    """Return the result of an archive as it is stored. `files`: names in the archive by documents' ids."""
    body = {
        "document": _about(archive, file_name),
        "documents": [{"id": document_id, "name": name} for document_id, name in files.items()],
        "answer": None,
        "spent": spent_of(archive),
    }
    return _json(body)


def write_records(
    document: Document, file_name: str, files: Mapping[str, str], state: DocumentState, reason: str
) -> bytes:
    """Return the result of a file of records as it is stored. `files`: blobs by the ends of their names."""
    body = {
        "document": _about(document, file_name),
        "records": {
            "total": document.records,
            "answered": document.answered,
            "failed": document.refused,
            "not_asked": document.records - document.answered - document.refused,
        },
        "files": files,
        "state": state,
        "reason": reason,
        "answer": None,
        "spent": spent_of(document),
    }
    return _json(body)


def _about(document: Document, file_name: str) -> dict[str, Any]:
    from_archive = {"unpacked_from": document.unpacked_from} if document.unpacked_from else {}
    return {
        "id": document.id,
        "deployment": document.deployment,
        "name": file_name,
        **from_archive,
        "source_etag": document.source_etag,
        "size": document.size,
        "arrived_at": document.arrived_at.isoformat(),
        "run": document.run,
    }


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, indent=2).encode()


def read_result(document: Document, data: bytes) -> Stored | None:
    """Return a stored result; None if it is not of this document and run. The content is untrusted."""
    try:
        body = json.loads(data)
        whose, answer, evidence = body["document"], body["answer"], body.get("evidence")
        if (whose["id"], whose["run"]) != (document.id, document.run):
            return None
        state = DocumentState(body.get("state", DocumentState.DONE))
        reason, records = str(body.get("reason", "answered")), body.get("records")
        counts = (int(records["answered"]), int(records["failed"])) if records else None
        return Stored(parsed(body["spent"]), answer, evidence, state, reason, counts)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
