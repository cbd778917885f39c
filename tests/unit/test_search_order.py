"""A search by embeddings: what it finds sooner, what it costs, and that it never stops a document."""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from typing import Any

import pytest

from local.emulator import tokens
from local.emulator.embeddings import vector
from shared.documents import search_order
from shared.documents.plan import AT_ONCE, plan
from shared.documents.readers.part import Part
from shared.documents.search_order import Order, key_of, similarities
from shared.errors import AccessDenied, ModelError, ModelUnavailable, RateLimited
from shared.model import DeploymentSpec, DocumentState, Large, ModelRequest
from shared.money.cost import token_cost
from tests.fakes.world import ACCOUNT, PRICES
from tests.unit import test_ranking
from tests.unit.large_documents import USED, Reader, contract, cut, no_threads  # noqa: F401

EMBEDDER = DeploymentSpec("embedder", "text-embedding-3-small", "1", None, "GlobalStandard", 1000)
CLAUSES = {
    "What about termination?": "Either side may terminate on two weeks' notice.",
    "Is subletting permitted?": "The tenant does not sublet without a permit.",
    "Who indemnifies whom?": "Indemnification is owed by the contractor.",
    "Are renewals automatic?": "It renews automatically, each time for a year.",
    "Which insurances?": "The lessee insures the goods.",
    "Any assignments?": "Assigning it to others needs consent.",
}
ASKED = {"queries": tuple(CLAUSES), "large": Large.RETRIEVE, "context_tokens": 20_000}


def reply(request: ModelRequest) -> str:
    """Answer a query only if its clause is in the prompt."""
    text, _, query = request.text.rpartition("\n\n")
    return CLAUSES[query] if CLAUSES[query] in text else "no"


async def searching(*, embedder: bool = True, **task: Any) -> Reader:
    """Return a reader of contracts that ranks by embeddings; the embedder stands, as its owner made it."""
    reader = Reader(cut(**{**ASKED, "embeddings": "embedder", **task}), reply, capacity=100)
    if embedder:
        await reader.world.azure.put(ACCOUNT.resource_id, EMBEDDER, timeout=1)
        reader.world.clock.advance(100)
    return reader


def long_contract() -> str:
    """Return a text of 200 pages, most of them in words of no language, with the clauses at its end."""
    parts, _ = test_ranking.contract(random.Random(3))
    pages = [part.text for part in parts[:200]]
    for page, clause in zip(range(150, 200, 8), CLAUSES.values(), strict=False):
        pages[page] += f"\n{clause}"
    return "\n\n".join(pages)


def events(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return what was logged about rankings."""
    lines = [json.loads(record.message) for record in caplog.records if record.name == "lamplighter"]
    return [line for line in lines if line["event"] == "ranked_by_words"]


async def searched(reader: Reader, text: str) -> list[int]:
    """Return how many passages each query needed; every one is answered."""
    answers = (await reader.result(text))["answer"]
    assert [each["answer"] for each in answers] == [*CLAUSES.values()]
    return [each["passages"]["searched"] for each in answers]


async def test_other_forms_of_a_word_are_found_by_embeddings() -> None:
    """Of six clauses that share no word with their query: four at least by the best eight passages."""
    text = long_contract()
    by_words = await searched(await searching(embeddings=None), text)
    by_embeddings = await searched(await searching(), text)
    assert sum(each <= AT_ONCE for each in by_words) <= 1
    assert sum(each <= AT_ONCE for each in by_embeddings) >= 4
    assert sum(by_embeddings) < 0.5 * sum(by_words)


async def test_embeddings_are_charged_to_the_document() -> None:
    """Beside its requests, and only if there is something to rank."""
    reader = await searching()
    await searched(reader, long_contract())
    azure, document = reader.world.azure, await reader.finished()
    assert sum(map(len, azure.embedded)) > 500_000, "the whole text, in characters"
    asked = len(reader.asked) * (0.4 * USED[0] + 1.6 * USED[1])
    assert document.cost * 1_000_000 == pytest.approx(asked + 0.02 * embedded_tokens(reader))
    assert document.prompt_tokens == len(reader.asked) * USED[0]
    assert reader.kept() == []
    few = await searching()
    await few.finished("\n".join(CLAUSES.values()))
    assert few.world.azure.count("embed") == 0, "one request holds it all"


def embedded_tokens(reader: Reader) -> int:
    """Return how many tokens were embedded."""
    return sum(map(tokens.count, reader.world.azure.embedded))


@pytest.mark.parametrize(("room", "calls"), [(0.0004, 0), (0.003, 2)])
async def test_embeddings_are_left_out_if_the_cap_has_no_room(
    caplog: pytest.LogCaptureFixture, room: float, calls: int
) -> None:
    """For them and then for the first request of each query: the document is answered all the same."""
    caplog.set_level(logging.INFO, "lamplighter")
    text, reader = contract(*CLAUSES.values(), fill=200), await searching()
    certain = plan([Part(text)], reader.config, PRICES).certain
    cost = sum(token_cost(ask.prompt_tokens, 100, PRICES) for ask in certain)
    capped = await searching(max_cost_per_document=cost + room)
    assert (await capped.finished(text)).state is DocumentState.DONE
    assert capped.world.azure.count("embed") == calls
    assert [line["code"] for line in events(caplog)] == ["max_cost_per_document"] * (calls == 0)


@pytest.mark.parametrize(
    ("trouble", "calls"),
    [
        ([], 1),  # there is no such deployment
        ([AccessDenied("401", code="401", status=401)], 1),
        ([RateLimited("429", code="429", status=429, retry_after=600)], 1),
        ([RateLimited("429", code="429", status=429, retry_after=9)] * 9, 4),
        ([ModelUnavailable("500", code="500", status=500)] * 9, 6),
    ],
)
async def test_a_failure_of_the_embeddings_stops_no_document(
    caplog: pytest.LogCaptureFixture, trouble: list[ModelError], calls: int
) -> None:
    """It is ranked by words, with the same requests as without embeddings, and one event says why."""
    caplog.set_level(logging.INFO, "lamplighter")
    text = contract(*CLAUSES.values(), fill=200)
    plain = await searching(embeddings=None)
    expected = await searched(plain, text)
    reader = await searching(embedder=bool(trouble))
    reader.world.azure.fail_next("embed", *trouble)
    assert await searched(reader, text) == expected
    assert Counter(each.text for each in reader.asked) == Counter(each.text for each in plain.asked)
    document = await reader.finished()
    assert (document.attempts, document.crashes) == (0, 0)
    assert document.cost == pytest.approx((await plain.finished()).cost)
    assert reader.world.azure.count("embed") <= calls
    (line,) = events(caplog)
    assert line == {
        "event": "ranked_by_words",
        "deployment": "clauses",
        "document": document.id,
        "code": trouble[0].code if trouble else "DeploymentNotFound",
    }


async def test_a_failure_in_the_middle_is_paid_and_ranked_by_words() -> None:
    """What was embedded until then is charged."""
    reader = await searching()
    embed, calls = reader.world.azure.embed, []

    async def failing(*given: Any, **named: Any) -> Any:
        calls.append(given)
        if len(calls) > 3:
            raise AccessDenied("403", code="403", status=403)
        return await embed(*given, **named)

    reader.world.azure.embed = failing  # type: ignore[method-assign]
    await searched(reader, long_contract())
    asked, paid = len(reader.asked) * (0.4 * USED[0] + 1.6 * USED[1]), 0.02 * embedded_tokens(reader)
    assert paid > 0
    assert (await reader.finished()).cost * 1_000_000 == pytest.approx(asked + paid)


@pytest.mark.parametrize(("fails", "kept"), [(False, 1), (False, 6), (True, 6)])
async def test_a_run_keeps_its_first_order(fails: bool, kept: int) -> None:
    """A process dies, and the next one repeats what was in flight; it embeds nothing again.

    Not even if the first one was refused the embeddings, and the next one could have them. `kept`: how much
    the first one keeps, the order before any answer.
    """
    reader = await searching()
    if fails:
        reader.world.azure.fail_next("embed", AccessDenied("401", code="401", status=401))
    reader.world.upload("clauses/contract.txt", long_contract())
    in_vain = await reader.dies_after(kept)
    embedded, before = len(reader.world.azure.embedded), Counter(each.text for each in reader.asked)
    document = await reader.finished()
    assert (document.state, len(reader.world.azure.embedded)) == (DocumentState.DONE, embedded)
    assert (embedded == 0) is fails
    times = Counter(each.text for each in reader.asked)
    assert {text for text, count in times.items() if count > before[text] > 0} <= in_vain.keys()
    each, paid = 0.4 * USED[0] + 1.6 * USED[1], 0.02 * embedded_tokens(reader)
    answered = len(reader.asked) - in_vain.total()
    assert document.cost * 1_000_000 > answered * each + paid - 0.01, "the crash loses no cost"
    assert reader.kept() == []


async def test_no_request_is_above_azures_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts in Cherokee, three tokens a character, are cut; the fake refuses what Azure does."""
    reader = await searching()
    sent = list[int]()
    embed = reader.world.azure.embed

    async def counted(endpoint: str, deployment: str, texts: list[str], *, timeout: float) -> Any:
        sent.append(len(texts))
        return await embed(endpoint, deployment, texts, timeout=timeout)

    monkeypatch.setattr(reader.world.azure, "embed", counted)
    dense = "".join(chr(0x13A0 + number % 60) for number in range(60_000))
    await reader.finished(f"{contract(*CLAUSES.values(), fill=60)}\n{dense}")
    assert max(sent) <= search_order.MOST_TEXTS and len(sent) > 4
    assert any(len(text) < 4000 and text in dense for text in reader.world.azure.embedded)


def test_an_order_is_of_its_own_passages_only() -> None:
    """Other passages, which a smaller request may need, are ranked by their words."""
    texts = ["no", "rent is due", "rent"]
    order = Order(key_of(texts, ["rent"]), {"rent": [0, 2, 1]})
    assert order(texts).best("rent") == [0, 2, 1]
    assert order([*texts, "more"]).best("rent")[0] == 2


def test_the_cosine_does_not_depend_on_lengths() -> None:
    """Some models give vectors of other lengths than 1."""
    near, far = vector("a deposit"), [9 * each for each in vector("a deposit of another landlord")]
    (one,), (other,), (nothing,) = similarities([near, far, [0.0] * len(far)], [vector("the deposit")])
    assert one > other > nothing == 0
