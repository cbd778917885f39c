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
    storage_hangs: bool = False
    omissions: bool = False

    def turn(self, stormy: bool) -> None:
        """A storm begins, or ends."""
        self.stormy = stormy
        self.crash = 0.004 * self.intensity if stormy else 0.0
        self.pause = 0.005 * self.intensity if stormy else 0.0

    def storage(self) -> str | None:
        """`refused` without effect, `lost` with it; `hangs` and `hangs_and_does`: likewise, given up late."""
        if not self.stormy:
            return None
        chance = self.random.random() / self.intensity
        if chance >= 0.03:
            hangs = self.storage_hangs and chance < 0.034
            return None if not hangs else "hangs" if chance < 0.032 else "hangs_and_does"
        return "refused" if chance < 0.015 else "lost"

    def phantom(self) -> bool:
        """Whether storage says of a new result that it is there: any 409 looks so to a careless reader."""
        return self.stormy and self.random.random() < 0.1 * self.intensity

    def arm_read(self) -> str | None:
        """`unavailable`, `lagging`: a LIST of a while ago, or `omitting`: one that lacks an entry."""
        if not self.stormy:
            return None
        chance = self.random.random() / self.intensity
        if chance < 0.3:
            return "unavailable" if chance < 0.06 else "lagging"
        return "omitting" if self.omissions and chance < 0.4 else None

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
