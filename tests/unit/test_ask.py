"""Text → request, and what of an answer is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.documents.ask import AnswerUnusable, accept, question
from shared.documents.token_estimate import estimate
from shared.errors import DocumentRefused
from shared.model import ModelAnswer, ModelRequest, Task
from tests.fakes.world import PRICES, config

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title"],
    "properties": {"title": {"type": "string"}, "risk": {"type": "number"}},
}
PLAIN = ModelRequest("Summarise.", "the document", 100)
STRUCTURED = replace(PLAIN, response_schema=SCHEMA)
SECRET = "the patient's name"


def answer(text: str, finish_reason: str = "stop") -> ModelAnswer:
    return ModelAnswer(text, finish_reason, "gpt-4.1-mini", 10, 20)


# --- the request -------------------------------------------------------------------------------------


def test_a_question_is_the_task_s_prompt_and_the_document() -> None:
    """The prompt's tokens are estimated from both, with those around two messages."""
    task = Task("x" * 400, 50, response_schema=SCHEMA)
    asked = question("ä" * 200, config(task=task), PRICES)
    assert asked.request == ModelRequest("x" * 400, "ä" * 200, 50, SCHEMA)
    assert asked.prompt_tokens == estimate("x" * 400) + estimate("ä" * 200) + 11


def test_what_no_minute_admits_is_refused_before_anything_is_deployed() -> None:
    """A capacity of 1 admits 1,000 tokens a minute: prompt, text and answer of 1,001 never go through."""
    one = config(capacity=1, task=Task("x" * 38, 100))
    assert question("a word " * 440, one, PRICES).prompt_tokens == 900
    with pytest.raises(DocumentRefused) as raised:
        question("a word " * 440 + "more", one, PRICES)
    assert str(raised.value).startswith(
        "it needs about 1,001 tokens at once, and the deployment admits 1,000 "
    )


def test_what_may_cost_more_than_its_cap_is_refused() -> None:
    """1,000 prompt tokens at 0.40 and 1,000 of an answer at 1.60 a million are at most 0.0020 dollars."""
    text = "x" * 3990

    def capped(cap: float) -> Task:
        return Task("x" * 10, 1000, max_cost_per_document=cap)

    assert question(text, config(task=capped(0.0021)), PRICES)
    with pytest.raises(DocumentRefused) as raised:
        question(text, config(task=capped(0.0019)), PRICES)
    assert str(raised.value) == "it would cost up to 0.0020 USD, and max_cost_per_document is 0.0019"


def test_what_a_document_has_cost_before_counts_against_its_cap() -> None:
    """With 0.0011 dollars spent, another try of 0.0020 does not fit into a cap of 0.0030."""
    capped = config(task=Task("x" * 10, 1000, max_cost_per_document=0.003))
    assert question("x" * 3990, capped, PRICES, spent=0.0009)
    with pytest.raises(DocumentRefused, match=r"max_cost_per_document is 0\.0030"):
        question("x" * 3990, capped, PRICES, spent=0.0011)


# --- the answer --------------------------------------------------------------------------------------


def test_a_text_is_taken_as_it_is() -> None:
    """Without a schema, whatever the model said is the answer, even if it looks like JSON."""
    assert accept(answer('{"a": 1} ä 📄\n'), PLAIN) == '{"a": 1} ä 📄\n'


def test_a_structured_answer_is_the_value() -> None:
    """With a schema, the answer is what its JSON says."""
    assert accept(answer('{"title": "ä", "risk": 0.5}'), STRUCTURED) == {"title": "ä", "risk": 0.5}


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [
        ("length", "the answer did not fit into 100 tokens: raise max_output_tokens"),
        ("content_filter", "Azure's content filter withheld the answer"),
        ("refusal", "the model refused to answer"),
    ],
)
@pytest.mark.parametrize("request_", [PLAIN, STRUCTURED])
def test_an_answer_that_no_other_try_would_complete_is_refused(
    finish_reason: str, reason: str, request_: ModelRequest
) -> None:
    """It is not stored as if it were whole, and not paid for five times."""
    with pytest.raises(DocumentRefused) as raised:
        accept(answer('{"title": "x"}', finish_reason), request_)
    assert str(raised.value) == reason


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        (SECRET, STRUCTURED),
        (f'{{"title": "{SECRET}"', STRUCTURED),
        ('{"title": "x", "risk": NaN}', STRUCTURED),  # Python's JSON takes it, no other reader does
        ('{"title": "x", "risk": -Infinity}', STRUCTURED),
        ('{"title": "\\ud83d"}', STRUCTURED),  # half a surrogate pair cannot be written as UTF-8
        ("half a pair \ud83d", PLAIN),
        ("[" * 100_000, STRUCTURED),
        ('{"risk": ' + "9" * 5000 + "}", STRUCTURED),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_answer_that_cannot_be_stored_as_json_is_tried_again(text: str, request_: ModelRequest) -> None:
    """The message, which people and logs see, does not quote it."""
    with pytest.raises(AnswerUnusable) as raised:
        accept(answer(text), request_)
    assert str(raised.value) == "the model's answer is not valid JSON"
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("[]", "type"),
        ("{}", "required"),
        ('{"title": 5}', "properties/title/type"),
        (f'{{"title": "x", "other": "{SECRET}"}}', "additionalProperties"),
    ],
)
def test_an_answer_of_another_shape_is_tried_again(value: str, where: str) -> None:
    """The message names the place in the schema and quotes nothing of the answer."""
    with pytest.raises(AnswerUnusable) as raised:
        accept(answer(value), STRUCTURED)
    assert str(raised.value) == f"the model's answer does not conform to the schema at {where}"
    assert raised.value.__cause__ is None


def test_a_schema_with_definitions_is_followed() -> None:
    """References within the schema are resolved, nothing is fetched."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"clause": {"$ref": "#/$defs/clause"}},
        "$defs": {"clause": {"type": "string"}},
    }
    request = replace(PLAIN, response_schema=schema)
    assert accept(answer('{"clause": "x"}'), request) == {"clause": "x"}
    with pytest.raises(AnswerUnusable, match="at properties/clause/type"):
        accept(answer('{"clause": 1}'), request)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_answer_is_worth_another_try(text: str) -> None:
    """It is no answer, and says so without quoting anything."""
    with pytest.raises(AnswerUnusable, match="empty"):
        accept(answer(text), PLAIN)
