"""OpenAI's files and batches in the local stack, through the unmodified openai client, in both styles."""

import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types import Batch
from openai.types.chat import ChatCompletion

from local.azurite import Azurite
from tests.integration.stack import KEY, SECRET, Stack, run_stack

DEPLOYMENTS = ("modern", "classic", "stopped")
LINES = 1000
CHAT: Any = "/v1/chat/completions"
WINDOW: Any = "1h"  # OpenAI knows 24h only
MODEL = {"sku": {"name": "GlobalStandard", "capacity": 5000}}


@pytest.fixture(scope="module")
def stack(azurite_accounts: Iterator[Azurite], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Yield the app. Deployments are held up: a batch would wait for most of its window else."""
    folder = tmp_path_factory.mktemp("openai")
    deployments = dict.fromkeys(DEPLOYMENTS, MODEL)
    with run_stack(folder, next(azurite_accounts), deployments, emulator=("--quota", "20000")) as stack:
        yield stack
        stack.assert_log_is_discreet()


def client(stack: Stack, style: str, key: str = KEY) -> openai.OpenAI:
    """Return the client as its users make it."""
    if style == "classic":
        return openai.AzureOpenAI(
            azure_endpoint=f"{stack.url}/api", api_version="2025-04-01-preview", api_key=key
        )
    return openai.OpenAI(base_url=f"{stack.url}/api/openai/v1", api_key=key)


def hold_up(stack: Stack, deployment: str) -> None:
    body = {"way": "up", "for": "1h", "owner": "tests", "reason": "a batch"}
    assert stack.post(f"deployments/{deployment}/hold", body).status == 200


def batch_file(deployment: str, count: int) -> bytes:
    """Return a Batch file: the tenth line is no JSON, and the twentieth is refused by the model."""
    lines = []
    for number in range(count):
        text = f"{SECRET} {number}" + (" [[content_filter]]" if number == 20 else "")
        body = {"model": deployment, "messages": [{"role": "user", "content": text}], "max_tokens": 40}
        line = {"custom_id": f"id {number}", "method": "POST", "url": CHAT, "body": body}
        lines.append("no JSON" if number == 10 else json.dumps(line))
    return "\n".join(lines).encode()


def ended(stack: Stack, api: openai.OpenAI, batch_id: str, within: float = 240.0) -> Batch:
    """Poll, as a client does."""
    found: list[Batch] = []

    def has_ended() -> bool:
        found[:] = [api.batches.retrieve(batch_id)]
        time.sleep(0.5)
        return found[0].status in ("completed", "failed", "cancelled")

    stack.wait("the batch has ended", has_ended, within)
    return found[0]


def lines_of(api: openai.OpenAI, file_id: str | None) -> list[Any]:
    assert file_id is not None
    return [json.loads(line) for line in api.files.content(file_id).content.splitlines()]


@pytest.mark.parametrize(("style", "deployment"), [("v1", "modern"), ("classic", "classic")])
def test_a_thousand_lines_from_files_to_answers(stack: Stack, style: str, deployment: str) -> None:
    """Order, ids and status codes are right; a create that is sent again is the same batch."""
    api = client(stack, style)
    file = api.files.create(file=("reviews.jsonl", batch_file(deployment, LINES)), purpose="batch")
    asked: dict[str, Any] = {
        **{"input_file_id": file.id, "endpoint": CHAT, "completion_window": WINDOW},
        **{"metadata": {"night": deployment}, "extra_headers": {"Idempotency-Key": f"one of {deployment}"}},
    }
    batch = api.batches.create(**asked)
    assert api.batches.create(**asked).id == batch.id
    hold_up(stack, deployment)
    done = ended(stack, api, batch.id)
    Batch.model_validate(done.to_dict(), strict=True)
    counts = done.request_counts
    assert counts is not None and done.metadata == {"night": deployment}
    assert (done.status, counts.total, counts.completed, counts.failed) == ("completed", LINES, LINES - 2, 2)
    answers, errors = lines_of(api, done.output_file_id), lines_of(api, done.error_file_id)
    good = [number for number in range(LINES) if number not in (10, 20)]
    assert [each["custom_id"] for each in answers] == [f"id {number}" for number in good]
    for number, each in zip(good, answers, strict=True):
        assert (each["response"]["status_code"], each["error"]) == (200, None)
        answer = ChatCompletion.model_validate(each["response"]["body"])
        assert (answer.choices[0].message.content or "").startswith(f"{SECRET} {number}")
    bad, refused = errors
    assert (bad["custom_id"], bad["error"]["code"]) == (None, "invalid_json_line")
    assert (refused["custom_id"], refused["response"]["status_code"]) == ("id 20", 400)
    assert [each.id for each in api.batches.list() if each.metadata == done.metadata] == [batch.id]
    assert file.id in [each.id for each in api.files.list(purpose="batch")]
    assert len(stack.documents(deployment)) == 1


def test_a_batch_is_cancelled(stack: Stack) -> None:
    """It waits for its deployment, which is never created for it."""
    api = client(stack, "v1")
    file = api.files.create(file=("reviews.jsonl", batch_file("stopped", 50)), purpose="batch")
    batch = api.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window=WINDOW)
    stack.wait("it is taken in", lambda: api.batches.retrieve(batch.id).status == "in_progress")
    api.batches.cancel(batch.id)
    stopped = ended(stack, api, batch.id, 30.0)
    assert (stopped.status, stopped.output_file_id) == ("cancelled", None)
    assert len(lines_of(api, stopped.error_file_id)) == 50
    assert stack.azure.writes("stopped") == (0, 0)


def test_only_a_function_key_opens_the_door(stack: Stack) -> None:
    """Where these clients send it, and where everybody does; a wrong one nowhere."""
    for style in ("v1", "classic"):
        with pytest.raises(openai.AuthenticationError):
            client(stack, style, "guessed").files.list()
    assert stack.api("openai/v1/files").status == 200
    assert stack.api("key").status == 204
