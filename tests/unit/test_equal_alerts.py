"""Equal alerts are logged once, then counted: a lasting fault is a line an hour, whatever raises it."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest

from shared import alerts
from shared.alerts import Alert, alert

HOUR = alerts.REPEAT_SECONDS


class Clock:
    """The monotonic clock of the process."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that a test moves."""
    clock = Clock()
    monkeypatch.setattr(alerts, "time", clock)
    return clock


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Any:
    """What was logged since it was asked the last time."""

    def lines() -> list[dict[str, Any]]:
        shown = [json.loads(each) for each in caplog.messages]
        caplog.clear()
        return shown

    with caplog.at_level(logging.INFO):
        yield lines


def test_a_lasting_fault_is_logged_at_once_then_every_hour_with_its_number(clock: Clock, log: Any) -> None:
    """Sixty passes an hour raise it, each with another time in its remedy."""
    for minute in range(150):
        alert(Alert.WINDOW_NOT_READY, f"not ready at minute {minute}", account="a", deployment="clauses")
        clock.now += 60
    first, second, third = log()
    assert "times" not in first
    assert first["remedy"] == "not ready at minute 0"
    assert [second["times"], third["times"]] == [60, 60]
    assert second["alert"] and second["event"] == "window_not_ready" and second["deployment"] == "clauses"


def test_what_comes_back_after_hours_is_logged_at_once(clock: Clock, log: Any) -> None:
    """It stands for the equal ones that were only counted, too."""
    for after in (0, 10, 5 * HOUR, 3 * HOUR):
        clock.now += after
        alert(Alert.PASS_FAILED, "try again", account="main")
    assert [each.get("times") for each in log()] == [None, 2, None]


def test_a_backlog_that_fails_is_one_line_a_deployment(clock: Clock, log: Any) -> None:
    """Two thousand documents, each with its id: the first one's is in the line."""
    for number in range(2000):
        for name in ("clauses", "mail"):
            alert(Alert.DOCUMENT_FAILED, f"see {number}", deployment=name, document=f"{name}~{number}")
    assert [(each["deployment"], each["document"]) for each in log()] == [
        ("clauses", "clauses~0"),
        ("mail", "mail~0"),
    ]
    clock.now += HOUR
    alert(Alert.DOCUMENT_FAILED, "see", deployment="mail", document="mail~2000")
    (line,) = log()
    assert (line["document"], line["times"]) == ("mail~2000", 2000)


@pytest.mark.parametrize(
    "other",
    [
        {"deployment": "mail"},
        {"account": "second"},
        {"code": "DeploymentPaused"},
        {"error": "OutcomeUnknown"},
        {"setting": "BLOB_SOURCE"},
    ],
    ids=str,
)
def test_another_subject_or_cause_is_another_alert(log: Any, other: dict[str, str]) -> None:
    """One fault hides no other: neither of another deployment nor another code of the same."""
    subject = {"account": "main", "deployment": "clauses"}
    for fields in (subject, subject | other, subject, subject | other):
        alert(Alert.MODEL_REFUSES, "look at it", **fields)
    alert(Alert.NOT_ANSWERING, "look at it", **subject)
    assert len(log()) == 3


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, log: Any) -> None:
    """What was logged longest ago is forgotten, and said once more if it is raised again."""
    monkeypatch.setattr(alerts, "_MOST", 3)
    for name in ("a", "b", "c", "d", "d", "c", "b", "a"):
        alert(Alert.DRAIN_FAILED, "tried again", deployment=name)
    assert [each["deployment"] for each in log()] == ["a", "b", "c", "d", "a"]


def test_threads_lose_no_alert(clock: Clock, log: Any) -> None:
    """Logged or counted, each is in one number."""

    def raise_many() -> None:
        for _ in range(500):
            alert(Alert.STORAGE_REFUSED, "wait")

    threads = [threading.Thread(target=raise_many) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    clock.now += HOUR
    alert(Alert.STORAGE_REFUSED, "wait")
    assert [each.get("times") for each in log()] == [None, 8 * 500]
