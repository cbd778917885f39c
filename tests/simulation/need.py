"""What deployments are needed for, and when: documents, windows, holds and paid hours as they truly are."""

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
_THREE_IN_FOUR = 1.6  # creates take no longer than so many times the median
_SLOW_PROBES = 3  # one a minute; a lead has room for fewer
_LONGEST_LEARNED = timedelta(minutes=45)


def paid_from(world: World, found: Generation, since: float) -> float:
    """Billed by the hour it may stand until shortly before the next hour begins."""
    if world.scenario.billing is not BillingUnit.HOUR:
        return since
    began, margin = world.since_start(found.created), PAID_MARGIN.total_seconds()
    hours = math.ceil((since + margin - began) / 3600)
    return began + 3600 * hours - margin


def needed_until(world: World, name: str, now: float) -> float | None:
    """Since when nothing wants it; None if something still does."""
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
    return max(needed, *(each for each in world.people.hold_ends(name) if each <= now), 0.0)


def only_for_documents(world: World, name: str, now: float) -> float | None:
    """Since when it is up for nothing but documents, if any wait: no hold, no window but a batch window."""
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
    ends = [each for each in world.people.hold_ends(name) if each <= now]
    return max(since, *ends, 0.0) if wanted else None


def excuse(world: World, name: str, start: datetime) -> str | None:
    """Why a window need not be ready at its start."""
    config = world.people.configured.get(name)
    if config is None:
        return "it is no longer configured"
    opens = world.since_start(start - _lead(world, config))
    twin = world.scenario.twin
    if twin is not None and twin.begins < world.since_start(start) and opens < twin.ends + twin.leaves:
        return "a twin may have its name"
    if world.disturbed_until > opens - 2 * TICK:
        return "there was trouble"
    if world.azure.troubled_since(name, opens - _LONGEST_LEARNED.total_seconds()):
        return "it did not answer"
    if sum(at > opens for at in world.azure.slow_to_probes[name]) >= _SLOW_PROBES:
        return "its answers to probes took too long"
    if opens < 0 or name in world.scenario.refused or world.people.hold_ends(name):
        return "it was not to be had"
    busy, others = 3 * TICK, 0
    for found in world.azure.account_of(name).generations:
        for run in found.runs:
            busy += max(0.0, world.since_start(run.settled) - max(opens, world.since_start(run.accepted)))
        if found.gone is not None and world.since_start(found.gone) <= opens:
            continue
        if found.name == name and found.runs[0].serves is None:
            return "a creation led nowhere"
        others += found.name != name
        busy += TICK
    if others >= world.scenario.slots:
        return "all slots were taken"
    return "Azure took long" if busy > _lead(world, config).total_seconds() else None


def _lead(world: World, config: DeploymentConfig) -> timedelta:
    """In which a create can be expected to be done; where it is learned, three in four."""
    if config.lead is not None:
        return config.lead
    return timedelta(seconds=4 * TICK + _THREE_IN_FOUR * world.scenario.provision_median)


def _longest_lead(config: DeploymentConfig) -> timedelta:
    """From which on it may be up for a window."""
    return _LONGEST_LEARNED if config.lead is None else config.lead
