"""Messages in which a document is asked about, and whether the model was trained on such."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.documents.ask import question
from shared.doors.cli.main import main
from shared.model import Message, Slot, Task, Template, prompt
from shared.settings.training import differences, examples
from tests.fakes.world import config as any_config
from tests.unit.settings_file import CLAUSES, ENVIRONMENT, FILE, changed, config, the_one

BRIEF = {"role": "system", "content": "You label clauses."}
ASK = {"role": "user", "content": "Clause:\n{document}\n\nLabel:"}
TASK = f"{CLAUSES}.task"


def asking(*messages: Mapping[str, str]) -> dict[str, Any]:
    """Return a task with these messages."""
    return {"messages": list(messages), "max_output_tokens": "10"}


def test_a_document_stands_where_the_task_says(tmp_path: Path) -> None:
    """What looks like a placeholder in it, or in a literal part, stays as it is."""
    task = config(tmp_path, task=asking(BRIEF, {"role": "assistant", "content": "{x} %s"}, ASK)).task
    asked = question("Pay {document} in {query}.", any_config(task=task))
    assert asked.request.messages == (
        Message("system", "You label clauses."),
        Message("assistant", "{x} %s"),
        Message("user", "Clause:\nPay {document} in {query}.\n\nLabel:"),
    )


def test_a_prompt_is_a_message_before_the_document(tmp_path: Path) -> None:
    """A placeholder in a prompt of its own means nothing."""
    (tmp_path / "other.md").write_text("Write {document}.")
    task = {**FILE["deployments"]["clauses"]["task"], "system_prompt": "other.md"}
    assert config(tmp_path, task=task).task.messages == prompt("Write {document}.")


@pytest.mark.parametrize(
    ("task", "remedy"),
    [
        ({"max_output_tokens": "10"}, "write either system_prompt or messages"),
        ({**asking(ASK), "system_prompt": "prompt.md"}, "write either system_prompt or messages"),
        (
            asking(BRIEF, {"role": "user", "content": "Go."}),
            "write {document} once, in a message of the user",
        ),
        (asking({"role": "user", "content": "{document} {document}"}), "write {document} once"),
        (asking({**BRIEF, "content": "{document}"}, {"role": "user", "content": "Go."}), "of the user"),
        (asking({**BRIEF, "content": "{document}"}, ASK), "write {document} once"),
        (asking(ASK, {"role": "assistant", "content": "Label:"}), "the last message must be the user's"),
        (asking({"role": "user", "content": "{document} {query}"}), "{query} has no meaning without queries"),
    ],
)
def test_messages_that_cannot_be_sent_are_reported(tmp_path: Path, task: Any, remedy: str) -> None:
    """Each with what to write."""
    assert remedy in the_one(tmp_path, TASK, task)


TRAINED = [
    [BRIEF, {"role": "user", "content": f"Clause:\n{text}\n\nLabel:"}, {"role": "assistant", "content": "a"}]
    for text in ("Pay in May.", "Deliver in June.", "Ask again.", "{document}")
]


def found_by(task: Task, trained: list[list[dict[str, Any]]]) -> list[str]:
    """Return the differences from a file of these examples."""
    lines = [json.dumps({"messages": messages}) for messages in trained]
    return differences(task, list(examples(iter(lines))))


def task_of(*templates: Template) -> Task:
    """Return a task of these messages."""
    return Task(templates, 10)


AS_TRAINED = (
    Template("system", ("You label clauses.",)),
    Template("user", ("Clause:\n", Slot.DOCUMENT, "\n\nLabel:")),
)


@pytest.mark.parametrize(
    ("task", "differs"),
    [
        (task_of(*AS_TRAINED), []),
        (task_of(AS_TRAINED[1]), ["4 examples of 4 ask by system, user; the task by user"]),
        (
            task_of(Template("system", ("You label clauses.\n",)), AS_TRAINED[1]),
            ["message 1 (system) differs only in white space at its ends from 4 examples of 4"],
        ),
        (
            task_of(Template("system", ("Label.",)), AS_TRAINED[1]),
            ["message 1 (system) differs from 4 examples of 4"],
        ),
        (
            task_of(AS_TRAINED[0], Template("user", ("Clause: ", Slot.DOCUMENT, "\nLabel:"))),
            ["4 examples of 4 do not begin message 2 (user) as the task does"],
        ),
    ],
)
def test_a_difference_from_the_training_is_said(task: Task, differs: list[str]) -> None:
    """By roles, by the prompt, by what stands around the document."""
    assert found_by(task, TRAINED) == differs


def test_what_all_examples_have_around_the_document_is_missed() -> None:
    """A task that sends the bare document has forgotten it; a few equal characters are chance."""
    long = [
        [{"role": "user", "content": f"Label this clause: {text} Answer in a word."}, TRAINED[0][2]]
        for text in ("Pay", "Deliver", "Ask")
    ]
    assert found_by(task_of(Template("user", (Slot.DOCUMENT,))), long) == [
        "all examples have 19 more equal characters before the document in message 1 (user)",
        "all examples have 18 more equal characters after the document in message 1 (user)",
    ]
    assert found_by(task_of(Template("user", (Slot.DOCUMENT,))), long[:2]) == []


def test_lines_that_are_no_chat_are_counted() -> None:
    """Pictures, other kinds of training, broken lines: never an error."""
    lines = [
        "{",
        "[]",
        '{"messages": []}',
        '{"messages": [{"role": "user", "content": [{}]}]}',
        "",
        '{"a": 1}',
    ]
    assert differences(task_of(*AS_TRAINED), list(examples(iter(lines)))) == [
        "5 examples could not be compared: no chat with texts",
        "no example could be compared",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 0, "deployments.clauses.task: 4 examples of 4 do not begin message 2"),
        (["--deployment", "clauses"], 0, "message 1 (system) differs from 4 examples of 4"),
        (["--deployment", "clause"], 2, "did you mean 'clauses'?"),
    ],
)
def test_validate_compares_with_a_training_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    """The file can be used all the same, and no text of it is shown."""
    (tmp_path / "prompt.md").write_text("SECRET prompt")
    file, training = tmp_path / "deployments.yaml", tmp_path / "train.jsonl"
    task = asking({**BRIEF, "content": "SECRET"}, {"role": "user", "content": "SECRET {document}"})
    file.write_text(changed({TASK: task}))
    training.write_text("\ufeff" + "\r\n".join(json.dumps({"messages": each}) for each in TRAINED))
    assert main(["validate", str(file), "--training", str(training), *arguments], ENVIRONMENT) == code
    out = "".join(capsys.readouterr())
    assert said in out
    assert "SECRET" not in out and "Clause" not in out


def test_a_training_file_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, or in another encoding."""
    file, training = tmp_path / "deployments.yaml", tmp_path / "train.jsonl"
    (tmp_path / "prompt.md").write_text("List.")
    file.write_text(changed({}))
    for reason in ("No such file or directory", "it is not UTF-8 text"):
        assert main(["validate", str(file), "--training", str(training)], ENVIRONMENT) == 2
        assert f"{training} cannot be read: {reason}" in capsys.readouterr().err
        training.write_bytes(b"\xff\xfe")
