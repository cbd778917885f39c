"""Compare a task with the file by which its model was trained: a model answers best what it was trained on.

No difference quotes the file, which may hold personal data.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.model import Slot, Task, Template

_ENOUGH = 3  # examples that show what all begin or end with
_NO_CHANCE = 12  # characters: documents have so many in common by chance
Example = Sequence[Mapping[str, Any]]


def examples(lines: Iterator[str]) -> Iterator[Example | None]:
    """Yield each example's messages up to the answer; None for a line that is no example of a chat."""
    for line in lines:
        if line.strip():
            yield _example(line)


def _example(line: str) -> Example | None:
    try:
        messages = json.loads(line)["messages"]
        asked = messages[:-1] if messages[-1]["role"] == "assistant" else messages
        if asked and all(isinstance(each["content"], str) and each["role"] for each in asked):
            return list(asked)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        pass
    return None


def differences(task: Task, found: Sequence[Example | None]) -> list[str]:
    """Return how requests of the task differ from the examples; empty if they do not."""
    usable = [example for example in found if example is not None]
    unusable = len(found) - len(usable)
    said = [f"{_examples(unusable)} could not be compared: no chat with texts"] if unusable else []
    if not usable:
        return [*said, "no example could be compared"]
    ours = tuple(template.role for template in task.messages)
    roles = Counter(tuple(each["role"] for each in example) for example in usable)
    if others := len(usable) - roles[ours]:
        usual = ", ".join(roles.most_common(1)[0][0])
        said.append(f"{_examples(others)} of {len(usable):,} ask by {usual}; the task by {', '.join(ours)}")
    alike = [example for example in usable if tuple(each["role"] for each in example) == ours]
    for number, template in enumerate(task.messages if alike else ()):
        said += _of_message(number, template, [example[number]["content"] for example in alike])
    return said


def _of_message(number: int, template: Template, contents: Sequence[str]) -> Iterator[str]:
    where = f"message {number + 1} ({template.role})"
    if template.literal is None:
        first, last = (
            "" if isinstance(piece, Slot) else piece for piece in (template.pieces[0], template.pieces[-1])
        )
        backwards = [content[::-1] for content in contents]
        yield from _of_edge(f"begin {where}", f"before the document in {where}", first, contents)
        yield from _of_edge(f"end {where}", f"after the document in {where}", last[::-1], backwards)
        return
    if others := sum(content != template.literal for content in contents):
        in_space = all(content.strip() == template.literal.strip() for content in contents)
        how = "differs only in white space at its ends" if in_space else "differs"
        yield f"{where} {how} from {_examples(others)} of {len(contents):,}"


def _of_edge(edge: str, place: str, literal: str, contents: Sequence[str]) -> Iterator[str]:
    if others := sum(not content.startswith(literal) for content in contents):
        yield f"{_examples(others)} of {len(contents):,} do not {edge} as the task does"
    elif len(contents) >= _ENOUGH and (more := _common(contents) - len(literal)) > _NO_CHANCE:
        yield f"all examples have {more:,} more equal characters {place}"


def _common(contents: Sequence[str]) -> int:
    """Return how many characters all of them begin with."""
    first, last = min(contents), max(contents)
    pairs = enumerate(zip(first, last, strict=False))
    return next((at for at, (one, other) in pairs if one != other), len(first))


def _examples(number: int) -> str:
    return f"{number:,} example{'s' * (number != 1)}"
