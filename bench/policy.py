"""Replay arrivals through the app's own planning, and compare the cost with the best possible one.

`python3 dev.py bench policy [--traces DIR] [--limit-minutes 30] [--billing minute|hour] [--seeds 3] [--json]`
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench._arguments import number, whole
from bench._report import machine
from bench._traces import read, synthetic
from shared.model import (
    BillingStart,
    BillingUnit,
    Demand,
    DeploymentConfig,
    DeploymentRecord,
    DeploymentSpec,
    Generation,
    History,
    Prices,
    RecordState,
    Task,
    UploadStart,
    prompt,
)
from shared.planning import estimates, uploads
from shared.planning.desired import UNITS
from shared.planning.picture import Picture
from shared.planning.uploads import paid_until
from shared.serve import SOONEST, TO_DELETE
from shared.timing import TIMING
from tests.reference.optimum import Arrival, Trace, optimum

START = datetime(2026, 1, 5, tzinfo=UTC)
TICK = 60.0
PASS = 1.0
"""Seconds from a decision to its effect: a pass and the call to Azure."""
ABSENT_AFTER = 30.0
"""Seconds after a delete during which no create is possible."""
PRICE = 1.70
APP_PRICE = 0.5 * 0.000026
"""Dollars per second while the app works: 0.5 GB on Flex Consumption."""
IDLE_SHARE = 3 / 60
"""Share of the time that three timers take: each runs one second per minute."""
_NAME = "bench"
_SIGMA = estimates.PRIOR.sigma


@dataclass
class Run:
    """Result of one policy on one trace with one seed."""

    waits: list[float] = field(default_factory=list)
    sessions: list[float] = field(default_factory=list)  # hosted seconds
    looked: list[float] = field(default_factory=list)  # seconds that the app worked, for each session
    horizon: float = 0.0

    def dollars(self, unit: BillingUnit) -> float:
        """Return the cost of hosting in started units, plus the app's own compute."""
        seconds = sum(
            math.ceil(session / UNITS[unit].total_seconds() - 1e-9) * UNITS[unit].total_seconds()
            for session in self.sessions
        )
        return seconds / 3600 * PRICE + self.app_dollars()

    def app_dollars(self) -> float:
        return (sum(self.looked) + self.horizon * IDLE_SHARE) * APP_PRICE


class CreateTimes:
    """Random create times. The same seed gives every policy the same sequence."""

    def __init__(self, seed: int, factor: float) -> None:
        self._source = random.Random(seed)
        self._mu = math.log(300.0 * factor)

    def next(self) -> float:
        return self._source.lognormvariate(self._mu, _SIGMA)


def replay(trace: Trace, limit: float, billing: BillingUnit, creates: CreateTimes) -> Run:
    """Run the app's own planning at every arrival and every tick, in virtual time."""
    config = DeploymentConfig(
        account="a",
        spec=DeploymentSpec(_NAME, "m", "1", None, "GlobalStandard", 120),
        windows=(),
        uploads=UploadStart.ON_DEMAND,
        lead=None,
        max_session=timedelta(days=30),
        task=Task(prompt(""), 1),
        start_within=timedelta(seconds=limit),
    )
    prices = Prices("USD", {"GlobalStandard": PRICE}, 0.0, 0.0, billing, BillingStart.CREATE)
    run, record, waiting = Run(), DeploymentRecord("a", _NAME), list[Arrival]()
    position, now, free_at, busy_until = 0, 0.0, 0.0, 0.0
    while position < len(trace) or waiting or record.state is not RecordState.ABSENT:
        while position < len(trace) and trace[position].at <= now:
            waiting.append(trace[position])
            position += 1
        at = START + timedelta(seconds=now)
        upcoming = trace[position].at if position < len(trace) else math.inf
        if record.state is RecordState.OPEN:
            for document in waiting:
                run.waits.append(max(0.0, now - document.at))
                busy_until = max(busy_until, now + document.seconds)
            waiting.clear()
            if now < busy_until:
                now = min(upcoming, busy_until)
                continue
        arrivals = tuple(START + timedelta(seconds=document.at) for document in waiting)
        demand = Demand(len(waiting), arrivals=arrivals)
        known = Picture("a", at, {_NAME: config}, prices, {_NAME: record}, {_NAME: demand})
        want = known.wanted(_NAME)
        if record.state is RecordState.OPEN and not want.up and not want.keep:
            begun = record.generation.intent_at
            assert begun is not None
            # Like `Serving`, keep it until the paid minute ends, unless a timer's pass comes first.
            ends = paid_until(begun, at, UNITS[BillingUnit.MINUTE]) - timedelta(seconds=TO_DELETE)
            stays = min((ends - START).total_seconds(), (now // TICK + 1) * TICK)
            if billing is BillingUnit.MINUTE and stays > now and upcoming < stays:
                now = upcoming
                continue
            now = max(now, stays) if billing is BillingUnit.MINUTE else now
            at = START + timedelta(seconds=now)
            assert record.generation.opened_at is not None
            run.sessions.append((at - begun).total_seconds() + PASS)
            run.looked[-1] += (at - record.generation.opened_at).total_seconds() + PASS
            record = replace(record, state=RecordState.ABSENT)
            free_at = now + PASS + ABSENT_AFTER
        elif record.state is RecordState.ABSENT and want.up and now >= free_at:
            batch = uploads.batch_of(demand.arrivals, at)
            opened, looked = _opened(now, creates.next() + PASS, record)
            run.looked.append(looked)
            history = record.history
            record = replace(
                record,
                state=RecordState.OPEN,
                generation=Generation(intent_at=at, opened_at=START + timedelta(seconds=opened)),
                history=History(
                    estimates.with_sample(history.create_seconds, opened - now),
                    uploads.with_batch(history.gathered, batch),
                ),
            )
            now = opened
            continue
        if record.state is RecordState.ABSENT and not waiting:
            now = upcoming if math.isfinite(upcoming) else now
        else:
            now = min(upcoming, (now // TICK + 1) * TICK)
    run.horizon = now
    return run


def _opened(now: float, took: float, record: DeploymentRecord) -> tuple[float, float]:
    """Return when the app finds a create of `took` seconds ready, and for how long the app polled.

    At first one pass looks every minute, as in `Lamplighter.due`; then it polls every few seconds.
    """
    soonest = estimates.learned(record.history.create_seconds).quantile(SOONEST)
    looks_from = math.ceil((now + soonest.total_seconds()) / TICK) * TICK
    ready = now + took
    if ready <= looks_from:
        return math.ceil(ready / TICK) * TICK, 0.0
    opened = looks_from + math.ceil((ready - looks_from) / TIMING.poll_seconds) * TIMING.poll_seconds
    return opened, opened - looks_from


def deploy_per_document(trace: Trace, creates: CreateTimes) -> Run:
    """Create one deployment for each document."""
    run = Run(horizon=trace[-1].at)
    for document in trace:
        took = creates.next()
        run.waits.append(took)
        run.sessions.append(took + document.seconds)
        run.looked.append(took + document.seconds)
    return run


def linger(trace: Trace, seconds: float, creates: CreateTimes) -> Run:
    """Create at the first document, share with all later ones, delete after `seconds` without a document."""
    run, ends, began, ready = Run(horizon=trace[-1].at), -math.inf, 0.0, 0.0
    for document in trace:
        if document.at > ends + seconds:
            if math.isfinite(ends):
                run.sessions.append(ends + seconds - began)
            began, ready = document.at, document.at + creates.next()
            ends = ready
        starts = max(document.at, ready)
        run.waits.append(starts - document.at)
        ends = max(ends, starts + document.seconds)
    run.sessions.append(ends + seconds - began)
    run.looked = run.sessions
    return run


def measure(trace: Trace, limit: float, billing: BillingUnit, seeds: int, factor: float) -> dict[str, object]:
    """Compare the policy's mean cost on one trace with the other policies and the optimum."""
    mean = math.exp(math.log(300.0 * factor) + _SIGMA**2 / 2)
    paid = optimum(trace, limit, mean, UNITS[billing].total_seconds())
    # Every policy pays for the app too: its timers, and its work while something is hosted.
    best = paid / 3600 * PRICE + (paid + trace[-1].at * IDLE_SHARE) * APP_PRICE

    def cost(policy: Callable[[CreateTimes], Run]) -> float:
        found = [policy(CreateTimes(seed, factor)) for seed in range(seeds)]
        return statistics.fmean(run.dollars(billing) for run in found)

    runs = [replay(trace, limit, billing, CreateTimes(seed, factor)) for seed in range(seeds)]
    ours = statistics.fmean(run.dollars(billing) for run in runs)
    waits = sorted(wait / 60 for run in runs for wait in run.waits)
    settled = sorted(wait / 60 for run in runs for wait in _after_sessions(run, 20))
    always_on = math.ceil(trace[-1].at / 3600) * PRICE
    others = {
        "deploy_per_document": cost(functools.partial(deploy_per_document, trace)),
        "deploy_share_delete": cost(functools.partial(linger, trace, 0.0)),
        **{
            f"linger_{minutes}": cost(functools.partial(linger, trace, minutes * 60.0))
            for minutes in (10, 30, 60)
        },
    }
    return {
        "documents": len(trace),
        "hosted_hours": round(statistics.fmean(sum(run.sessions) / 3600 for run in runs), 2),
        "deployments_created": round(statistics.fmean(len(run.sessions) for run in runs), 1),
        "p50_wait_minutes": round(_quantile(waits, 0.50), 2),
        "p95_wait_minutes": round(_quantile(waits, 0.95), 2),
        "p99_wait_minutes": round(_quantile(waits, 0.99), 2),
        "p95_wait_minutes_after_20_sessions": round(_quantile(settled, 0.95), 2),
        "dollars": round(ours, 2),
        "app_dollars": round(statistics.fmean(run.app_dollars() for run in runs), 2),
        "ratio_to_optimum": round(ours / best, 4),
        "ratio_to_always_on": round(ours / always_on, 4),
        **{f"ratio_to_{name}": round(ours / dollars, 4) for name, dollars in others.items()},
    }


def _after_sessions(run: Run, sessions: int) -> list[float]:
    """Return the waits of the documents after about the first `sessions` sessions."""
    share = sessions / len(run.sessions)
    return run.waits[math.ceil(len(run.waits) * min(share, 1.0)) :]


def _quantile(values: list[float], share: float) -> float:
    """Return the smallest value that this share of the values does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else 0.0


def main() -> int:
    """Parse, replay, print."""
    parser = argparse.ArgumentParser(prog="dev.py bench policy", description=__doc__.split("\n")[0])
    parser.add_argument("--traces", type=Path, metavar="DIR", help="CSV files with columns t_s and service_s")
    parser.add_argument(
        "--limit-minutes", type=number(0, 10_000), default=30.0, metavar="M", help="start_within (30)"
    )
    parser.add_argument("--billing", choices=[unit.value for unit in BillingUnit], default="minute")
    parser.add_argument(
        "--create-factor", type=number(0.01, 100), default=1.0, metavar="F", help="times the prior (1)"
    )
    parser.add_argument("--seeds", type=whole(), default=3, metavar="N", help="of the create times (3)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    limit, billing = options.limit_minutes * 60, BillingUnit(options.billing)
    try:
        traces = {**synthetic(), **(read(options.traces) if options.traces else {})}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    found = {
        name: measure(trace, limit, billing, options.seeds, options.create_factor)
        for name, trace in traces.items()
    }
    ratios = [float(str(figures["ratio_to_optimum"])) for figures in found.values()]
    document = {
        "traces": found,
        "median_ratio": round(statistics.median(ratios), 4),
        "worst_ratio": max(ratios),
        "limit_minutes": options.limit_minutes,
        "billing": billing,
        "create_factor": options.create_factor,
        "seeds": options.seeds,
        **machine(),
    }
    if options.json:
        print(json.dumps(document))
        return 0
    columns = ("ratio_to_optimum", "p50_wait_minutes", "p95_wait_minutes", "p99_wait_minutes", "hosted_hours")
    print(f"{'':16}", *(f"{column:>18}" for column in (*columns, "ratio_to_always_on")))
    for name, figures in found.items():
        print(f"{name:16}", *(f"{figures[column]:>18}" for column in (*columns, "ratio_to_always_on")))
    print(f"median ratio {document['median_ratio']}, worst {document['worst_ratio']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
