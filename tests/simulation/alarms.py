"""Alerts: of every trouble that a person must know of there is one, and equal ones come once an hour."""

from __future__ import annotations

import contextlib
import json
import types
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest import mock

from shared import alerts
from shared.alerts import Alert
from tests.simulation.process import RUNNING, Process

if TYPE_CHECKING:
    from tests.simulation.azure import Trouble
    from tests.simulation.world import World

HOUR = 3600.0
PATIENCE = 1500.0
"""Seconds of a trouble, with work to do, after which an alert must have been raised."""
_KEPT_ASKING, _PAUSE = 600.0, 180.0
_OFTEN = 3  # the process that met a trouble once may have died before it could tell
_SAY_MORE = ("remedy", "document", "times", "alert")


@dataclass(frozen=True)
class _Expected:
    names: tuple[Alert, ...]
    deployment: str
    since: float
    until: float
    why: str


class Alarms:
    """What the app told, and what it had to tell. Times are virtual seconds since the start."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._raised: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self._last: dict[tuple[Process, str], float] = {}
        self._told: set[str] = set()
        self._expected: list[_Expected] = []
        self._met: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], float] = {}

    def raised(self, process: Process, fields: dict[str, Any]) -> None:
        """A process logs an alert."""
        now, name = self._world.seconds(), fields.pop("event")
        subject = json.dumps([name, {key: fields[key] for key in sorted(fields) if key not in _SAY_MORE}])
        last = self._last.get((process, subject))
        if last is not None and now - last < HOUR and subject not in self._told:
            self._told.add(subject)
            self._world.judge.fault(
                "noisy", f"{process.name} raises {subject} again after {now - last:.0f} s"
            )
        self._last[process, subject] = now
        if process.side is self._world.ours:
            self._raised[name, str(fields.get("deployment", ""))].append(now)

    def met(self, trouble: str, deployment: str, name: Alert, *, lasts: float = 0.0) -> None:
        """A host of ours meets a trouble, which it must tell of when it has met it often and for so long."""
        key, now = (trouble, deployment), self._world.seconds()
        self._met[key] += 1
        self._first.setdefault(key, now)
        if self._met[key] >= _OFTEN and now - self._first[key] >= lasts:
            self._met[key] = -1_000_000
            self._expected.append(_Expected((name,), deployment, self._first[key], now + 120.0, trouble))

    def lasted(self, trouble: Trouble) -> None:
        """A trouble of requests ends: whether it had to be told."""
        world, now = self._world, self._world.seconds()
        if len(trouble.met) < _OFTEN or now - trouble.met[0] < PATIENCE:
            return
        if _longest(trouble.met) < _KEPT_ASKING:
            return  # it was never hosted for long enough to tell
        waited = [at for at in world.judge.deployments[trouble.name].recorded.values() if at < trouble.met[0]]
        others = any(
            each.deployment == trouble.name
            and trouble.begins - 2000 < each.at < now
            and each.what not in _HARMLESS
            for each in world.scenario.happenings
        )
        absent = any(begins < now and trouble.begins < ends for begins, ends in world.scenario.outages)
        if not waited or others or absent:
            return
        names: tuple[Alert, ...] = Alert.NOT_ANSWERING, Alert.CREATE_LED_NOWHERE
        if trouble.what == "refusing":
            denied = trouble.how in ("unauthorized", "firewall")
            names = (Alert.MODEL_ACCESS_DENIED if denied else Alert.MODEL_REFUSES,)
        self._expected.append(_Expected(names, trouble.name, trouble.begins, now, trouble.how))

    def at_the_end(self) -> None:
        """Whatever had to be told and was not."""
        for each in self._expected:
            times = [at for name in each.names for at in self._raised[name, each.deployment]]
            if not any(each.since - HOUR <= at <= each.until + 1.0 for at in times):
                names = " or ".join(each.names)
                self._world.judge.fault("silent", f"no {names} for {each.deployment}: {each.why}")


def _longest(times: list[float]) -> float:
    """For how long something happened without a pause."""
    longest, since = 0.0, times[0]
    for before, now in pairwise(times):
        since = now if now - before > _PAUSE else since
        longest = max(longest, now - since)
    return longest


_HARMLESS = ("outage", "account_outage", "refusing", "requeue", "second")


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Let worlds hear the alerts of their processes, each of which has a memory of its own."""

    def warning(line: str) -> None:
        process = RUNNING.get()
        if process is not None:
            process.world.judge.alarms.raised(process, json.loads(line))

    log = types.SimpleNamespace(warning=warning, info=lambda _: None, isEnabledFor=lambda _: False)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(alerts, "_log", log))
        if hasattr(alerts, "_memory"):
            stack.enter_context(mock.patch.object(alerts, "_memory", _Memories(type(alerts._memory))))
            time = types.SimpleNamespace(monotonic=_monotonic)
            stack.enter_context(mock.patch.object(alerts, "time", time))
        yield


def _monotonic() -> float:
    process = RUNNING.get()
    return process.monotonic() if process is not None else 0.0


class _Memories:
    """The memory of equal alerts, of each process its own."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._of: defaultdict[Process | None, Any] = defaultdict(make)

    def count(self, key: tuple[object, ...]) -> int:
        found: int = self._of[RUNNING.get()].count(key)
        return found
