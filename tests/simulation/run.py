"""Run one seed, from its scenario to its report."""

from __future__ import annotations

import contextlib
import gc
import logging
import random
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

from tests.simulation import loop
from tests.simulation.alarms import captured_alerts
from tests.simulation.draw import draw
from tests.simulation.sabotage import sabotaged
from tests.simulation.scenario import Scenario
from tests.simulation.sessions import judge_sessions
from tests.simulation.verdict import judge_documents
from tests.simulation.world import World


@dataclass(frozen=True)
class Report:
    """The result of one seed. `faults`: counts by kind, empty if all promises hold. `violations`: lines."""

    seed: int
    faults: dict[str, int]
    violations: tuple[str, ...]
    documents: int
    steps: int
    crashes: int
    hours: float
    leaked_max: float
    raw_leaked_max: float
    late_cut: int
    unanswered_max: float
    raw_unanswered_max: float
    timeline: tuple[str, ...]


def simulate(seed: int, *, trace: bool = False, without: str | None = None) -> Report:
    """Run a seed and return its report; the same seed always gives the same report.

    `trace`: keep a timeline. `without`: the safeguard to remove, one of `sabotage.VARIANTS`.
    """
    with _repeatable(seed), captured_alerts(), sabotaged(without):
        # The world ends with this call: the next garbage collection frees it while it is young.
        return _run(draw(seed), trace=trace)


def _run(scenario: Scenario, *, trace: bool) -> Report:
    reports: list[Report] = []

    async def main() -> None:
        world = World(scenario, trace=trace)
        await world.run()
        await judge_documents(world)
        await judge_sessions(world)
        world.judge.at_the_end()
        world.receivers.at_the_end()
        hours = world.seconds() / 3600
        await world.end()
        reports.append(_report(world, hours))

    loop.run(main())
    return reports[0]


def _report(world: World, hours: float) -> Report:
    judge = world.judge
    return Report(
        seed=world.scenario.seed,
        faults=dict(judge.faults),
        violations=tuple(judge.violations),
        documents=len(world.people.versions),
        steps=world.steps,
        crashes=world.crashes,
        hours=hours,
        leaked_max=judge.leaked_max,
        raw_leaked_max=judge.raw_leaked_max,
        late_cut=judge.late_cut,
        unanswered_max=judge.unanswered.longest,
        raw_unanswered_max=judge.unanswered.raw_longest,
        timeline=tuple(world.timeline or ()),
    )


@contextlib.contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Remove all differences between runs: random ids, jitter, threads and the time of garbage collection."""
    ids = random.Random(seed)
    state = random.getstate()
    logging.disable(logging.CRITICAL)
    gc.disable()
    random.seed(seed)
    try:
        with (
            mock.patch("uuid.uuid4", lambda: uuid.UUID(int=ids.getrandbits(128), version=4)),
            # Read every file on the event loop, as small ones are: a thread's time is not virtual.
            mock.patch("shared.documents.threads.SMALL", sys.maxsize),
        ):
            yield
    finally:
        gc.enable()
        random.setstate(state)
        logging.disable(logging.NOTSET)
