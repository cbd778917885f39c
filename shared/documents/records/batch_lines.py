"""Read a file of OpenAI's Batch format: each line is a request of its own.

https://learn.microsoft.com/azure/ai-services/openai/how-to/batch lists the codes. Azure fails the whole file
for most of them; here each bad line is a line of the error file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.documents.records.json_lines import JsonLines
from shared.documents.records.layout import Layout, RecordFormat
from shared.documents.records.record import Problem, Record
from shared.documents.records.rows import Ids
from shared.errors import DocumentRefused
from shared.model import RecordForm

MOST_LINES = 100_000
"""Requests of a file, as Azure allows."""
URLS = ("/v1/chat/completions", "/chat/completions")
_OTHER_APIS = ("responses", "embeddings", "completions", "moderations")
_DUPLICATE = Problem("duplicate_custom_id", "an earlier line has the same custom_id: give each its own")


class BatchRecords:
    """Convert a file. `head`: its first bytes; `deployment`: the one that the file was uploaded for."""

    layout = Layout(RecordForm.BATCH, RecordFormat.JSONL)

    def __init__(self, head: bytes, deployment: str) -> None:
        self._lines = JsonLines(head)
        self._deployment = deployment
        self._ids = Ids()
        self._count = 0
        self._url: str | None = None  # of the first line that has a valid one

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records of the lines that end in the next piece. Raises DocumentRefused."""
        yield from map(self._record, self._lines.feed(data))

    def finish(self) -> Iterator[Record]:
        """Yield the record of the last line. Raises DocumentRefused."""
        yield from map(self._record, self._lines.feed(b"", final=True))
        if not self._count:
            raise DocumentRefused("empty_file: the file has no request: write one a line")

    def _record(self, line: tuple[int, dict[str, Any] | Problem]) -> Record:
        number, found = line
        self._count += 1
        if self._count > MOST_LINES:
            raise DocumentRefused(f"too_many_tasks: the file has more than {MOST_LINES:,} requests: split it")
        if isinstance(found, Problem):
            return Record(number, problem=found)
        given, body = found.get("custom_id"), found.get("body")
        custom_id = given if isinstance(given, str) else ""
        problem = self._problem(custom_id, found)
        if problem is not None or not isinstance(body, dict):
            return Record(number, custom_id, problem=problem)
        return Record(number, custom_id, body=body)

    def _problem(self, custom_id: str, line: Mapping[str, Any]) -> Problem | None:
        if not custom_id:
            return Problem("invalid_request", "custom_id is missing: write a text that no other line has")
        if self._ids.has(custom_id):
            return _DUPLICATE
        if line.get("method") != "POST":
            return Problem("invalid_request", 'method is missing or another: write "POST"')
        body = line.get("body")
        if not isinstance(body, dict):
            return Problem("invalid_request", "body is missing, or not an object: write the request there")
        return self._of_url(line.get("url")) or self._of_body(body)

    def _of_url(self, url: Any) -> Problem | None:
        if url in URLS:
            self._url = self._url or url
            if url == self._url:
                return None
            return Problem("url_mismatch", f"url differs from the rest of the file: write {self._url}")
        if isinstance(url, str) and url.rpartition("/")[2] in _OTHER_APIS:
            return Problem(
                "url_mismatch",
                f"{url.rpartition('/')[2]} are not answered here: write the request as a chat completion, "
                f"with the url {URLS[0]}",
            )
        return Problem("url_mismatch", f"url is missing or another: write {self._url or URLS[0]}")

    def _of_body(self, body: Mapping[str, Any]) -> Problem | None:
        model = body.get("model")
        if not isinstance(model, str) or model.lower() != self._deployment.lower():
            return Problem(
                "model_mismatch",
                f"body.model is not the deployment of this file: write {self._deployment}, or upload it into "
                "the folder of the other one",
            )
        if body.get("stream"):
            return Problem(
                "invalid_request", "body.stream is true, and a file holds whole answers: remove it"
            )
        return None
