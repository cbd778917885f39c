"""How badly the world behaves, and when: storms with calm between, and calm at the end."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

ArmTrouble = Literal["busy", "throttled", "unavailable", "lost", "late"]


@dataclass
class Weather:
    """The chances that hold now. In calm weather nothing goes wrong by itself."""

    random: Random
    intensity: float  # of this seed's storms, 0 to 1
    stormy: bool = False
    crash: float = 0.0  # for each call, before its effect and after it
    pause: float = 0.0  # cumulative with `crash`

    def turn(self, stormy: bool) -> None:
        """A storm begins, or ends."""
        self.stormy = stormy
        self.crash = 0.004 * self.intensity if stormy else 0.0
        self.pause = 0.005 * self.intensity if stormy else 0.0

    def storage(self) -> str | None:
        """`refused` without effect, `lost` with it."""
        if not self.stormy:
            return None
        chance = self.random.random() / self.intensity
        return "refused" if chance < 0.015 else "lost" if chance < 0.03 else None

    def arm_read(self) -> str | None:
        """`unavailable`, or `lagging`: a LIST that shows what was a while ago."""
        if not self.stormy:
            return None
        chance = self.random.random() / self.intensity
        return "unavailable" if chance < 0.06 else "lagging" if chance < 0.3 else None

    def arm_write(self) -> ArmTrouble | None:
        """409 and 429 without effect, 5xx without, a lost answer with, or an effect that comes later."""
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
        """429, 500, no answer in time, a 404 of a deployment that is there, or a caller that stands still."""
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
