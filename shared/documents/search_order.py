"""Order the passages of a document for a search by embeddings; by words if those cannot be had.

Note [One order a run]. The order decides which passages a request holds, and answers are kept by request. So
the first order of a run is kept beside them, also that it is by words, and later tries of the run take it:
neither answers nor embeddings are paid twice. An order only saves requests, as a negative answer has seen all
passages. So no failure of the embeddings stops or blames a document.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import operator
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.alerts import event
from shared.documents import token_estimate
from shared.documents.checkpoints import Checkpoints, KeptOrder
from shared.documents.drain_tools import DrainTools
from shared.documents.plan import AT_ONCE, Piece, Plan, Rank, Ranked, plan
from shared.documents.ranking import Ranking
from shared.documents.readers.part import Part
from shared.documents.retry import with_retry
from shared.documents.source import apart
from shared.errors import ModelError, ModelUnavailable, StorageError
from shared.model import DeploymentConfig, Document, Embedded, Prices, Task
from shared.money.cost import embedding_cost, token_cost

SECONDS = 30.0
"""The longest time for a document's embeddings: its claim must leave time for its requests."""
MOST_TEXTS, MOST_TOKENS = 32, 30_000
"""Of a request, by the estimate. Azure takes 2,048 and 300,000, but a small deployment admits less."""
_OF_A_TEXT = 5700  # tokens by the estimate, which may be 0.7 of the true number: Azure takes 8,191
_ROOM = 1.15


@dataclass(frozen=True)
class Order:
    """The order of the passages of one text for each query. Any other text is ranked by its words."""

    key: str  # see `key_of`
    by_query: Mapping[str, Sequence[int]]

    def __call__(self, texts: Sequence[str]) -> Ranked:
        """Rank passages. See `shared.documents.plan.Rank`."""
        return self if key_of(texts, self.by_query) == self.key else Ranking(texts)

    def best(self, query: str) -> Sequence[int]:
        """Return the indexes of all passages, the best first."""
        return self.by_query[query]


def key_of(texts: Sequence[str], queries: Iterable[str]) -> str:
    """Return what tells passages and queries from all others."""
    found = hashlib.sha256(json.dumps([list(map(len, texts)), *queries]).encode())
    for text in texts:
        found.update(text.encode(errors="surrogatepass"))
    return found.hexdigest()[:32]


class Orders:
    """Find the order for each document of one slice."""

    def __init__(self, tools: DrainTools, config: DeploymentConfig, endpoint: str) -> None:
        self._tools = tools
        self._config = config
        self._endpoint = endpoint

    async def rank(
        self,
        document: Document,
        parts: Sequence[Part],
        most: int | None,
        kept: Checkpoints,
        last_start: float,
    ) -> tuple[Document, Rank]:
        """Return what ranks a document's passages, and the document with the cost of that.

        `most`: as for its plan. `last_start`: of a request, in monotonic seconds. Raises DocumentRefused as
        `plan` does, StorageError. See Note [One order a run].
        """
        task, tools = self._config.task, self._tools
        if task.embeddings is None:
            return document, Ranking
        found = await apart(
            parts, plan, parts, self._config, tools.prices, most=most, resumed=True, rank=_AsTheyStand
        )
        if not found.is_search:
            return document, Ranking
        pieces = [piece for ask in found.asks[0] for piece in ask.pieces]
        key = await apart(parts, key_of, [piece.text for piece in pieces], task.queries)
        known = _checked(await kept.find_order(key), len(pieces), task.queries)
        if known is not None:
            return known.spent.charged_to(document), _rank(key, task.queries, known.order)
        if not _affords(document, found, pieces, task, tools.prices):
            self._by_words(document, "max_cost_per_document")
            return document, Ranking
        order, used = None, _Used()
        try:
            until = min(last_start, tools.clock.monotonic() + SECONDS)
            order = await self._order(parts, pieces, until, used)
        except ModelError as error:
            self._by_words(document, error.code)
        charged = replace(document, cost=document.cost + embedding_cost(used.tokens, tools.prices))
        if order is not None or tools.clock.monotonic() < last_start:  # else the slice's end was the reason
            with contextlib.suppress(StorageError):
                await kept.keep_order(key, order, charged)
        return charged, _rank(key, task.queries, order)

    def _by_words(self, document: Document, code: str) -> None:
        event("ranked_by_words", deployment=document.deployment, document=document.id, code=code)

    async def _order(
        self, parts: Sequence[Part], pieces: Sequence[Piece], until: float, used: _Used
    ) -> list[list[int]]:
        """Return the order for each query. `until`: monotonic seconds. Raises ModelError."""
        queries = [Piece(query, token_estimate.estimate(query)) for query in self._config.task.queries]
        sought = [vector async for some in self._vectors(queries, until, used) for vector in some]
        likeness = list[list[float]]()  # of each passage to each query
        async for some in self._vectors(pieces, until, used):
            if len(some[0]) != len(sought[0]):
                raise ModelUnavailable("the embeddings differ in length", code="invalid")
            likeness += await apart(parts, similarities, some, sought)
        return await apart(parts, _sorted, likeness)

    async def _vectors(
        self, texts: Sequence[Piece], until: float, used: _Used
    ) -> AsyncIterator[Sequence[Sequence[float]]]:
        for batch in _batches(texts):
            yield (await self._embed(batch, until, used)).vectors

    async def _embed(self, batch: Sequence[Piece], until: float, used: _Used) -> Embedded:
        tools, texts = self._tools, [_shortened(piece) for piece in batch]

        async def embed() -> Embedded:
            left = until - tools.clock.monotonic()
            if left <= 0:
                raise ModelUnavailable("there is no time left for embeddings", code="late")
            try:
                name = self._config.task.embeddings or ""
                return await tools.model.embed(self._endpoint, name, texts, timeout=left)
            except ModelUnavailable as error:
                if error.code == "timeout":  # Azure may charge for it
                    used.tokens += sum(piece.tokens for piece in batch)
                raise

        found = await with_retry(
            embed, tools.clock, until=until, warming_up=False, pause_everybody=lambda _: None
        )
        used.tokens += found.tokens
        return found


@dataclass
class _Used:
    tokens: int = 0  # of embeddings


class _AsTheyStand:
    """Ranks passages as they stand in the text."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._count = len(texts)

    def best(self, query: str) -> Sequence[int]:
        return range(self._count)


def _rank(key: str, queries: Sequence[str], order: Sequence[Sequence[int]] | None) -> Rank:
    return Ranking if order is None else Order(key, dict(zip(queries, order, strict=True)))


def _checked(kept: KeptOrder | None, passages: int, queries: Sequence[str]) -> KeptOrder | None:
    """Return what was kept, which is untrusted, if it is an order of these passages."""
    if kept is None or kept.order is None:
        return kept
    whole = list(range(passages))
    fits = len(kept.order) == len(queries) and all(sorted(order) == whole for order in kept.order)
    return kept if fits else None


def _affords(document: Document, found: Plan, pieces: Sequence[Piece], task: Task, prices: Prices) -> bool:
    """Return whether the cap admits the embeddings and then the first request of each query."""
    if task.max_cost_per_document is None:
        return True
    tokens = [piece.tokens for piece in pieces]
    asked = math.ceil(_ROOM * (sum(tokens) + sum(map(token_estimate.estimate, task.queries))))
    cost, largest = embedding_cost(asked, prices), sum(sorted(tokens)[-AT_ONCE:])
    for first, *_ in found.asks:
        prompt = first.prompt_tokens - sum(piece.tokens for piece in first.pieces) + largest
        cost += token_cost(prompt, task.max_output_tokens, prices)
    return document.cost + cost <= task.max_cost_per_document


def _batches(texts: Sequence[Piece]) -> Iterator[list[Piece]]:
    batch, tokens = list[Piece](), 0
    for piece in texts:
        if batch and (len(batch) == MOST_TEXTS or tokens + piece.tokens > MOST_TOKENS):
            yield batch
            batch, tokens = [], 0
        batch.append(piece)
        tokens += piece.tokens
    if batch:
        yield batch


def _shortened(piece: Piece) -> str:
    """Return the beginning of a text that is too dense for Azure: that is enough to rank it."""
    return (
        piece.text
        if piece.tokens <= _OF_A_TEXT
        else piece.text[: len(piece.text) * _OF_A_TEXT // piece.tokens]
    )


def similarities(
    passages: Sequence[Sequence[float]], queries: Sequence[Sequence[float]]
) -> list[list[float]]:
    """Return the cosine of each passage to each query, times the query's length, which orders none of them.

    In plain Python: 45 microseconds for a pair of 1,536 numbers.
    """
    found = list[list[float]]()
    for passage in passages:
        length = math.hypot(*passage) or 1.0
        found.append([sum(map(operator.mul, passage, query)) / length for query in queries])
    return found


def _sorted(likeness: Sequence[Sequence[float]]) -> list[list[int]]:
    """Return the indexes of all passages for each query, the most similar first."""
    by_query = zip(*likeness, strict=True)
    return [sorted(range(len(each)), key=[-number for number in each].__getitem__) for each in by_query]
