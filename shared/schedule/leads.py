"""How long before a window the create of its deployment begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Leads:
    """The leads of one deployment: its own, and the longer ones where it shares its account's queue."""

    alone: timedelta
    in_turn: Mapping[datetime, timedelta] = field(default_factory=dict)  # by the window's start

    def before(self, start: datetime) -> timedelta:
        """The lead of the window that starts then."""
        return self.in_turn.get(start, self.alone)

    @property
    def longest(self) -> timedelta:
        """The longest of all."""
        return max(self.alone, *self.in_turn.values()) if self.in_turn else self.alone
