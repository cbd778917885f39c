"""Plan what to ask about a document, and check its cost, so that nothing is deployed for an impossible plan.

A document that fits into one request is asked about as a whole, once or once for each query. Another one is
cut, as `task.large` says. Estimates may be too low, so a request that must fit into the model's context keeps
15% free.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from shared.documents import token_estimate
from shared.documents.ask import Question, question, refuse_more_than_admitted
from shared.documents.chunks import chunks
from shared.documents.ranking import Ranking
from shared.documents.readers.part import Part, joined
from shared.errors import DocumentRefused
from shared.model import DeploymentConfig, Large, Prices
from shared.money.cost import token_cost

PASSAGE = 4000
"""Characters of a passage that is looked for."""
AT_ONCE = 8
"""Passages in one request."""
_ROOM = 1.15
_LEAST = 500  # characters of a piece; a task with room for less cannot be asked in pieces
_MOST_REQUESTS, _MOST_CHARACTERS = 16, 4_000_000  # of one document in progress, which are in memory


@dataclass(frozen=True)
class Piece:
    """A stretch of the document, and its tokens by the estimate."""

    text: str
    tokens: int


@dataclass(frozen=True)
class Ask:
    """One request of a plan. Its text is built when it is sent: all texts would fill the memory.

    `pieces`: in their order in the document. `prompt_tokens`: the estimate of its prompt.
    """

    config: DeploymentConfig
    query: str
    pieces: tuple[Piece, ...]
    prompt_tokens: int

    @property
    def question(self) -> Question:
        """Return the request."""
        text = "\n\n".join([piece.text for piece in self.pieces])
        return question(text, self.config, self.query, self.prompt_tokens)


@dataclass(frozen=True)
class Plan:
    """What to ask. `queries`: [""] if there is no query.

    `asks`: the requests for each query. All of them are sent; in a search one after another, those with the
    best passages first, until one has an answer.
    """

    queries: tuple[str, ...]
    asks: tuple[tuple[Ask, ...], ...]
    is_search: bool = False

    @property
    def certain(self) -> list[Ask]:
        """Return the requests that are sent in any case."""
        return [ask for asks in self.asks for ask in (asks[:1] if self.is_search else asks)]

    @property
    def has_many(self) -> bool:
        """Return whether it may need more than one answer."""
        return sum(map(len, self.asks)) > 1

    @property
    def at_once(self) -> int:
        """Return how many of its requests may be in progress at a time."""
        longest = max(sum(len(piece.text) for piece in ask.pieces) for asks in self.asks for ask in asks)
        return max(1, min(_MOST_REQUESTS, _MOST_CHARACTERS // max(1, longest)))

    @property
    def largest(self) -> Question:
        """Return the request with the most tokens."""
        return max((ask for asks in self.asks for ask in asks), key=lambda ask: ask.prompt_tokens).question


class Ranked(Protocol):
    """The passages of one document, in the order in which a query is asked about them."""

    def best(self, query: str) -> Sequence[int]:
        """Return the indexes of all passages, the best first."""
        ...


Rank: TypeAlias = Callable[[Sequence[str]], Ranked]
"""Ranks the texts of passages."""


def plan(
    parts: Sequence[Part],
    config: DeploymentConfig,
    prices: Prices,
    *,
    spent: float = 0.0,
    most: int | None = None,
    resumed: bool = False,
    rank: Rank = Ranking,
) -> Plan:
    """Plan the requests for a document. `spent`: its cost so far, in the currency of the prices.

    `most`: the most tokens of a request, if it is less than what the task and the deployment admit.
    `resumed`: an earlier try has paid for some of several requests, so the cap is checked as each is sent.
    `rank`: ranks the passages of a search; by their words, if nothing better is known.
    Raises DocumentRefused if the deployment as configured could never admit the requests, or if they would
    exceed max_cost_per_document.
    """
    found = _plan(parts, config, most, rank)
    if not (resumed and found.has_many):
        task = config.task
        costs = [token_cost(ask.prompt_tokens, task.max_output_tokens, prices) for ask in found.certain]
        refuse_above_cap(spent + sum(costs), task.max_cost_per_document, prices.currency)
    return found


def refuse_above_cap(cost: float, cap: float | None, currency: str) -> None:
    """Raise DocumentRefused if a document would cost more than its cap."""
    if cap is not None and cost > cap:
        raise DocumentRefused(
            f"it would cost up to {cost:.4f} {currency}, and max_cost_per_document is {cap:.4f}"
        )


def _plan(parts: Sequence[Part], config: DeploymentConfig, most: int | None, rank: Rank) -> Plan:
    task, text = config.task, joined(parts)
    limit = min(most or config.spec.tokens_per_minute, config.spec.tokens_per_minute)
    queries = ("\n".join(_numbered(task.queries)),) if task.together else task.queries or ("",)
    whole = Piece(text, token_estimate.estimate(text))
    asks = tuple([(_ask((whole,), config, query),) for query in queries])
    tokens = max(ask.prompt_tokens for (ask,) in asks)
    needed, context = math.ceil(_ROOM * tokens) + task.max_output_tokens, task.context_tokens
    if tokens + task.max_output_tokens <= limit and (context is None or needed <= context):
        return Plan(queries, asks)
    if task.large is Large.WHOLE:
        refuse_more_than_admitted(tokens + task.max_output_tokens, config)
        raise DocumentRefused(
            f"it may need {needed:,} tokens, and the model takes {context:,} (task.context_tokens, or what "
            "Azure shows): split the document, or set task.large"
        )
    return _cut(parts, config, queries, min(limit, context or limit), rank)


def _numbered(queries: Sequence[str]) -> list[str]:
    return [f"{number}. {query}" for number, query in enumerate(queries, start=1)]


def _ask(pieces: Sequence[Piece], config: DeploymentConfig, query: str) -> Ask:
    beside = question("", config, query).prompt_tokens
    tokens = sum(piece.tokens for piece in pieces) + len(pieces) - 1
    return Ask(config, query, tuple(pieces), beside + tokens)


def _cut(
    parts: Sequence[Part], config: DeploymentConfig, queries: tuple[str, ...], limit: int, rank: Rank
) -> Plan:
    """Plan requests of at most `limit` tokens, with the answer, about pieces of a document."""
    beside = max(question("", config, query).prompt_tokens for query in queries)
    free = limit - config.task.max_output_tokens - _ROOM * beside
    remedy = (
        "shorten the prompt and the queries"
        if limit == config.task.context_tokens
        else "have sku.capacity raised"
    )
    if config.task.large is Large.RETRIEVE:
        passages = _pieces(parts, PASSAGE, free, remedy)
        ranked = rank([passage.text for passage in passages])
        groups = [_groups(passages, ranked.best(query), free) for query in queries]
        pairs = zip(queries, groups, strict=True)
        found = tuple([tuple([_ask(group, config, query) for group in each]) for query, each in pairs])
        return Plan(queries, found, is_search=True)
    pieces = _pieces(parts, AT_ONCE * PASSAGE, free, remedy)
    return Plan(
        queries, tuple([tuple([_ask((piece,), config, query) for piece in pieces]) for query in queries])
    )


def _pieces(parts: Sequence[Part], size: int, free: float, remedy: str) -> list[Piece]:
    """Cut into pieces of `size` characters; into smaller ones until the densest has at most `free` tokens."""
    while size >= _LEAST:
        pieces = [Piece(each.text, token_estimate.estimate(each.text)) for each in chunks(parts, size)]
        densest = _ROOM * max(piece.tokens for piece in pieces)
        if densest <= free:
            return pieces
        size = min(size - 1, int(0.9 * size * max(0.0, free) / densest))
    raise DocumentRefused(
        f"a request has room for about {max(0, size)} characters of it beside the prompt and the answer: "
        f"{remedy}, or lower task.max_output_tokens"
    )


def _groups(passages: Sequence[Piece], order: Sequence[int], free: float) -> list[list[Piece]]:
    """Return all passages in groups for one request each, the best first."""
    groups, tokens = list[list[int]](), 0.0
    for number in order:
        more = _ROOM * (passages[number].tokens + 1)
        if not groups or len(groups[-1]) == AT_ONCE or tokens + more > free:
            groups.append([])
            tokens = 0.0
        groups[-1].append(number)
        tokens += more
    return [[passages[number] for number in sorted(group)] for group in groups]
