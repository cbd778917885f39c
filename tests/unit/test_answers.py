"""Answers to the pieces and passages of a document make one; it is answered as a whole or not at all."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from shared.documents.answers import combine, is_negative
from shared.documents.readers.part import Part
from shared.documents.source import Sources
from shared.errors import DocumentRefused, RateLimited, RequestRefused
from shared.model import DocumentState, Large, ModelRequest, Task
from tests.unit import test_ranking
from tests.unit.large_documents import FILL, NAME, USED, Reader, contract, cut, no_threads  # noqa: F401

LISTS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["party", "sums"],
    "properties": {
        "party": {"type": ["string", "null"]},
        "sums": {"type": "array", "items": {"type": "integer"}, "maxItems": 4},
    },
}
QUOTES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["quote"],
    "properties": {"quote": {"type": "string"}},
}
TOO_LONG = RequestRefused("too long", code="context_length_exceeded", status=400)
FILTERED = RequestRefused("Azure's content filter refused it", code="content_filter", status=400)


# --- the answers to pieces ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "combined"),
    [
        (["no", "A is due.", "No.", "B is due.\n", "A is due."], "A is due.\n\nB is due."),
        (["no", "no"], "no"),
        ([{"party": None, "sums": []}, {"party": "no", "sums": []}], {"party": None, "sums": []}),
        (
            [{"party": "no", "sums": [7, 7]}, {"party": "A", "sums": [7, 8]}, {"party": "B", "sums": []}],
            {"party": "A", "sums": [7, 7, 8]},  # two of one piece are two, and the overlap repeats some
        ),
    ],
)
def test_what_says_something_is_combined(values: list[Any], combined: Any) -> None:
    """Texts below each other, lists joined; where two pieces differ, the first one counts."""
    schema = None if isinstance(combined, str) else LISTS
    assert combine(values, cut(Large.MAP_REDUCE, response_schema=schema)) == combined


def test_pieces_that_make_no_answer_of_the_schema_fail_the_document() -> None:
    """Rather than give a part of them."""
    pieces = [{"party": "A", "sums": [1, 2, 3]}, {"party": "A", "sums": [4, 5]}]
    with pytest.raises(
        DocumentRefused, match=r"its 2 pieces make none .* at properties/sums/maxItems: write"
    ):
        combine(pieces, cut(Large.MAP_REDUCE, response_schema=LISTS))


@pytest.mark.parametrize(
    ("value", "negative"),
    [
        ("no", True),
        (' "No." ', True),
        ("no rent is due", False),
        ("", True),
        ({"found": False, "quotes": [], "text": None}, True),
        ({"found": False, "pages": 0}, False),
        ([["x"]], False),
        (None, True),
    ],
)
def test_an_answer_is_negative_if_all_of_it_says_nothing(value: Any, negative: bool) -> None:
    assert is_negative(value, "No") is negative


async def test_each_query_is_asked_about_each_piece() -> None:
    """The result has the answers by query, in the order of the text, and the cost of all requests."""

    def reply(request: ModelRequest) -> str:
        text, _, query = request.text.rpartition("\n\n")
        return ", ".join(word for word in text.split() if word.startswith(query[:4].upper())) or "no"

    reader = Reader(cut(Large.MAP_REDUCE, queries=("Rent?", "Bank?", "Who?")), reply)
    result = await reader.result(contract("RENT-1", "BANK-1", "RENT-2"))
    assert result["answer"] == [
        {"query": "Rent?", "answer": "RENT-1\n\nRENT-2"},
        {"query": "Bank?", "answer": "BANK-1"},
        {"query": "Who?", "answer": "no"},
    ]
    asked = len(reader.asked)
    assert asked % 3 == 0 and asked > 9
    assert result["usage"]["prompt_tokens"] == result["spent"]["prompt_tokens"] == asked * USED[0]


# --- the search --------------------------------------------------------------------------------------


def found_in(clauses: dict[str, str]) -> Any:
    """Return the reply of a model that answers a query only if its clause is in the prompt."""

    def reply(request: ModelRequest) -> str:
        text, _, query = request.text.rpartition("\n\n")
        return clauses[query] if clauses.get(query, "?") in text else "no"

    return reply


async def test_a_clause_of_300_pages_is_found_and_a_negative_answer_has_read_them_all() -> None:
    """Of forty: 0.85 and more by the best eight passages, all with the other passages."""
    parts, asked = test_ranking.contract(random.Random(1))
    clauses = dict(list(asked.items())[:40])
    queries = (*clauses, "What is the limit of nothing?")
    task = cut(Large.RETRIEVE, queries=queries, context_tokens=None)
    reader = Reader(task, found_in(clauses), capacity=150)
    result = await reader.result("\n\n".join(part.text for part in parts))
    answers = {each["query"]: each for each in result["answer"]}
    assert {query: answers[query]["answer"] for query in clauses} == clauses
    passages = [answers[query]["passages"] for query in clauses]
    assert sum(each["searched"] <= 8 for each in passages) / len(passages) >= 0.85
    nothing = answers[queries[-1]]
    assert nothing["answer"] == "no"
    assert nothing["passages"]["searched"] == nothing["passages"]["of"] >= 180


async def test_a_search_that_its_cap_ends_says_how_much_was_searched() -> None:
    """What was spent stays below the cap."""
    cap = 0.012
    task = cut(Large.RETRIEVE, queries=("Bank?",), max_cost_per_document=cap, context_tokens=None)
    reader = Reader(task, lambda _: "no", capacity=20)
    reader.used = (8000, 100)
    (found,) = (await reader.result(contract("BANK", fill=1000)))["answer"]
    assert found["answer"] == "no"
    assert 8 < found["passages"]["searched"] < found["passages"]["of"]
    assert (await reader.finished()).cost <= cap


# --- refusals ----------------------------------------------------------------------------------------


async def test_what_is_too_long_shrinks_once_and_is_never_sent_again() -> None:
    """Not even by the next process, which begins with the smaller pieces: the refusal is kept."""

    def reply(request: ModelRequest) -> str | Exception:
        return TOO_LONG if "DENSE" in request.text and len(request.text) > 20_000 else "yes"

    reader = Reader(cut(Large.MAP_REDUCE), reply)
    reader.world.upload(NAME, contract(*[""] * 20, "DENSE", *[""] * 40, fill=100))
    await reader.dies_after(kept=11)
    before = Counter(request.text for request in reader.asked)
    assert max(before.values()) == 1
    assert (await reader.result())["answer"] == "yes"
    again = reader.asked[before.total() :]
    assert len(again) > 20
    assert max(len(request.text) for request in again) <= 20_000 < len(reader.asked[0].text)


@pytest.mark.parametrize(("large", "requests"), [(Large.WHOLE, 1), (Large.MAP_REDUCE, 6)])
async def test_what_is_too_long_for_a_second_time_fails(large: Large, requests: int) -> None:
    """With Azure's reason, after one attempt and without its answers."""
    reader = Reader(cut(large, context_tokens=None), lambda _: TOO_LONG, capacity=150)
    document = await reader.finished(contract("", "", ""))
    assert (document.state, document.reason, document.attempts) == (DocumentState.FAILED, "too long", 0)
    assert len(reader.asked) == requests
    assert reader.kept() == []


async def test_one_refusal_fails_the_document_after_what_is_in_flight() -> None:
    """With its own reason; nothing is sent any more, and nothing of it is stored."""
    sent = list[int]()

    def reply(request: ModelRequest) -> str | Exception:
        if "BAD" not in request.text:
            return "yes"
        sent.append(len(reader.asked))
        return FILTERED

    reader = Reader(cut(Large.MAP_REDUCE), reply, capacity=60)  # some wait for their turn
    document = await reader.finished(contract("", "BAD", *[""] * 25))
    assert (document.state, document.reason) == (DocumentState.FAILED, str(FILTERED))
    assert sent == [len(reader.asked)] and not reader.in_flight
    assert document.prompt_tokens == USED[0] * (len(reader.asked) - 1)
    assert (reader.world.results(), reader.kept()) == ([], [])


async def test_requests_that_cost_more_than_estimated_keep_the_cap() -> None:
    """The document fails with the reason of the cap, at most those in flight later."""
    reader = Reader(cut(Large.MAP_REDUCE, max_cost_per_document=0.03), lambda _: "yes", capacity=15)
    reader.used = (12_000, 100)
    document = await reader.finished(contract(*[""] * 6))
    assert document.state is DocumentState.FAILED
    assert "max_cost_per_document" in document.reason
    assert 0.02 < document.cost <= 0.03


async def test_a_capacity_below_the_configured_one_cuts_more() -> None:
    """Azure gives what is left: a document that may be cut waits for no more."""
    reader = Reader(cut(Large.MAP_REDUCE, context_tokens=None), lambda _: "yes", minimum_capacity=10)
    reader.world.azure.quota = 20
    assert (await reader.result(contract("", "", "")))["answer"] == "yes"
    assert len(reader.asked) > 3


async def test_a_limit_that_admits_some_requests_blames_no_document() -> None:
    """Each slice ends in a refusal of another request: seven of them are no attempt, as each had answers."""
    refused = set[str]()

    def reply(request: ModelRequest) -> str | Exception:
        if len(refused) < 7 and request.text not in refused and len(reader.asked) % 4 == 0:
            refused.add(request.text)
            return RateLimited("429", code="429", status=429, retry_after=600)
        return "yes"

    reader = Reader(cut(Large.MAP_REDUCE), reply, capacity=30)
    document = await reader.finished(contract(*[""] * 20))
    assert (document.state, document.attempts) == (DocumentState.DONE, 0)
    assert len(refused) == 7


# --- quotes ------------------------------------------------------------------------------------------


def quoting(*quotes: str) -> Any:
    """Return the reply of a model that gives these quotes in turn, the last one for ever."""
    left = list(quotes)
    return lambda _: json.dumps({"quote": left.pop(0) if len(left) > 1 else left[0]})


RIGHT, WRONG = "The landlord may end the lease in May.", "The landlord may end the lease in June."
PAGES = [Part(FILL, page=1), Part(f"{FILL}\n{RIGHT}", page=2)]
ASKED_FOR_QUOTES = Task(cut(Large.WHOLE).messages, 100, QUOTES, quotes=("quote",))


async def test_a_quote_is_stored_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page, and its characters in the text; one that does not stand there is no error."""

    async def pages(*_: Any) -> list[Part]:
        return PAGES

    monkeypatch.setattr(Sources, "parts_of", pages)
    result = await Reader(ASKED_FOR_QUOTES, quoting(RIGHT.upper())).result("a PDF")
    start = 2 * len(FILL) + 3
    place = {"at": "/quote", "verified": True, "page": 2, "start": start, "end": start + len(RIGHT)}
    assert result["evidence"] == [place]
    result = await Reader(ASKED_FOR_QUOTES, quoting(WRONG)).result("a PDF")
    assert result["evidence"] == [{"at": "/quote", "verified": False}]


async def test_a_quote_that_is_required_is_asked_for_once_more() -> None:
    """In a conversation that holds the document; both answers are charged."""
    reader = Reader(replace(ASKED_FOR_QUOTES, require_quotes=True), quoting(WRONG, RIGHT))
    result = await reader.result(FILL + RIGHT)
    assert (result["answer"], result["evidence"][0]["verified"]) == ({"quote": RIGHT}, True)
    first, second = (request.messages for request in reader.asked)
    assert second[: len(first)] == first
    assert [each.role for each in second[len(first) :]] == ["assistant", "user"]
    assert WRONG in second[-2].content and "/quote" in second[-1].content
    assert result["usage"]["prompt_tokens"] == result["spent"]["prompt_tokens"] == 2 * USED[0]


async def test_a_required_quote_that_is_wrong_twice_fails_the_document() -> None:
    reader = Reader(replace(ASKED_FOR_QUOTES, require_quotes=True), quoting(WRONG))
    document = await reader.finished(FILL + RIGHT)
    assert document.state is DocumentState.FAILED
    assert document.reason == "1 quote(s) of its answer do not stand in it (at /quote)"
    assert len(reader.asked) == 2
