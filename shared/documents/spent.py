"""Say what a document has cost so far, in what is stored beside its answers: a crash loses no cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from shared.model import Document

_MANY = 1e12  # more than any document's tokens or dollars


@dataclass(frozen=True)
class Spent:
    """A document's tokens and cost in all attempts and runs, up to an answer and including it."""

    prompt_tokens: int
    completion_tokens: int
    cost: float

    def charged_to(self, document: Document) -> Document:
        """Return the document with at least this cost: it may be on the document already."""
        return replace(
            document,
            prompt_tokens=max(document.prompt_tokens, self.prompt_tokens),
            completion_tokens=max(document.completion_tokens, self.completion_tokens),
            cost=max(document.cost, self.cost),
        )


def spent_of(document: Document) -> dict[str, Any]:
    """Return a document's cost so far as JSON."""
    return asdict(Spent(document.prompt_tokens, document.completion_tokens, document.cost))


def parsed(stored: Any) -> Spent:
    """Return a stored cost, which is untrusted.

    Raises ValueError, KeyError, TypeError or OverflowError if it is none.
    """
    spent = Spent(int(stored["prompt_tokens"]), int(stored["completion_tokens"]), float(stored["cost"]))
    if not all(0 <= number < _MANY for number in (spent.prompt_tokens, spent.completion_tokens, spent.cost)):
        raise ValueError("no document costs that")
    return spent
