"""What a process remembers of the inbox and of the ledger, so that it need not ask for each upload again.

Nothing is lost with it: what is not remembered is looked up. Two walks write it. The walk over the inbox
notes what lies there; the lap over the unfinished rows notes what is recorded. Each of them replaces what it
noted the last time once it has come round, so that what is gone is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable

LIMIT = 250_000
"""Documents remembered at most; about 90 bytes each."""

_HERE, _WAS_HERE, _WAITS, _WAITED, _LEFT, _LEFT_ARCHIVED = (1 << bit for bit in range(6))


class Seen:
    """Document ids and what is known of them."""

    def __init__(self) -> None:
        self._marks: dict[int, int] = {}

    def begin_walk(self) -> None:
        """The walk over the inbox is at its start."""
        self._rewrite(lambda marks: _aged(marks, _HERE, _WAS_HERE))

    def end_walk(self) -> None:
        """It is at its end: what it did not note does not lie there."""
        self._rewrite(lambda marks: _without(marks & ~_WAS_HERE, _HERE, _LEFT | _LEFT_ARCHIVED))

    def begin_lap(self) -> None:
        """The lap over the unfinished rows is at its start."""
        self._rewrite(lambda marks: _aged(marks, _WAITS, _WAITED))

    def end_lap(self) -> None:
        """It is at its end: what it did not note, and nobody since, is not unfinished any more."""
        self._rewrite(lambda marks: marks & ~_WAITED)

    def note_here(self, document_id: str) -> None:
        """It lies in the inbox."""
        self._mark(document_id, _HERE)

    def note_waiting(self, document_id: str) -> None:
        """It is recorded, and unfinished."""
        self._mark(document_id, _WAITS)

    def note_left(self, document_id: str, archived: bool) -> None:
        """It is recorded and final, and its file stays in the inbox."""
        self._mark(document_id, _LEFT_ARCHIVED if archived else _LEFT)

    def is_here(self, document_id: str) -> bool:
        """Whether it lay in the inbox at this walk or the last."""
        return bool(self._marks.get(_key(document_id), 0) & (_HERE | _WAS_HERE))

    def is_accounted(self, document_id: str, archived: bool) -> bool:
        """Whether nothing is to be done for an upload."""
        left = _LEFT_ARCHIVED if archived else _LEFT
        return bool(self._marks.get(_key(document_id), 0) & (_WAITS | _WAITED | left))

    def _mark(self, document_id: str, mark: int) -> None:
        key = _key(document_id)
        marks = self._marks.get(key)
        if marks is not None or len(self._marks) < LIMIT:
            self._marks[key] = (marks or 0) | mark

    def _rewrite(self, rewritten: Callable[[int], int]) -> None:
        new = {marks: rewritten(marks) for marks in set(self._marks.values())}
        for key, marks in self._marks.items():
            self._marks[key] = new[marks]
        for key in [key for key, marks in self._marks.items() if not marks]:
            del self._marks[key]


def _key(document_id: str) -> int:
    """The last 60 bits of the digest that an id ends with."""
    return int(document_id[-15:], 16)


def _aged(marks: int, now: int, before: int) -> int:
    return (marks & ~(now | before)) | (before if marks & now else 0)


def _without(marks: int, condition: int, rest: int) -> int:
    return marks if marks & condition else marks & ~rest
