"""Compute when deployments are needed, from the true documents, windows, holds and paid hours."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from local.emulator.state import Generation
from shared.model import BillingUnit, DeploymentConfig, UploadStart
from shared.planning.uploads import PAID_MARGIN

if TYPE_CHECKING:
    from tests.simulation.world import World

TICK = 60.0
_THREE_IN_FOUR = 1.6  # three creates in four take at most this many times the median
_SLOW_PROBES = 3  # one a minute; more of them do not fit into a lead
_LONGEST_LEARNED = timedelta(minutes=45)


def paid_from(world: World, found: Generation, since: float) -> float:
    """Return until when it may stay: billed by the hour, until shortly before the next hour begins."""
    if world.scenario.billing is not BillingUnit.HOUR:
        return since
    began, margin = world.since_start(found.created), PAID_MARGIN.total_seconds()
    hours = math.ceil((since + margin - began) / 3600)
    return began + 3600 * hours - margin


def needed_until(world: World, name: str, now: float) -> float | None:
    """Return since when it is not needed; None if it still is."""
    known = world.judge.deployments[name]
    config = world.people.configured.get(name)
    if config is None:
        return world.people.reconfigured_at
    hold = world.people.hold(name)
    if hold is not None and hold.up:
        return None
    needed = known.needed_at
    if known.unfinished and config.uploads is UploadStart.ON_DEMAND:
        if hold is None:
            return None
        if any(at < hold.since for at in known.recorded.values()):
            needed = max(needed, hold.since)
    for window in world.people.windows(name):
        opens = world.since_start(window.start - _longest_lead(config))
        ends = world.since_start(window.keep_until)
        if window.stop_when_empty:
            if opens <= now < ends and known.unfinished and hold is None:
                return None
            if opens <= now and known.unfinished:
                needed = max(needed, ends)
            continue
        if opens <= now < ends:
            if hold is None:
                return None
            needed = max(needed, hold.since)
        elif now >= ends:
            needed = max(needed, ends if hold is None else min(ends, hold.since))
    return max(needed, *(end for end in world.people.hold_ends(name) if end <= now), 0.0)


def only_for_documents(world: World, name: str, now: float) -> float | None:
    """Return since when only waiting documents need it: no hold, and no window except a batch window."""
    known, config = world.judge.deployments[name], world.people.configured.get(name)
    if config is None or not known.recorded or world.people.hold(name) is not None:
        return None
    wanted, since = config.uploads is UploadStart.ON_DEMAND, 0.0
    for window in world.people.windows(name):
        opens = world.since_start(window.start - _longest_lead(config))
        keeps = world.since_start(window.keep_until)
        if now < opens:
            continue
        if not window.stop_when_empty and now < keeps:
            return None
        wanted |= now < keeps
        since = max(since, opens if now < keeps else keeps)
    ends = [end for end in world.people.hold_ends(name) if end <= now]
    return max(since, *ends, 0.0) if wanted else None


def excuse(world: World, name: str, start: datetime) -> str | None:
    """Return why a deployment may be late for its window, or None."""
    config = world.people.configured.get(name)
    if config is None:
        return "it is no longer configured"
    opens = world.since_start(start - _lead(world, config))
    twin = world.scenario.twin
    if twin is not None and twin.begins < world.since_start(start) and opens < twin.ends + twin.leaves:
        return "a twin may have its name"
    if world.disturbed_until > opens - 2 * TICK:
        return "there was a fault"
    if world.azure.troubled_since(name, opens - _LONGEST_LEARNED.total_seconds()):
        return "it did not answer"
    if sum(at > opens for at in world.azure.slow_to_probes[name]) >= _SLOW_PROBES:
        return "its answers to probes took too long"
    if opens < 0 or name in world.scenario.refused or world.people.hold_ends(name):
        return "it could not be created"
    busy, others = 3 * TICK, 0
    for found in world.azure.account_of(name).generations:
        for run in found.runs:
            busy += max(0.0, world.since_start(run.settled) - max(opens, world.since_start(run.accepted)))
        if found.gone is not None and world.since_start(found.gone) <= opens:
            continue
        if found.name == name and found.runs[0].serves is None:
            return "a creation failed"
        others += found.name != name
        busy += TICK
    if others >= world.scenario.slots:
        return "all slots were taken"
    return "Azure took long" if busy > _lead(world, config).total_seconds() else None


def _lead(world: World, config: DeploymentConfig) -> timedelta:
    """Return the time in which a create should finish; if the lead is learned, three in four do."""
    if config.lead is not None:
        return config.lead
    return timedelta(seconds=4 * TICK + _THREE_IN_FOUR * world.scenario.provision_median)


def _longest_lead(config: DeploymentConfig) -> timedelta:
    """Return how long before a window it may be up."""
    return _LONGEST_LEARNED if config.lead is None else config.lead
