"""The bill: what was hosted, how long, and at what cost, from the emulator's own records."""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from local.emulator.options import BillingStarts, BillingUnit
from local.emulator.state import Generation

_KEPT = 1_000_000  # admissions
_UNIT_SECONDS: dict[BillingUnit, int] = {"second": 1, "minute": 60, "hour": 3600}


@dataclass(frozen=True)
class Prices:
    """Dollars per hour of hosting. Azure documents neither unit nor start of billing: both are settings.

    Every started unit is billed in full, until the DELETE, even if provisioning failed. Provisioned
    deployments, which Azure bills by capacity, are metered at the same price as others.
    """

    hosting_per_hour: float
    unit: BillingUnit
    starts: BillingStarts


@dataclass(frozen=True)
class Admission:
    """A request that passed the limits: when, to which deployment, and the tokens that it was charged.

    `document`: the digest of its last user message, which tells whether a document was asked twice.
    """

    at: datetime
    deployment: str
    tokens: int
    document: str


@dataclass
class Usage:
    """The requests to one generation. `cut`: requests in flight when its DELETE was accepted.

    `admitted`: those that passed the limits, with the `tokens_charged`; `rejected`: those that got a 429.
    """

    admitted: int = 0
    rejected: int = 0
    tokens_charged: int = 0
    requests_answered: int = 0
    requests_refused: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    in_flight: int = 0
    cut: int = 0


class Meter:
    """Counts calls and requests, and computes the bill at `now` from the generations."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._usage: defaultdict[int, Usage] = defaultdict(Usage)
        self._arm_calls: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._arm_call_ids: set[str] = set()
        self._resent: Counter[str] = Counter()
        self._admissions: deque[Admission] = deque(maxlen=_KEPT)

    def usage(self, generation: Generation) -> Usage:
        """Return the counters of a generation, which the caller changes in place."""
        return self._usage[generation.number]

    def note_admission(self, generation: Generation, tokens: int, document: str, now: datetime) -> None:
        """Record a request that passed the limits."""
        usage = self.usage(generation)
        usage.admitted += 1
        usage.tokens_charged += tokens
        self._admissions.append(Admission(now, generation.name, tokens, document))

    def admissions(self, deployment: str) -> list[dict[str, Any]]:
        """Return, as JSON, when requests to this deployment passed the limits, their tokens and documents."""
        return [
            {"at": each.at.isoformat(), "tokens": each.tokens, "document": each.document}
            for each in self._admissions
            if each.deployment.lower() == deployment.lower()
        ]

    def count_arm_call(self, account: str, operation: str, identifier: str | None = None) -> None:
        """Count a call. A transport that repeats a call keeps its `identifier`, the client's request id."""
        self._arm_calls[account][operation] += 1
        if identifier in self._arm_call_ids:
            self._resent[account] += 1
        elif identifier is not None:
            self._arm_call_ids.add(identifier)

    def note_delete(self, generation: Generation) -> None:
        """Record an accepted DELETE, which cuts off the requests in flight on the deployment."""
        usage = self.usage(generation)
        usage.cut = usage.in_flight

    def bill(
        self, accounts: Iterable[str], generations: Iterable[Generation], now: datetime
    ) -> dict[str, Any]:
        """Return the bill as JSON: a row per generation, totals, open deployments, ARM calls per account."""
        generations, accounts = list(generations), list(accounts)
        rows = [self._row(generation, now) for generation in generations]
        summed = ("hosted_seconds", "billed_seconds", "dollars", *asdict(Usage()))
        totals = {key: sum(row[key] for row in rows) for key in summed}
        totals["dollars"] = round(totals["dollars"], 6)
        return {
            "now": now.isoformat(),
            "open": sum(generation.exists(now) for generation in generations),
            "in_flight": totals.pop("in_flight"),
            "deployments": rows,
            "totals": totals,
            "arm_calls": {
                account: {call: self._arm_calls[account][call] for call in ("put", "delete", "list", "get")}
                for account in accounts
            },
            "arm_calls_sent_again": {account: self._resent[account] for account in accounts},
        }

    def _row(self, generation: Generation, now: datetime) -> dict[str, Any]:
        asked = generation.runs[0].specification
        ready = generation.ready(now)
        end = generation.hosted_until()
        ended = end if end is not None and end <= now else None
        start = generation.created if self._prices.starts == "create" else ready
        seconds = 0.0 if start is None else ((ended or now) - start).total_seconds()
        unit = _UNIT_SECONDS[self._prices.unit]
        billed = math.ceil(seconds / unit) * unit
        price = self._prices.hosting_per_hour if asked.has_hosting_fee else 0.0
        return {
            "account": generation.account.name,
            "deployment": generation.name,
            "generation": generation.number,
            "sku": asked.sku_name,
            "model": asked.model_name,
            "created": generation.created.isoformat(),
            "ready": _shown(ready),
            "deleted": _shown(ended),
            "hosted_seconds": seconds,
            "billed_seconds": billed,
            "dollars": round(billed / 3600 * price, 6),
            **asdict(self.usage(generation)),
        }


def _shown(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
