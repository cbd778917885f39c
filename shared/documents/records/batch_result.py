"""Write the results of a Batch file in its own format: the output file, and the error file.

Field for field as Azure does, but in input order. A request that the model refused stands in the error file,
with its response; what is wrong with a line itself is its `error`.
https://learn.microsoft.com/azure/ai-services/openai/how-to/batch
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.documents.records.record import Outcome, Record, encoded

_REFUSED = 400  # status from which on a response is a refusal


class BatchResult:
    """Write one of the two files. `errors`: which."""

    content_type = "application/jsonl"

    def __init__(self, errors: bool) -> None:
        self.end = ".errors.jsonl" if errors else ".jsonl"
        self._errors = errors

    def head(self) -> bytes:
        """Return nothing."""
        return b""

    def add(self, record: Record, outcome: Outcome) -> bytes:
        """Return the record's line; nothing if it belongs to the other file."""
        response, problem = outcome.response, outcome.problem
        failed = response is None or problem is not None or response["status_code"] >= _REFUSED
        if failed is not self._errors:
            return b""
        line: dict[str, object] = {"custom_id": record.id or None, "response": None, "error": None}
        if problem is not None or response is None:
            code, message = (problem.code, problem.message) if problem else ("", "")
            line["error"] = {"code": code, "message": message, "param": None, "line": record.place}
        else:
            line["response"] = {name: response.get(name) for name in ("body", "request_id", "status_code")}
        return encoded(line) + b"\n"

    def finish(self) -> Iterator[bytes]:
        """Yield nothing."""
        yield from ()
