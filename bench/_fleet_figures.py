"""The figures of a run of `bench fleet`, from what it has shown."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

from bench._fleet_run import AFTER_A_DEATH, Seen, at_once, unfinished
from bench._fleet_stack import Fleet
from bench._measured import use_of_limit
from shared.model import DocumentState

_DOCUMENT, _DONE = '{"event": "document"', '"state": "done"'  # in a line of a worker's log


def figures(fleet: Fleet, seen: Seen) -> dict[str, Any]:
    """Return the figures of a run."""
    times = {name: _answered_at(seen, name) for name in fleet.names}
    every = [at for of_deployment in times.values() for at in of_deployment]
    seconds = (max(every, default=seen.began) - seen.began).total_seconds()
    left, done, workers = unfinished(seen), len(every), len(seen.loaded)
    by_worker = documents_by_worker(seen)
    uses = [use_of_limit(seen.admissions[name], fleet.requests) for name in fleet.names]
    waits = [_waits(times[name], seen.began, fleet.documents) for name in fleet.names]
    found = {
        "documents": fleet.total,
        "answered": done,
        "lost": fleet.total - left - min(done, seen.results),
        "unfinished": left,
        "asked_twice": max(0, sum(map(len, seen.admissions.values())) - fleet.total),
        "seconds": round(seconds, 1),
        "documents_per_second": round(done / seconds, 2) if seconds else 0.0,
        "deployments_at_once": at_once(workers),
        "utilisation": round(sum(uses) / len(uses), 3),
        "lowest_utilisation": round(min(uses), 3),
        "rejected": seen.rejected,
        "first_answers_within_s": _longest([first for first, _ in waits]),
        "longest_pause_s": _longest([pause for _, pause in waits]),
        "documents_by_worker": by_worker,
        "largest_share": round(max(by_worker) / (sum(by_worker) / workers), 2) if sum(by_worker) else 0.0,
        **_costs(seen),
        "messages_put": seen.put,
        "messages_left": seen.left,
        "messages_poisoned": seen.poisoned,
    }
    if seen.killed is not None and seen.killed_at is not None:
        killed_after = (seen.killed_at - seen.began).total_seconds()
        found |= {
            "killed": f"worker {seen.killed + 1} after {killed_after:.1f} s",
            "longest_pause_bound_s": AFTER_A_DEATH,
        }
    return found


def documents_by_worker(seen: Seen) -> list[int]:
    """Return how many documents each worker has answered, by the events in its log, also a killed one."""
    return [sum(_DOCUMENT in line and _DONE in line for line in log.splitlines()) for log in seen.logs]


def _answered_at(seen: Seen, name: str) -> list[datetime]:
    done = (each for each in seen.documents[name] if each.state is DocumentState.DONE)
    return sorted(each.finished_at for each in done if each.finished_at is not None)


def _waits(times: list[datetime], began: datetime, documents: int) -> tuple[float | None, float | None]:
    """Return the seconds until a deployment's first answer, and the longest between two.

    None: it was given up, so the wait has no end.
    """
    first = (times[0] - began).total_seconds() if times else None
    if len(times) < documents:
        return first, None
    return first, max(((later - sooner).total_seconds() for sooner, later in pairwise(times)), default=0.0)


def _longest(seconds: list[float | None]) -> float | None:
    """Return the longest wait; None if one had no end."""
    ended = [each for each in seconds if each is not None]
    return round(max(ended), 1) if len(ended) == len(seconds) else None


def _costs(seen: Seen) -> dict[str, Any]:
    start = sum(each.cpu_s for each in seen.loaded)
    work = sum(each.cpu_s for each in seen.ended) - start
    per_1000 = 1000 / seen.results if seen.results else 0.0
    return {
        "cpu_s_per_1000": round(work * per_1000, 1),
        "start_cpu_s": round(start, 1),
        "azurite_cpu_s_per_1000": round(seen.services["azurite"] * per_1000, 1),
        "emulator_cpu_s_per_1000": round(seen.services["emulator"] * per_1000, 1),
        "peak_rss_mb": [each.peak_rss_mb for each in seen.ended],
    }
