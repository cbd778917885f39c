"""Keep the answers for a document of many requests until it is done, so that a crash repeats those in flight.

Each answer is a blob, named after the run and the request. It says what the document had cost by then: a
crash loses no cost. Blobs that a crash leaves behind are deleted by the storage account's policy.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, replace

from shared.documents.ask import Question
from shared.documents.identity import short_id
from shared.errors import AlreadyExists, BlobRefused, ContainerMissing, Missing, StorageError
from shared.model import Document, ModelAnswer
from shared.ports import Blobs

CHECKPOINTS = "checkpoints"
_KINDS = ("prompt", "completion")
_MANY = 1e12  # more than any document's tokens or dollars


@dataclass(frozen=True)
class Kept:
    """An answer, and what the document had cost when it came."""

    answer: ModelAnswer
    prompt_tokens: int
    completion_tokens: int
    cost: float

    def charged(self, document: Document) -> Document:
        """Return the document with at least that cost."""
        return replace(
            document,
            prompt_tokens=max(document.prompt_tokens, self.prompt_tokens),
            completion_tokens=max(document.completion_tokens, self.completion_tokens),
            cost=max(document.cost, self.cost),
        )


class Checkpoints:
    """The answers of one run of a document. Every method may raise StorageError."""

    def __init__(self, blobs: Blobs, document: Document) -> None:
        self._blobs = blobs
        self._folder = f"{document.deployment}/{short_id(document)}.{document.run}"
        # The first try of a run finds nothing.
        self._may_exist = bool(document.crashes or document.reason)
        self._names: set[str] = set()

    async def find(self, asked: Question) -> Kept | None:
        """Return the answer that an earlier try kept for this request. Its content is untrusted."""
        if not self._may_exist:
            return None
        name = self._name(asked)
        try:
            kept = _parsed(await self._blobs.read(CHECKPOINTS, name))
        except (Missing, ContainerMissing, BlobRefused):
            return None
        self._names.add(name)
        return kept

    async def keep(self, asked: Question, answer: ModelAnswer, document: Document) -> None:
        """Keep an answer. `document`: with its cost so far."""
        name = self._name(asked)
        body = {
            "answer": {"text": answer.text, "model": answer.model},
            "usage": {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens},
            "spent": {
                "prompt_tokens": document.prompt_tokens,
                "completion_tokens": document.completion_tokens,
                "cost": document.cost,
            },
        }
        self._names.add(name)
        with contextlib.suppress(AlreadyExists):
            await self._blobs.create(CHECKPOINTS, name, json.dumps(body).encode(), "application/json")

    async def clear(self) -> None:
        """Delete the answers of a finished document."""
        for name in self._names:
            if (item := await self._blobs.stat(CHECKPOINTS, name)) is not None:
                with contextlib.suppress(BlobRefused):  # a policy keeps it; the document is finished anyway
                    await self._blobs.delete(CHECKPOINTS, name, item.etag)

    def _name(self, asked: Question) -> str:
        request = json.dumps(asdict(asked.request), sort_keys=True)
        return f"{self._folder}/{hashlib.sha256(request.encode()).hexdigest()[:32]}.json"


async def forget(kept: Checkpoints | None) -> None:
    """Delete what a finished document has kept; the storage account's policy deletes what is left."""
    if kept is not None:
        with contextlib.suppress(StorageError):
            await kept.clear()


def _parsed(data: bytes) -> Kept | None:
    try:
        body = json.loads(data)
        text, model = str(body["answer"]["text"]), str(body["answer"]["model"])
        tokens = [int(body[part][f"{kind}_tokens"]) for part in ("usage", "spent") for kind in _KINDS]
        cost = float(body["spent"]["cost"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    if not all(0 <= number < _MANY for number in (*tokens, cost)):
        return None
    return Kept(ModelAnswer(text, "stop", model, tokens[0], tokens[1]), tokens[2], tokens[3], cost)
