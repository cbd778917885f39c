"""Compare recorded hosting sessions with what was really hosted."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING

from local.emulator.state import Generation
from shared.hosting.ledger import Ledger
from shared.model import HostedId, HostingSession
from shared.timing import TIMING

if TYPE_CHECKING:
    from tests.simulation.world import World

_EXACT = 61.0  # seconds: passes come every minute
_LONG = 1800.0  # a deployment that existed for this long must have been seen
_SOON = 3600.0  # seconds within which an end must have been recorded


async def judge_sessions(world: World) -> None:
    """Check that each of our generations has one session, with its true start and end."""
    ledger = Ledger(world.tables)
    for resource_id, azure in world.azure.accounts.items():
        by_name: defaultdict[str, list[Generation]] = defaultdict(list)
        for found in azure.generations:
            by_name[found.name].append(found)
        for name, generations in sorted(by_name.items()):
            ours = [found for found in generations if world.azure.owner(found) == "ours"]
            of = _by_generation(generations, await ledger.sessions(HostedId(resource_id, name)))
            for found, successor in zip_longest(ours, ours[1:]):
                if {id(found), id(successor)} & world.judge.created_late:
                    continue  # the app cannot know what it is, or takes it for the one before: documented
                if (objection := _objection(world, found, of[id(found)])) is not None:
                    world.judge.fault("session", f"{name} from {found.created:%H:%M:%S}: {objection}")


def _by_generation(
    generations: list[Generation], sessions: list[HostingSession]
) -> defaultdict[int, list[HostingSession]]:
    """Assign each session to the generation whose creation is nearest to its start."""
    found: defaultdict[int, list[HostingSession]] = defaultdict(list)
    for session in sessions:
        nearest = min(generations, key=lambda generation: abs(generation.created - session.started_at))
        found[id(nearest)].append(session)
    return found


def _without_passes(world: World, since: float, until: float) -> float:
    """Return for how many of these seconds no timer fired."""
    return sum(max(0.0, min(until, end) - max(since, start)) for start, end in world.scenario.outages)


def _objection(world: World, found: Generation, sessions: list[HostingSession]) -> str | None:
    slack = timedelta(seconds=_EXACT + world.scenario.skew)
    ends = [end for end in (found.deleted, found.gone) if end is not None]
    ended = min(ends, default=None)
    of_it = [session for session in sessions if abs(session.started_at - found.created) <= slack]
    if len(of_it) > 1:
        return f"it has {len(of_it)} sessions"
    if not of_it:
        since, until = world.since_start(found.created), world.since_start(ended or world.now())
        lived = until - since - _without_passes(world, since, until)
        known = id(found) in world.judge.deleted_by_us or lived > _LONG
        return f"it has no session, and stood for {lived:.0f} s" if known else None
    (session,) = of_it
    if ended is None:
        return "its session has ended, and it still stands" if session.ended_by is not None else None
    if session.ended_after is None or session.ended_by is None:
        late = (world.now() - ended).total_seconds()
        return f"it has been gone for {late:.0f} s, and its session has no end" if late > _SOON else None
    missed = sum(each.seconds for each in world.scenario.happenings if each.what == "missed")
    slack += timedelta(seconds=world.scenario.list_lag + missed)  # until then LISTs may not show it
    if found.name in world.azure.ignored:
        # A DELETE that did nothing is believed until the first pass after that. What vanishes meanwhile is
        # taken for its effect.
        since, until = world.since_start(session.ended_by), world.since_start(ended)
        slack += TIMING.settle + timedelta(seconds=_without_passes(world, since, until))
    if session.ended_after - slack <= ended <= session.ended_by + slack:
        return None
    return (
        f"it ended at {ended:%H:%M:%S}, and its session between {session.ended_after:%H:%M:%S} "
        f"and {session.ended_by:%H:%M:%S}"
    )
