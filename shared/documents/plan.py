"""Plan what to ask about a document, and check its cost, so that nothing is deployed for an impossible plan.

A document that fits into one request is asked about as a whole, once or once for each query. Another one is
cut, as `task.large` says. Estimates may be too low, so a request that must fit into the model's context keeps
15% free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from shared.documents import token_estimate
from shared.documents.ask import Question, question, refuse_more_than_admitted
from shared.documents.chunks import Chunk, chunks
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


@dataclass(frozen=True)
class Plan:
    """What to ask. `questions`: the requests that are sent in any case.

    `queries`: what is asked, [""] if there is no query. `search`: where each query looks for its answer;
    without it, the questions cover the document once for each query.
    """

    questions: tuple[Question, ...]
    queries: tuple[str, ...]
    search: Search | None = None

    @property
    def has_many(self) -> bool:
        """Return whether it may need more than one answer."""
        return self.search is not None or len(self.questions) > 1

    @property
    def largest(self) -> Question:
        """Return the request with the most tokens."""
        return max(self.questions, key=lambda asked: asked.prompt_tokens)


class Search:
    """The passages of a document, and the requests that ask about the best of them."""

    def __init__(self, passages: Sequence[Chunk], config: DeploymentConfig, most: int) -> None:
        self.passages = passages
        self._config = config
        self._most = most

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking([passage.text for passage in self.passages])

    def groups(self, query: str) -> list[list[int]]:
        """Return all passages in groups for one request each, the best first."""
        order, groups = self._ranking.best(query), list[list[int]]()
        free = self._most - question("", self._config, query).tokens
        tokens = 0.0
        for number in order:
            more = _ROOM * token_estimate.estimate(self.passages[number].text) + 1
            if not groups or len(groups[-1]) == AT_ONCE or tokens + more > free:
                groups.append([])
                tokens = 0.0
            groups[-1].append(number)
            tokens += more
        return groups

    def question(self, group: Sequence[int], query: str) -> Question:
        """Return the request that asks a group of passages, in their order in the document."""
        text = "\n\n".join(self.passages[number].text for number in sorted(group))
        return question(text, self._config, query)


def plan(
    parts: Sequence[Part],
    config: DeploymentConfig,
    prices: Prices,
    *,
    spent: float = 0.0,
    most: int | None = None,
) -> Plan:
    """Plan the requests for a document. `spent`: its cost so far, in the currency of the prices.

    `most`: the most tokens of a request, if it is less than what the task and the deployment admit. Raises
    DocumentRefused if the deployment as configured could never admit the requests, or if they would exceed
    max_cost_per_document.
    """
    found = _plan(parts, config, most)
    task = config.task
    cap = task.max_cost_per_document
    cost = spent + sum(
        token_cost(asked.prompt_tokens, task.max_output_tokens, prices) for asked in found.questions
    )
    if cap is not None and cost > cap:
        raise DocumentRefused(
            f"it would cost up to {cost:.4f} {prices.currency}, and max_cost_per_document is {cap:.4f}"
        )
    return found


def _plan(parts: Sequence[Part], config: DeploymentConfig, most: int | None) -> Plan:
    task, text = config.task, joined(parts)
    limit = min(most or config.spec.tokens_per_minute, config.spec.tokens_per_minute)
    queries = ("\n".join(_numbered(task.queries)),) if task.together else task.queries or ("",)
    whole = Plan(tuple([question(text, config, query) for query in queries]), queries)
    if _fits(whole.largest, config, limit):
        return whole
    if task.large is Large.WHOLE:
        refuse_more_than_admitted(whole.largest.tokens, config)
        raise DocumentRefused(
            f"it needs about {whole.largest.tokens:,} tokens, and the model takes {task.context_tokens:,}: "
            "split the document, or set task.large"
        )
    limit = min(limit, task.context_tokens or limit)
    if task.large is Large.RETRIEVE:
        search = Search(chunks(parts, _size(PASSAGE, limit, text, config, queries)), config, limit)
        return Plan(
            tuple([search.question(search.groups(query)[0], query) for query in queries]), queries, search
        )
    pieces = chunks(parts, _size(AT_ONCE * PASSAGE, limit, text, config, queries))
    asked = [question(piece.text, config, query) for query in queries for piece in pieces]
    return Plan(tuple(asked), queries)


def _numbered(queries: Sequence[str]) -> list[str]:
    return [f"{number}. {query}" for number, query in enumerate(queries, start=1)]


def _fits(asked: Question, config: DeploymentConfig, limit: int) -> bool:
    context, answer = config.task.context_tokens, config.task.max_output_tokens
    return asked.tokens <= limit and (context is None or _ROOM * asked.prompt_tokens + answer <= context)


def _size(wanted: int, limit: int, text: str, config: DeploymentConfig, queries: Sequence[str]) -> int:
    """Return the characters of a piece that fits into a request, `wanted` at most."""
    free = limit - max(question("", config, query).tokens for query in queries)
    dense = token_estimate.estimate(text) / max(1, len(text))  # tokens a character, more in its densest part
    size = min(wanted, int(free / (2 * _ROOM * dense)))
    if size < _LEAST:
        raise DocumentRefused(
            f"a request has room for about {max(0, size)} characters of it beside the prompt and the answer: "
            "have sku.capacity raised, or lower task.max_output_tokens"
        )
    return size
