"""Keep the headings above the paragraph that is being read."""

from __future__ import annotations


class Outline:
    """`path`: the headings above what comes next, outermost first."""

    def __init__(self) -> None:
        self._levels: list[int] = []
        self.path: tuple[str, ...] = ()

    def enter(self, level: int, heading: str) -> tuple[str, ...]:
        """Note a heading, and return those above it: others of its level, and below it, have ended."""
        while self._levels and self._levels[-1] >= level:
            self._levels.pop()
        above = self.path[: len(self._levels)]
        self._levels.append(level)
        self.path = (*above, heading)
        return above
