"""Say for people where the quotes of an answer stand, by the evidence that is stored with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_MOST = 10_000  # quotes
_DEEPEST = 32  # steps of a pointer


class Places:
    """The places of quotes, as a tree by the steps of their JSON pointers. A node belongs to one value.

    `here`: the place of this value, such as "page 3"; "" if it is no quote. A tree, because pointers can be
    long: no step copies one.
    """

    def __init__(self) -> None:
        self.here = ""
        self._below: dict[str, Places] = {}

    @classmethod
    def of(cls, evidence: Any) -> Places:
        """Return the places that stored evidence names. It is untrusted: what is none is left out."""
        root = cls()
        for each in evidence[:_MOST] if isinstance(evidence, list | tuple) else ():
            if isinstance(each, Mapping) and isinstance(each.get("at"), str):
                steps = each["at"].split("/", _DEEPEST + 1)[1:]
                if len(steps) <= _DEEPEST:
                    root._add(steps, _place(each))
        return root

    def _add(self, steps: list[str], place: str) -> None:
        node = self
        for step in steps:
            node = node._below.setdefault(step.replace("~1", "/").replace("~0", "~"), Places())
        node.here = place

    def at(self, step: str | int) -> Places:
        """Return the places in a field or an element of this value."""
        return self._below.get(str(step), _NOWHERE)

    @property
    def all(self) -> list[str]:
        """Return the places of this value and of its elements."""
        return [each.here for each in (self, *self._below.values()) if each.here]

    @property
    def quotes(self) -> set[str]:
        """Return the names of the fields that are quotes, of the objects in this list."""
        return {name for row in self._below.values() for name, each in row._below.items() if each.all}


_NOWHERE = Places()


def _place(evidence: Mapping[Any, Any]) -> str:
    """Return the place of a quote in words, which may hold text of the document."""
    if evidence.get("verified") is not True:
        return "not found in the document"
    return ", ".join(_words(evidence)) or "found in the document"


def _words(evidence: Mapping[Any, Any]) -> Iterator[str]:
    if inside := _texts(evidence.get("inside")):
        yield f"in {' / '.join(inside)}"
    if isinstance(page := evidence.get("page"), int):
        yield f"page {page}"
    if sheet := _texts([evidence.get("sheet")]):
        yield f"sheet {sheet[0]}"
    if isinstance(row := evidence.get("row"), int):
        yield f"row {row}"
    if heading := _texts(evidence.get("heading")):
        yield f"under {' / '.join(heading)}"


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str) and each] if isinstance(value, list) else []
