"""Keep the answers for a document of many requests until it is done, so that a crash repeats those in flight.

Each answer is a blob, named after the run and the request. It says what the document had cost by then: a
crash loses no cost. A request that was refused for its length is kept, too, and never sent again. So is the
order of a document's passages. Blobs that a crash leaves behind are deleted by the storage account's policy.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from shared.documents.ask import Question
from shared.documents.identity import short_id
from shared.documents.spent import Spent, parsed, spent_of
from shared.errors import AlreadyExists, BlobRefused, ContainerMissing, Missing, StorageError
from shared.model import Document, ModelAnswer, ModelRequest
from shared.ports import Blobs

CHECKPOINTS = "checkpoints"
TOO_LONG = frozenset({"context_length_exceeded", "string_above_max_length"})
"""Azure's codes for a request that is longer than the model's context."""


@dataclass(frozen=True)
class Kept:
    """An answer, or Azure's code of the request's refusal, and what the document had cost when it came."""

    answer: ModelAnswer
    refused: str
    spent: Spent


@dataclass(frozen=True)
class KeptOrder:
    """The order of passages for each query, None for that by their words; what the document had cost."""

    order: Sequence[Sequence[int]] | None
    spent: Spent


class Checkpoints:
    """The answers of one run of a document. Every method may raise StorageError."""

    def __init__(self, blobs: Blobs, document: Document) -> None:
        self._blobs = blobs
        self._folder = f"{document.deployment}/{short_id(document)}.{document.run}"
        # The first try of a run finds nothing.
        self.may_exist = bool(document.crashes or document.reason)
        self._etags: dict[str, str] = {}  # of the blobs that are there, empty if it is not known
        self._read: dict[str, Kept | None] = {}

    async def find(self, asked: Question) -> Kept | None:
        """Return what an earlier try kept for this request. It is read once, and its content is untrusted."""
        name = self._name(asked)
        if self.may_exist and name not in self._read:
            self._read[name] = _parsed(await self._data(name))
        return self._read.get(name)

    async def find_order(self, key: str) -> KeptOrder | None:
        """Return the order of the passages with this key that an earlier try kept. It is untrusted."""
        return _parsed_order(await self._data(self._name_of_order(key))) if self.may_exist else None

    async def keep_order(self, key: str, order: Sequence[Sequence[int]] | None, document: Document) -> None:
        """Keep an order. `document`: with its cost so far."""
        await self._keep(self._name_of_order(key), {"order": order, "spent": spent_of(document)})

    async def _data(self, name: str) -> bytes | None:
        try:
            data = await self._blobs.read(CHECKPOINTS, name)
        except (Missing, ContainerMissing, BlobRefused):
            return None
        self._etags[name] = ""
        return data

    async def _keep(self, name: str, body: object) -> None:
        data = json.dumps(body).encode()
        with contextlib.suppress(AlreadyExists):
            self._etags[name] = await self._blobs.create(CHECKPOINTS, name, data, "application/json")

    async def keep(self, asked: Question, answer: ModelAnswer, document: Document, refused: str = "") -> None:
        """Keep an answer, or the code of a refusal. `document`: with its cost so far."""
        body = {
            "answer": {"text": answer.text, "model": answer.model},
            "refused": refused,
            "usage": {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens},
            "spent": spent_of(document),
        }
        await self._keep(self._name(asked), body)

    async def clear(self) -> None:
        """Delete what was kept for a finished document."""
        await asyncio.gather(*map(self._delete, list(self._etags)))

    async def _delete(self, name: str) -> None:
        etag = self._etags[name]
        if not etag:
            item = await self._blobs.stat(CHECKPOINTS, name)
            etag = item.etag if item else ""
        if etag:
            with contextlib.suppress(BlobRefused):  # a policy keeps it; the document is finished anyway
                await self._blobs.delete(CHECKPOINTS, name, etag)

    def _name(self, asked: Question) -> str:
        return f"{self._folder}/{key_of(asked.request)}.json"

    def _name_of_order(self, key: str) -> str:
        return f"{self._folder}/order-{key}.json"


def key_of(request: ModelRequest) -> str:
    """Return the name of a request's answer among those of a run."""
    return hashlib.sha256(json.dumps(asdict(request), sort_keys=True).encode()).hexdigest()[:32]


async def forget(kept: Checkpoints | None) -> None:
    """Delete what a finished document has kept; the storage account's policy deletes what is left."""
    if kept is not None:
        with contextlib.suppress(StorageError):
            await kept.clear()


def _parsed_order(data: bytes | None) -> KeptOrder | None:
    try:
        body = json.loads(data or b"")
        order, spent = body["order"], parsed(body["spent"])
        lists = None if order is None else [[int(index) for index in each] for each in order]
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    return KeptOrder(lists, spent)


def _parsed(data: bytes | None) -> Kept | None:
    try:
        body = json.loads(data or b"")
        text, model, refused = str(body["answer"]["text"]), str(body["answer"]["model"]), str(body["refused"])
        used = parsed({**body["usage"], "cost": 0})
        spent = parsed(body["spent"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    if refused not in ("", *TOO_LONG):
        return None
    return Kept(ModelAnswer(text, "stop", model, used.prompt_tokens, used.completion_tokens), refused, spent)
