"""Decide when and how often faults happen: in storms, with calm between them and at the end."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

ArmTrouble = Literal["busy", "throttled", "unavailable", "lost", "late"]


@dataclass
class Weather:
    """The probabilities of faults now. In calm weather no random fault happens."""

    random: Random
    intensity: float  # of this seed's storms, 0 to 1
    stormy: bool = False
    crash: float = 0.0  # for each call, before its effect and after it
    pause: float = 0.0  # cumulative with `crash`
    storage_hangs: bool = False
    omissions: bool = False

    def turn(self, stormy: bool) -> None:
        """Begin or end a storm."""
        self.stormy = stormy
        self.crash = 0.004 * self.intensity if stormy else 0.0
        self.pause = 0.005 * self.intensity if stormy else 0.0

    def storage(self) -> str | None:
        """Draw a storage fault. `refused` and `hangs` have no effect, `lost` and `hangs_and_does` do."""
        if not self.stormy:
            return None
        chance = self.random.random() / self.intensity
        if chance >= 0.03:
            hangs = self.storage_hangs and chance < 0.034
            return None if not hangs else "hangs" if chance < 0.032 else "hangs_and_does"
        return "refused" if chance < 0.015 else "lost"

    def phantom(self) -> bool:
        """Draw whether storage claims that a new result exists: careless code reads any 409 that way."""
        return self.stormy and self.random.random() < 0.1 * self.intensity

    def message(self) -> str | None:
        """Draw what happens to a message: it is lost, late, repeated, or its text is not what was put."""
        if not self.stormy:
            return None
        chance = self.random.random() / self.intensity
        kinds = ((0.05, "lost"), (0.12, "late"), (0.2, "repeated"), (0.22, "garbled"))
        return next((kind for limit, kind in kinds if chance < limit), None)

    def arm_read(self) -> str | None:
        """Draw a read fault: `unavailable`, `lagging` (an old LIST) or `omitting` (an entry is missing)."""
        if not self.stormy:
            return None
        chance = self.random.random() / self.intensity
        if chance < 0.3:
            return "unavailable" if chance < 0.06 else "lagging"
        return "omitting" if self.omissions and chance < 0.4 else None

    def arm_write(self) -> ArmTrouble | None:
        """Draw a write fault: 409, 429 or 5xx without effect, a lost answer with effect, or a late effect."""
        if not self.stormy:
            return None
        chance = self.random.random() / self.intensity
        kinds: tuple[tuple[float, ArmTrouble], ...] = (
            (0.06, "busy"),
            (0.1, "throttled"),
            (0.16, "unavailable"),
            (0.24, "lost"),
            (0.36, "late"),
        )
        return next((kind for limit, kind in kinds if chance < limit), None)

    def ask(self) -> str | None:
        """Draw a model fault: 429, 500, a timeout, a 404 for an existing deployment, or a paused caller."""
        if not self.stormy:
            return None
        chance = self.random.random() / self.intensity
        kinds = (
            (0.05, "limited"),
            (0.12, "unavailable"),
            (0.14, "hangs"),
            (0.16, "not_found"),
            (0.20, "stands_still"),
        )
        return next((kind for limit, kind in kinds if chance < limit), None)
