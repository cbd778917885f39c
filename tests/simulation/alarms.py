"""Check alerts: every problem that needs a person raises one, and equal alerts come at most once an hour."""

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
"""Seconds that a problem may last, with work to do, before an alert must have been raised."""
_KEPT_ASKING, _PAUSE = 600.0, 180.0
_NOTICED = 300.0  # seconds in which a pass gets through, also in a storm
_OFTEN = 3  # a process that met a problem once may have died before it could raise an alert
_DETAILS = ("remedy", "document", "times", "alert")


@dataclass(frozen=True)
class _Expected:
    names: tuple[Alert, ...]
    deployment: str
    since: float
    until: float
    why: str


class Alarms:
    """Alerts that the app raised, and those it had to raise. Times are virtual seconds since the start."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._raised: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self._last: dict[tuple[Process, str], float] = {}
        self._reported: set[str] = set()
        self._expected: list[_Expected] = []
        self._met: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], float] = {}

    def raised(self, process: Process, fields: dict[str, Any]) -> None:
        """Record an alert that a process logs."""
        now, name = self._world.seconds(), fields.pop("event")
        subject = json.dumps([name, {key: fields[key] for key in sorted(fields) if key not in _DETAILS}])
        last = self._last.get((process, subject))
        if last is not None and now - last < HOUR and subject not in self._reported:
            self._reported.add(subject)
            self._world.judge.fault(
                "noisy", f"{process.name} raises {subject} again after {now - last:.0f} s"
            )
        self._last[process, subject] = now
        if process.side is self._world.ours:
            self._raised[name, str(fields.get("deployment", ""))].append(now)

    def met(self, trouble: str, deployment: str, name: Alert, *, lasts: float = 0.0) -> None:
        """Record that our host met a problem. Expect an alert if it was met often and for `lasts` seconds."""
        key, now = (trouble, deployment), self._world.seconds()
        self._met[key] += 1
        self._first.setdefault(key, now)
        if self._met[key] >= _OFTEN and now - self._first[key] >= lasts:
            self._met[key] = -1_000_000
            self._expected.append(_Expected((name,), deployment, self._first[key], now + _NOTICED, trouble))

    def over(self, trouble: str, deployment: str) -> None:
        """Forget a problem that ended before it needed an alert."""
        key = (trouble, deployment)
        if self._met[key] > 0:
            del self._met[key], self._first[key]

    def lasted(self, trouble: Trouble) -> None:
        """Decide, when a problem with requests ends, whether it needed an alert."""
        world, now = self._world, self._world.seconds()
        if len(trouble.met) < _OFTEN or now - trouble.met[0] < PATIENCE:
            return
        if _longest(trouble.met) < _KEPT_ASKING:
            return  # it was never hosted for long enough to need an alert
        waited = [at for at in world.judge.deployments[trouble.name].recorded.values() if at < trouble.met[0]]
        others = any(
            happening.deployment == trouble.name
            and trouble.begins - 2000 < happening.at < now
            and happening.what not in _HARMLESS
            for happening in world.scenario.happenings
        )
        absent = any(begins < now and trouble.begins < ends for begins, ends in world.scenario.outages)
        if not waited or others or absent:
            return
        names: tuple[Alert, ...] = Alert.NOT_ANSWERING, Alert.CREATE_FAILED
        if trouble.what == "refusing":
            denied = trouble.how in ("unauthorized", "firewall")
            names = (Alert.MODEL_ACCESS_DENIED if denied else Alert.MODEL_REFUSES,)
        self._expected.append(_Expected(names, trouble.name, trouble.begins, now, trouble.how))

    def at_the_end(self) -> None:
        """Report every expected alert that was not raised."""
        for expected in self._expected:
            times = [at for name in expected.names for at in self._raised[name, expected.deployment]]
            if not any(expected.since - HOUR <= at <= expected.until + 1.0 for at in times):
                names = " or ".join(expected.names)
                self._world.judge.fault("silent", f"no {names} for {expected.deployment}: {expected.why}")


def _longest(times: list[float]) -> float:
    """Return the longest period, in seconds, during which the event repeated without a pause."""
    longest, since = 0.0, times[0]
    for before, now in pairwise(times):
        since = now if now - before > _PAUSE else since
        longest = max(longest, now - since)
    return longest


_HARMLESS = ("outage", "account_outage", "refusing", "requeue", "second")


@contextlib.contextmanager
def captured_alerts() -> Iterator[None]:
    """Pass each process's alerts to its world, and give each process its own memory of alerts."""

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
    """A separate memory of equal alerts for each process."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._of: defaultdict[Process | None, Any] = defaultdict(make)

    def count(self, key: tuple[object, ...]) -> int:
        found: int = self._of[RUNNING.get()].count(key)
        return found
