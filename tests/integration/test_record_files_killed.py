"""Files of records on the real stack: a host that dies in the middle repeats only what was in flight."""

import csv
import io
import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from local.azurite import Azurite
from local.stack import Behaviour
from shared.model import TINY
from tests.integration.stack import SECRET, Stack, run_stack

HOST = "tests.integration.hurried_host"
ROWS = 900
MANY = 2000  # more than are answered until a cancellation is seen
TASK = {"system_prompt": "prompt.md", "max_output_tokens": 60, "records": {"text": "review", "id": "id"}}
REVIEWS = {"sku": {"name": "GlobalStandard", "capacity": 4000}, "task": TASK}  # 67 requests a second


@dataclass(frozen=True)
class Busy(Behaviour):
    """The emulator with a large quota, and answers that take so long that many are in flight."""

    provision_median: float = 1.0
    provision_p95: float = 1.0
    delete_seconds: float = 0.5
    warmup_seconds: float = 0.5
    latency_seconds: float = 0.5
    latency_p95: float = 0.8
    quota: int = 100_000


def reviews(rows: int) -> str:
    """Return a CSV file."""
    return "id,review\r\n" + "".join(f"r{n},{SECRET} number {n} of {rows}\r\n" for n in range(rows))


def asked(stack: Stack, deployment: str) -> Counter[str]:
    """Return how often each request was sent, by the emulator's meter; without those that only probe."""
    seen = Counter(text for _, text in stack.azure.admissions(deployment))
    del seen[sha256(TINY.text.encode()).hexdigest()]
    return seen


def kept(stack: Stack) -> int:
    """Return how many rows have an outcome that is kept."""
    logs = stack.stored("checkpoints").values()
    return sum(line[:1].isdigit() for log in logs for line in log.split(b"\n"))


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_kills_in_the_middle_repeat_only_what_was_in_flight(
    tmp_path: Path, azurite: Azurite, kills: int
) -> None:
    """Every row stands once in the result, in the order of the file."""
    lost = in_flight = 0
    with run_stack(tmp_path, azurite, {"reviews": REVIEWS}, behaviour=Busy(), host=HOST) as stack:
        stack.upload("reviews/reviews.csv", reviews(ROWS))
        for number in range(kills):
            enough = ROWS * (number + 1) // (kills + 1)
            stack.wait(f"{enough} rows are answered", lambda enough=enough: kept(stack) >= enough)
            in_flight += stack.azure.bill()["in_flight"]
            stack.kill_host()
            before = kept(stack)
            lost = asked(stack, "reviews").total() - before  # by all kills so far
            assert enough <= before < ROWS
            stack.start_host()
        rows = result(stack, "csv")
        assert [row[:2] for row in rows] == [[f"r{n}", f"{SECRET} number {n} of {ROWS}"] for n in range(ROWS)]
        assert all(answer and not error for _, _, answer, error in rows)
        twice = asked(stack, "reviews").total() - ROWS
        figures = f"{kills} kills: {twice} paid twice, {lost} not kept, {in_flight} in flight just before"
        logging.getLogger(__name__).info(figures)
        assert 0 < twice <= lost, figures
        stack.wait("it is deleted", lambda: stack.azure.bill()["open"] == 0)
        stack.assert_log_is_discreet()


def result(stack: Stack, end: str) -> list[list[str]]:
    """Return the rows of the result once the file is done, without the header."""

    def done() -> Mapping[str, Any] | None:
        found = stack.documents("reviews")
        return found[0] if found and found[0]["finished_at"] else None

    document = stack.wait("the file is done", done, within=180)
    assert document["state"] == "done", document
    stored = json.loads(stack.stored("results")[document["result"].partition("/")[2]])
    data = stack.stored("results")[stored["files"][end]]
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))[1:]


def test_a_cancelled_file_stops_within_seconds_and_a_requeue_asks_the_rest(
    tmp_path: Path, azurite: Azurite
) -> None:
    with run_stack(tmp_path, azurite, {"reviews": REVIEWS}, behaviour=Busy()) as stack:
        stack.upload("reviews/reviews.csv", reviews(MANY))
        stack.wait("some rows are answered", lambda: kept(stack) >= 100)
        (document,) = stack.documents("reviews")
        assert document["records"]["total"] == MANY and document["state"] == "claimed"
        began = time.monotonic()
        assert stack.post(f"documents/{document['id']}/cancel").status == 202
        stack.wait("it has ended", lambda: stack.documents("reviews")[0]["state"] == "failed", within=30)
        assert time.monotonic() - began < 30
        (ended,) = stack.documents("reviews")
        assert 100 <= ended["records"]["answered"] == kept(stack) < MANY
        before = asked(stack, "reviews").total()
        assert stack.post(f"documents/{document['id']}/requeue").status == 202
        assert len(result(stack, "csv")) == MANY
        assert asked(stack, "reviews").total() == before + MANY - ended["records"]["answered"]
