"""What is asked about a document: as a whole if it fits, else in pieces or by passages, within its cap."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.documents.plan import AT_ONCE, PASSAGE, Plan, plan
from shared.documents.readers.part import Part
from shared.documents.token_estimate import estimate
from shared.errors import DocumentRefused
from shared.model import Large, Task, prompt
from tests.fakes.world import PRICES, config

WORDS = "The tenant shall pay the rent for each month in advance. "
LONG = [Part(WORDS * 40, page=page) for page in range(1, 61)]  # about 30,000 tokens
QUERIES = ("Who pays?", "What is paid?", "When?")
ONE = Task(prompt("Summarise."), 100)
MANY = Task(prompt("Answer.", queries=True), 100, queries=QUERIES, not_found="no")
SEARCH = replace(MANY, large=Large.RETRIEVE)


def planned(
    task: Task, parts: list[Part] = LONG, *, capacity: int = 120, most: int | None = None, spent: float = 0.0
) -> Plan:
    """Return the plan for a document."""
    return plan(parts, config(capacity=capacity, task=task), PRICES, most=most, spent=spent)


def texts(found: Plan) -> list[list[str]]:
    """Return what each query's requests ask."""
    return [[ask.question.request.text for ask in asks] for asks in found.asks]


@pytest.mark.parametrize("large", Large)
def test_what_fits_is_asked_as_a_whole(large: Large) -> None:
    """Once; or once for each query, which stands below it; or once with all of them."""
    page = [Part("Some text.")]
    assert texts(planned(replace(ONE, large=large), page)) == [["Some text."]]
    each = planned(replace(MANY, large=large), page)
    assert texts(each) == [[f"Some text.\n\n{query}"] for query in QUERIES]
    assert (each.queries, each.has_many) == (QUERIES, True)
    together = planned(replace(MANY, together=True, large=large), page)
    assert texts(together) == [["Some text.\n\n1. Who pays?\n2. What is paid?\n3. When?"]]
    assert not together.has_many


def test_what_does_not_fit_is_refused_cut_or_searched() -> None:
    """Pieces hold the whole text for each query; a search has the best passages of each query first."""
    with pytest.raises(DocumentRefused, match="at once, and the deployment admits 10,000 a minute"):
        planned(ONE, capacity=10)
    (pieces,) = texts(planned(replace(ONE, large=Large.MAP_REDUCE), capacity=10))
    assert len(pieces) > 4 and max(map(len, pieces)) <= AT_ONCE * PASSAGE
    assert all(WORDS.strip() in piece for piece in pieces)
    marked = [*LONG[:50], Part("The deposit is held by Zwetschge Bank."), *LONG[50:]]
    found = planned(replace(SEARCH, queries=("Which bank holds the deposit?", "Rent?")), marked, capacity=10)
    assert found.is_search
    first, second = texts(found)
    assert "Zwetschge" in first[0] and "Zwetschge" not in "".join(first[2:])
    assert {len(ask.pieces) for asks in found.asks for ask in asks[:-1]} <= set(range(1, AT_ONCE + 1))
    assert sum(len(ask.pieces) for ask in found.asks[0]) == sum(len(ask.pieces) for ask in found.asks[1])
    assert "Zwetschge" in "".join(second), "the rest is there, too"


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_a_request_keeps_room_in_the_context(more: int, fits: bool) -> None:
    """Of 15% of the prompt, as the estimate may be too low, and for the answer."""
    whole = planned(replace(ONE, large=Large.MAP_REDUCE)).largest.prompt_tokens
    context = int(1.15 * whole) + 1 + 100
    task = replace(ONE, large=Large.MAP_REDUCE, context_tokens=context - more)
    assert planned(task).has_many is not fits
    if not fits:
        with pytest.raises(DocumentRefused) as raised:
            planned(replace(task, large=Large.WHOLE))
        assert f"it may need {context:,} tokens, and the model takes {context - 1:,}" in str(raised.value)


@pytest.mark.parametrize("task", [replace(ONE, large=Large.MAP_REDUCE), SEARCH], ids=["cut", "searched"])
def test_no_request_is_above_the_limit(task: Task) -> None:
    """Neither the capacity, nor the context, nor `most`; though one page is five times as dense as others."""
    dense = [*LONG, Part("契約の解除について定める。" * 200)]
    for found in (
        planned(task, dense, capacity=3),
        planned(replace(task, context_tokens=3000), dense),
        planned(task, dense, most=3000),
    ):
        asked = [ask.question for asks in found.asks for ask in asks]
        assert len(asked) > 10
        assert max(each.tokens for each in asked) <= 3000
        assert all(each.prompt_tokens >= estimate(each.request.text) * 0.95 for each in asked)


def test_a_room_too_small_for_pieces_is_refused_with_the_remedy() -> None:
    """By the limit that leaves too little: the deployment's, or the model's."""
    verbose = replace(ONE, messages=prompt("Say it. " * 240), large=Large.MAP_REDUCE)
    with pytest.raises(
        DocumentRefused, match=r"characters of it .*: have sku.capacity raised, or lower task\."
    ):
        planned(verbose, capacity=1)
    with pytest.raises(DocumentRefused, match=r": shorten the prompt and the queries, or lower task\."):
        planned(replace(verbose, context_tokens=700))
    with pytest.raises(DocumentRefused, match="about 0 characters"):
        planned(replace(verbose, max_output_tokens=2000), capacity=1)


@pytest.mark.parametrize("task", [replace(MANY, large=Large.MAP_REDUCE), SEARCH], ids=["cut", "searched"])
def test_the_cap_covers_all_requests_that_are_certain(task: Task) -> None:
    """Of a search the first one of each query. What was spent counts, unless it was for some of them."""
    found = planned(task, capacity=10)
    tokens = [ask.prompt_tokens for asks in found.asks for ask in (asks[:1] if found.is_search else asks)]
    cost = sum(0.4 * each + 1.6 * 100 for each in tokens) / 1_000_000
    assert planned(replace(task, max_cost_per_document=cost + 1e-9), capacity=10) is not None
    with pytest.raises(
        DocumentRefused, match=f"it would cost up to {cost:.4f} USD, and max_cost_per_document"
    ):
        planned(replace(task, max_cost_per_document=cost - 1e-6), capacity=10)
    capped = config(capacity=10, task=replace(task, max_cost_per_document=cost + 1e-9))
    with pytest.raises(DocumentRefused, match="max_cost_per_document"):
        plan(LONG, capped, PRICES, spent=0.001)
    assert plan(LONG, capped, PRICES, spent=0.001, resumed=True).has_many


def test_a_plan_for_many_queries_holds_the_text_once() -> None:
    """Requests are built as they are sent: those of forty queries would fill the memory."""
    forty = replace(MANY, queries=tuple(map(str, range(40))), large=Large.MAP_REDUCE)
    found = planned(forty, capacity=10)
    held = {id(piece.text): piece.text for asks in found.asks for ask in asks for piece in ask.pieces}
    assert sum(map(len, held.values())) < 1.2 * sum(len(part.text) for part in LONG)
    assert found.at_once == 16
    assert planned(ONE, [Part(WORDS * 40_000)], capacity=5000).at_once == 1
