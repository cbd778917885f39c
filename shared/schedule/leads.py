"""Define how long before a window the create of its deployment begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Leads:
    """The leads of one deployment: its own, and longer ones where it waits for others of its account."""

    alone: timedelta
    in_turn: Mapping[datetime, timedelta] = field(default_factory=dict)  # by the window's start

    def before(self, start: datetime) -> timedelta:
        """Return the lead of the window that starts at `start`."""
        return self.in_turn.get(start, self.alone)

    @property
    def longest(self) -> timedelta:
        """Return the longest lead."""
        return max(self.alone, *self.in_turn.values()) if self.in_turn else self.alone
