"""Look at the beginning of a Batch file: which deployment it is for, and how many tokens it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.documents.records.form import HEAD, form_of
from shared.documents.records.json_lines import JsonLines
from shared.documents.records.record import Problem, Record
from shared.documents.records.request import request_of
from shared.errors import DocumentRefused
from shared.model import DeploymentConfig, RecordForm


@dataclass(frozen=True)
class Load:
    """The estimated work of a whole file. `tokens`: of prompts and of the longest answers."""

    requests: float
    tokens: float


@dataclass(frozen=True)
class Sample:
    """The requests at the beginning of a file. `size`: bytes that they take."""

    head: bytes
    bodies: Sequence[Mapping[str, Any]]
    size: int

    @property
    def model(self) -> str | None:
        """Return the model that the first of them names."""
        return next((str(body["model"]) for body in self.bodies), None)

    def is_batch(self, config: DeploymentConfig) -> bool:
        """Return whether the file is asked as a Batch file."""
        try:
            return form_of(self.head, config.task) is RecordForm.BATCH
        except DocumentRefused:
            return False

    def load(self, size: int, config: DeploymentConfig) -> Load:
        """Return the work of a file with so many bytes, if the rest of it is like its beginning."""
        times, tokens = size / max(1, self.size), 0
        for place, body in enumerate(self.bodies, 1):
            asked = request_of(Record(place, body=body), config)
            tokens += asked.prompt_tokens + asked.request.max_output_tokens
        return Load(len(self.bodies) * times, tokens * times)


def sample_of(head: bytes, *, whole: bool) -> Sample:
    """Return what the first bytes of a file show. `whole`: they are all of it."""
    lines, bodies = JsonLines(head), list[Mapping[str, Any]]()
    found = [*lines.feed(head), *(lines.feed(b"", final=True) if whole else ())]
    for _, line in found:
        body = None if isinstance(line, Problem) else line.get("body")
        if isinstance(body, dict) and isinstance(body.get("model"), str):
            bodies.append(body)
    complete = len(head) if whole else head.rfind(b"\n") + 1
    return Sample(head[:HEAD], bodies, complete)
