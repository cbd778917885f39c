"""Define the outcome of a slice of draining."""

from __future__ import annotations

from dataclasses import dataclass

from shared.hosting.answering import Trouble


@dataclass(frozen=True)
class DrainReport:
    """The outcome of a slice."""

    answered: int = 0
    settled: int = 0  # failed, superseded or withdrawn
    handed_back: int = 0
    halted: str = ""  # why the slice stopped asking
    heard: bool = False  # the model answered a document, in any way
    trouble: Trouble | None = None  # why no document was answered after that
    errors: tuple[Exception, ...] = ()

    @property
    def finished(self) -> int:
        """Return the number of documents that reached a final state."""
        return self.answered + self.settled
