"""Time planning: `python3 dev.py bench plan [--deployments N] [--minutes N] [--json]`.

It plans one account from records, a LIST and demand, as a pass does. A third of the deployments have business
hours without public holidays in six zones, a third have batch windows at night, and a third are for documents
that may wait; half of them are hosted. It plans once for each minute from the start of a working day, in a
warm process. The first plan reads time zones and holidays, so its time is shown separately.
"""

from __future__ import annotations

import argparse
import statistics
import time as timers
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar

from bench._arguments import whole
from bench._report import machine, show
from shared.model import (
    Account,
    Batch,
    BillingStart,
    BillingUnit,
    Demand,
    DeploymentConfig,
    DeploymentRecord,
    DeploymentSpec,
    Generation,
    History,
    Hosted,
    Observed,
    Owner,
    Prices,
    RecordState,
    Task,
    UploadStart,
    WeeklyWindow,
    prompt,
)
from shared.planning.decision import Observation
from shared.planning.observed import OWNER_TAG
from shared.planning.picture import Picture
from shared.planning.plan import plan
from shared.planning.uploads import MOST_BATCHES

T = TypeVar("T")
START = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
_ACCOUNT = Account("main", "/subscriptions/s/resourceGroups/g/providers/a", 1_000_000)
_PRICES = Prices("USD", {"GlobalStandard": 1.70}, 0.0, 0.0, BillingUnit.MINUTE, BillingStart.CREATE)
_ZONES = {
    "Europe/Berlin": "DE-BE",
    "America/New_York": "US-NY",
    "Asia/Tokyo": "JP",
    "Europe/London": "GB-ENG",
    "Australia/Sydney": "AU-NSW",
    "America/Sao_Paulo": "BR-SP",
}
_WORKDAYS, _DAILY = frozenset(range(5)), frozenset(range(7))
_HISTORY = History(tuple(range(200, 320)), (Batch(3, 1200, 1),) * MOST_BATCHES)


def deployment(number: int) -> DeploymentConfig:
    """Return deployment number `number`; the three kinds alternate."""
    zone = [*_ZONES][number // 3 % len(_ZONES)]
    hours = WeeklyWindow(_WORKDAYS, time(9), time(17), zone, skip_holidays=_ZONES[zone])
    night = WeeklyWindow(_DAILY, time(23), time(4), zone, stop_when_empty=True)
    windows = ((hours,), (night,), ())[number % 3]
    return DeploymentConfig(
        account=_ACCOUNT.resource_id,
        spec=DeploymentSpec(f"d{number:03}", "gpt-4.1.ft-1", "1", None, "GlobalStandard", 50),
        windows=windows,
        uploads=UploadStart.ON_DEMAND if not windows else UploadStart.SCHEDULED,
        lead=None,
        max_session=timedelta(hours=12),
        task=Task(prompt(""), 1),
        start_within=timedelta(minutes=0 if windows else 30),
    )


def record(name: str, configured: bool) -> DeploymentRecord:
    """Return a record with as much history as a record keeps."""
    begun = START - timedelta(hours=1) if configured else None
    return DeploymentRecord(
        _ACCOUNT.resource_id,
        name,
        RecordState.OPEN if configured else RecordState.ABSENT,
        changed_at=START - timedelta(hours=1),
        generation=Generation(1, intent_at=begun, created_at=begun, opened_at=begun),
        history=_HISTORY,
    )


def measure(deployments: int, minutes: int) -> dict[str, object]:
    """Return the milliseconds that the plans took."""
    configured = {config.name: config for config in map(deployment, range(deployments))}
    up = {name for number, name in enumerate(configured) if number % 2}
    records = {name: record(name, name in up) for name in configured}
    azure = {
        name: Hosted(
            replace(configured[name].spec, tags={OWNER_TAG: "bench"}),
            Observed.SUCCEEDED,
            "Succeeded",
            records[name].generation.created_at,
        )
        for name in up
    }

    def one(now: datetime) -> int:
        arrivals = tuple(now - timedelta(minutes=minute) for minute in range(20, 0, -1))
        demand = {name: Demand(len(arrivals), arrivals=arrivals) for name in configured}
        known = Picture(_ACCOUNT.resource_id, now, configured, _PRICES, records, demand)
        return len(plan(Owner("bench", ""), _ACCOUNT, Observation(now, azure, known)))

    first, decided = timed(one, START)
    assert decided == deployments
    plans = [timed(one, START + timedelta(minutes=minute))[0] for minute in range(1, minutes)]
    return {
        "deployments": deployments,
        "plans": minutes,
        "first_ms": round(first, 1),
        "median_ms": round(statistics.median(plans), 1),
        "p95_ms": round(statistics.quantiles(plans, n=20)[-1], 1),
        "max_ms": round(max(plans), 1),
        **machine(),
    }


def timed(work: Callable[[datetime], T], at: datetime) -> tuple[float, T]:
    """Return the milliseconds that `work` took, and its result."""
    began = timers.perf_counter()
    result = work(at)
    return (timers.perf_counter() - began) * 1000, result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="dev.py bench plan", description=__doc__)
    parser.add_argument("--deployments", type=whole(), default=200, help="on one account (200)")
    parser.add_argument("--minutes", type=whole(), default=600, help="plans, one for each minute (600)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    measured = measure(options.deployments, options.minutes)
    show(measured, as_json=options.json)


if __name__ == "__main__":
    main()
