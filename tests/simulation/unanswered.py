"""Measure how long a deployment was up only for documents, and made no progress on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.emulator.state import SUCCEEDED, Generation
from tests.simulation.need import only_for_documents, paid_from

if TYPE_CHECKING:
    from tests.simulation.world import World

LIMIT = 900.0
_MINUTE = 60.0


class Unanswered:
    """The times without progress of each of our generations, in virtual seconds since the start."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.longest = 0.0
        self.raw_longest = 0.0
        # Generation → since when documents wait for it without progress.
        self._since: dict[int, float] = {}
        self._answered_at: dict[int, float] = {}  # generation → when it last answered a document of ours
        self._reported: set[int] = set()

    def look(self, now: float) -> None:
        """Look at every deployment that is up; called each minute."""
        for found in self._world.azure.standing():
            self._look_at(found, now)

    def answered(self, found: Generation, now: float, *, ours: bool) -> None:
        """Record that it answered a document, `ours` or a twin's; a probe does not count."""
        self._look_at(found, now)
        self._since[id(found)] = now
        if ours:
            self._answered_at[id(found)] = now

    def settled(self, name: str, now: float) -> None:
        """Record that a document of that deployment was finished."""
        found = self._world.azure.find(name)
        if found is not None:
            self._look_at(found, now)
            self._since[id(found)] = now

    def begins(self, name: str, now: float) -> None:
        """Record the arrival of a document when none was waiting."""
        found = self._world.azure.find(name)
        if found is not None:
            self._since[id(found)] = now

    def deleted(self, found: Generation, now: float) -> None:
        """Look at it for the last time: its DELETE took effect, or the run ends."""
        if found.deleted is not None and not self._world.judge.deployments[found.name].recorded:
            return
        self._look_at(found, now, deleted=True)

    def quiet_for(self, found: Generation, now: float) -> float:
        """Return the seconds for which it has answered no document of ours since it was able to."""
        settled = self._world.since_start(found.run(self._world.now()).settled)
        return now - max(self._answered_at.get(id(found), 0.0), settled)

    def _look_at(self, found: Generation, now: float, *, deleted: bool = False) -> None:
        world = self._world
        if world.azure.owner(found) != "ours":
            return
        only_since = only_for_documents(world, found.name, now)
        state = found.run(world.now()).outcome if deleted else found.state(world.now())
        run = found.run(world.now())
        settled = world.since_start(run.settled)
        if state != SUCCEEDED or now < settled or only_since is None:
            self._since[id(found)] = now
            return
        since = self._since.setdefault(id(found), max(settled, now - _MINUTE))
        since = max(since, only_since)
        self.raw_longest = max(self.raw_longest, now - since)
        # An hour that is paid costs nothing more, and a window's lead may begin in it.
        paid = min(now, paid_from(world, found, since))
        excused = max(paid, world.disturbed_until, world.azure.settled_at(found, now))
        self.longest = max(self.longest, now - excused)
        if now - excused > LIMIT and id(found) not in self._reported:
            self._reported.add(id(found))
            world.judge.fault(
                "unanswered", f"{found.name} was up for {now - excused:.0f} s without an answer"
            )
