"""Write the results of rows as JSONL: one object a row, in the file's order."""

from __future__ import annotations

from collections.abc import Iterator

from shared.documents.records.record import Outcome, Record, encoded


class JsonlResult:
    """Write `row`, `id`, `columns`, `answer` and `error` of each row."""

    end = ".jsonl"
    content_type = "application/jsonl"

    def head(self) -> bytes:
        """Return nothing."""
        return b""

    def add(self, record: Record, outcome: Outcome) -> bytes:
        """Return the row's line."""
        problem = outcome.problem
        line = {
            "row": record.place,
            "id": record.id,
            "columns": record.kept,
            "answer": None if problem else outcome.answer,
            "error": {"code": problem.code, "message": problem.message} if problem else None,
        }
        return encoded(line) + b"\n"

    def finish(self) -> Iterator[bytes]:
        """Yield nothing."""
        yield from ()
