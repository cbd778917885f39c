"""Remember what a process has seen of inbox and ledger, so that it need not look up every upload again.

It is only a cache: unknown uploads are looked up. Two readers write it. The walk over the inbox notes the
uploads there; the lap over the unfinished rows notes the recorded documents, as events do. When a reader
reaches its end, its notes replace those of its previous round, so that deleted uploads are forgotten.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

LIMIT = 250_000
"""The most documents to remember; about 90 bytes each."""

_HERE, _WAS_HERE, _WAITS, _WAITED, _LEFT, _LEFT_ARCHIVED = (1 << bit for bit in range(6))


class Seen:
    """Hold document ids with marks of what is known of them."""

    def __init__(self) -> None:
        self._marks: dict[int, int] = {}
        self._being_recorded: set[str] = set()

    def begin_walk(self) -> None:
        """Begin a walk over the inbox."""
        self._rewrite(lambda marks: _aged(marks, _HERE, _WAS_HERE))

    def end_walk(self) -> None:
        """End the walk: documents that it did not note are not in the inbox."""
        self._rewrite(lambda marks: _without(marks & ~_WAS_HERE, _HERE, _LEFT | _LEFT_ARCHIVED))

    def begin_lap(self) -> None:
        """Begin a lap over the unfinished rows."""
        self._rewrite(lambda marks: _aged(marks, _WAITS, _WAITED))

    def end_lap(self) -> None:
        """End the lap: documents that were not noted since its start are not unfinished any more."""
        self._rewrite(lambda marks: marks & ~_WAITED)

    def note_here(self, document_id: str) -> None:
        """Note that it is in the inbox."""
        self._mark(document_id, _HERE)

    def note_waiting(self, document_id: str) -> None:
        """Note that it is recorded and unfinished."""
        self._mark(document_id, _WAITS)

    @contextlib.contextmanager
    def recording(self, document_id: str) -> Iterator[None]:
        """Count an upload as accounted for while its event is handled: sweeps leave it to the event."""
        self._being_recorded.add(document_id)
        try:
            yield
        finally:
            self._being_recorded.discard(document_id)

    @property
    def is_recording(self) -> bool:
        """Return whether events record uploads now."""
        return bool(self._being_recorded)

    def note_left(self, document_id: str, archived: bool) -> None:
        """Note that it is recorded and final, and that its file stays in the inbox."""
        self._mark(document_id, _LEFT_ARCHIVED if archived else _LEFT)

    def is_here(self, document_id: str) -> bool:
        """Return whether it was in the inbox at this walk or the previous one."""
        return bool(self._marks.get(_key(document_id), 0) & (_HERE | _WAS_HERE))

    def is_accounted(self, document_id: str, archived: bool) -> bool:
        """Return whether an upload needs no action."""
        if document_id in self._being_recorded:
            return True
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
    """Return the last 60 bits of the digest at the end of an id."""
    return int(document_id[-15:], 16)


def _aged(marks: int, now: int, before: int) -> int:
    return (marks & ~(now | before)) | (before if marks & now else 0)


def _without(marks: int, condition: int, rest: int) -> int:
    return marks if marks & condition else marks & ~rest
