"""Text → request, and what of an answer is taken."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from shared.documents.ask import AnswerUnusable, accept
from shared.documents.plan import Plan, plan
from shared.documents.readers.part import Part
from shared.documents.token_estimate import estimate
from shared.errors import DocumentRefused
from shared.model import DeploymentConfig, Message, ModelAnswer, ModelRequest, Task, prompt
from tests.fakes.world import PRICES, config

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title"],
    "properties": {"title": {"type": "string"}, "risk": {"type": "number"}},
}
PLAIN = ModelRequest((Message("system", "Summarise."), Message("user", "the document")), 100)
STRUCTURED = replace(PLAIN, response_schema=SCHEMA)
SECRET = "the patient's name"


def answer(text: str, finish_reason: str = "stop") -> ModelAnswer:
    return ModelAnswer(text, finish_reason, "gpt-4.1-mini", 10, 20)


def planned(text: str, config: DeploymentConfig, spent: float = 0.0) -> Plan:
    """Return the plan for a plain text."""
    return plan([Part(text)], config, PRICES, spent=spent)


# --- the request -------------------------------------------------------------------------------------


def test_a_question_is_the_task_s_prompt_and_the_document() -> None:
    """The prompt's tokens are estimated from both, with those around two messages."""
    task = Task(prompt("x" * 400), 50, response_schema=SCHEMA)
    asked = planned("ä" * 200, config(task=task)).largest
    assert asked.request == ModelRequest(
        (Message("system", "x" * 400), Message("user", "ä" * 200)), 50, SCHEMA
    )
    assert asked.prompt_tokens == estimate("x" * 400) + estimate("ä" * 200) + 11


def test_what_no_minute_admits_is_refused_before_anything_is_deployed() -> None:
    """A capacity of 1 admits 1,000 tokens a minute: prompt, text and answer of 1,001 never go through."""
    one = config(capacity=1, task=Task(prompt("x" * 38), 100))
    assert planned("a word " * 440, one).largest.prompt_tokens == 900
    with pytest.raises(DocumentRefused) as raised:
        planned("a word " * 440 + "more", one)
    assert str(raised.value).startswith(
        "it needs about 1,001 tokens at once, and the deployment admits 1,000 "
    )


def test_what_may_cost_more_than_its_cap_is_refused() -> None:
    """1,000 prompt tokens at 0.40 and 1,000 of an answer at 1.60 a million are at most 0.0020 dollars."""
    text = "x" * 3990

    def capped(cap: float) -> Task:
        return Task(prompt("x" * 10), 1000, max_cost_per_document=cap)

    assert planned(text, config(task=capped(0.0021)))
    with pytest.raises(DocumentRefused) as raised:
        planned(text, config(task=capped(0.0019)))
    assert str(raised.value) == "it would cost up to 0.0020 USD, and max_cost_per_document is 0.0019"


def test_what_a_document_has_cost_before_counts_against_its_cap() -> None:
    """With 0.0011 dollars spent, another try of 0.0020 does not fit into a cap of 0.0030."""
    capped = config(task=Task(prompt("x" * 10), 1000, max_cost_per_document=0.003))
    assert planned("x" * 3990, capped, spent=0.0009)
    with pytest.raises(DocumentRefused, match=r"max_cost_per_document is 0\.0030"):
        planned("x" * 3990, capped, spent=0.0011)


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


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        ("date", "2024-02-29", "2023-02-29 20240229 29.02.2024"),
        ("time", "23:59:60Z 09:30:00.5+01:00", "09:30:00 24:00:00Z 9:30:00Z"),
        ("date-time", "2024-02-29t09:30:00z", "2023-02-29T09:30:00Z 2024-02-29 2024-02-29T09:30:00"),
        ("duration", "P1Y2M3DT4H5M6S PT0.5S P2W", "P PT 1D P1H"),
        ("email", "a.b@example.com", "a.b @example.com a@b@c"),
        ("hostname", "a-1.example.com", "-a.com a..com a_b " + "a" * 64),
        ("ipv4", "192.0.2.1", "192.0.2.256 192.0.2"),
        ("ipv6", "2001:db8::1", "2001:db8 192.0.2.1"),
        ("uuid", "0e2c5d1b-7a9f-4e6c-8b3d-2a1f0e9d8c7b", "0e2c5d1b7a9f4e6c8b3d2a1f0e9d8c7b uuid"),
    ],
)
def test_a_format_is_checked(form: str, right: str, wrong: str) -> None:
    """No model guarantees it: what does not have it is tried again. Only strings can."""
    schema = {**SCHEMA, "properties": {"title": {"type": ["string", "null"], "format": form}}}
    request = replace(PLAIN, response_schema=schema)
    for value in (*right.split(" "), None):
        assert accept(answer(json.dumps({"title": value})), request) == {"title": value}
    for value in wrong.split(" "):
        with pytest.raises(AnswerUnusable, match="to the schema at properties/title/format"):
            accept(answer(json.dumps({"title": value})), request)


def test_what_only_the_description_told_the_model_is_checked_in_full() -> None:
    """The service guarantees the schema that is sent; the answer must conform to the one that is not."""
    schema = {**SCHEMA, "properties": {"title": {"type": "string", "maxLength": 3}}}
    request = replace(PLAIN, response_schema=schema)
    assert accept(answer('{"title": "abc"}'), request) == {"title": "abc"}
    with pytest.raises(AnswerUnusable, match="to the schema at properties/title/maxLength"):
        accept(answer('{"title": "abcd"}'), request)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_answer_is_worth_another_try(text: str) -> None:
    """It is no answer, and says so without quoting anything."""
    with pytest.raises(AnswerUnusable, match="empty"):
        accept(answer(text), PLAIN)
