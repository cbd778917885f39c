"""Compute the wanted state of each deployment of one account at an instant, and when that changes.

The pass, the reports, previews, holds and the checks of a file all use a picture, so that they agree.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from shared.model import (
    Configs,
    Demand,
    DeploymentRecord,
    Hold,
    Prices,
    RecordState,
)
from shared.planning import estimates
from shared.planning.desired import UNITS, Outlook, Wanted, billed_from, planned_lead, wanted, windows_ahead
from shared.planning.estimates import CreateTime
from shared.schedule.leads import Leads
from shared.schedule.windows import DAY, intervals

_CHANGES = 20  # of the wanted state that are considered in the time ahead
_UP = (RecordState.CREATING, RecordState.OPEN, RecordState.CLOSING)


@dataclass(frozen=True)
class Picture:
    """All that is known of one account at `now`. Without records, only the file is known."""

    account: str  # its resource id
    now: datetime
    configured: Configs  # on this account
    prices: Prices
    records: Mapping[str, DeploymentRecord] = field(default_factory=dict)
    demand: Mapping[str, Demand] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)  # those in force
    kept: Mapping[str, str] | None = None
    """Why each deployment stays although nothing needs it (keep_if_scarce); None: as in its record."""

    def record(self, name: str) -> DeploymentRecord:
        """Return a deployment's record, a new one if there is none."""
        return self.records.get(name) or DeploymentRecord(self.account, name)

    def demand_of(self, name: str) -> Demand:
        """Return a deployment's unfinished documents, as they were last counted."""
        return self.demand.get(name) or Demand()

    def wanted(self, name: str) -> Wanted:
        """Return the wanted state of a deployment now, and when the schedule next changes it."""
        config, demand = self.configured.get(name), self.demand_of(name)
        return wanted(config, demand, self.now, self.holds.get(name), self.outlooks.get(name))

    def wanted_from(self, name: str) -> datetime | None:
        """Return from when on it is wanted up, by what is known now; None if nothing known wants it."""
        then = self
        for _ in range(_CHANGES):
            want = then.wanted(name)
            if want.up:
                return then.now
            if want.changes_at is None:
                return None
            then = replace(then, now=want.changes_at)
        return None

    @cached_property
    def outlooks(self) -> Mapping[str, Outlook]:
        """Return the outlook of each deployment, from history, the account's plans and the prices."""
        prices, times, leads = self.prices, self._create_times, self._next_leads
        found = {}
        for name, config in self.configured.items():
            record, lead = self.record(name), leads.get(name)
            is_up = name in self._up
            found[name] = Outlook(
                lead=planned_lead(config, times[name]) if lead is None else lead,
                create=times[name],
                batches=record.history.gathered,
                up=is_up,
                unit=UNITS[prices.billing_unit],
                billed_from=billed_from(record, prices) if is_up else None,
                free=prices.hosting_per_hour.get(config.spec.sku, 0.0) <= 0,
                kept=self._why_kept(name),
            )
        return found

    def leads(self, since: datetime, until: datetime) -> Mapping[str, Leads]:
        """Return the leads of the windows for which passes create in [since, until), as they plan them."""
        alone = {
            name: planned_lead(config, self._create_times[name]) for name, config in self.configured.items()
        }
        in_turn: dict[str, dict[datetime, timedelta]] = {name: {} for name in alone}
        starts = {
            name: [window.start for window in found if window.start >= since]
            for name, config in self._learning.items()
            if (found := intervals(config.windows, since, until + 2 * DAY, config.closures))
        }
        for start in sorted({start for own in starts.values() for start in own}):
            for name, lead in self._leads_before(start, starts).items():
                if lead > alone[name]:
                    in_turn[name][start] = lead
        for name, lead in self._next_leads.items():
            in_turn[name][self._starts[name][0]] = lead
        return {name: Leads(lead, in_turn[name]) for name, lead in alone.items()}

    @cached_property
    def _create_times(self) -> Mapping[str, CreateTime]:
        return estimates.create_times(
            tuple((name, self.record(name).history.create_seconds) for name in self.configured)
        )

    @cached_property
    def _learning(self) -> Configs:
        """Return the deployments whose leads are learned."""
        return {
            name: config for name, config in self.configured.items() if config.lead is None and config.windows
        }

    @cached_property
    def _starts(self) -> Mapping[str, list[datetime]]:
        """Return the starts of their future windows, in order."""
        found = {}
        for name, config in self._learning.items():
            ahead = windows_ahead(config.windows, config.closures, self.now)
            if starts := [window.start for window in ahead if window.start > self.now]:
                found[name] = starts
        return found

    @cached_property
    def _next_leads(self) -> Mapping[str, timedelta]:
        """Return the lead before the next window of each of them."""
        if not self._starts:
            return {}
        starts = {name: own[0] for name, own in self._starts.items()}
        leads = self._leads_of(starts, frozenset())
        # A deployment that was created for its window has left the queue. One that is up for another reason
        # may have to be created again before its window.
        left = frozenset(name for name in self._up & leads.keys() if starts[name] - leads[name] <= self.now)
        if not left:
            return leads
        # A deployment that is up keeps the lead of its create: others that come up must not shorten it.
        last = max(starts[name] for name in left)
        behind = {name: start for name, start in starts.items() if name not in self._up and start <= last}
        return leads | self._leads_of(behind, left)

    def _leads_of(self, starts: Mapping[str, datetime], left: frozenset[str]) -> dict[str, timedelta]:
        """Return the lead before one window of each deployment. Those that left the queue do not count."""
        queue = {name: own for name, own in self._starts.items() if name not in left}
        found: dict[str, timedelta] = {}
        for start in set(starts.values()):
            before = self._leads_before(start, queue)
            found.update((name, lead) for name, lead in before.items() if starts.get(name) == start)
        return found

    def _leads_before(
        self, start: datetime, starts: Mapping[str, Sequence[datetime]]
    ) -> dict[str, timedelta]:
        """Return the leads before the windows that start then. The queue holds all windows within a day."""
        queue = {}
        for name, own in starts.items():
            index = bisect_left(own, start)
            if index < len(own) and own[index] < start + DAY:
                queue[name] = own[index]
        begins = estimates.begins(queue, self._create_times)
        return {name: start - begin for name, begin in begins.items() if queue[name] == start}

    @cached_property
    def _up(self) -> frozenset[str]:
        return frozenset(name for name, record in self.records.items() if record.state in _UP)

    def _why_kept(self, name: str) -> str:
        if self.kept is not None:
            return self.kept.get(name, "")
        return self.record(name).decision.kept if self.configured[name].keep_if_scarce else ""


def configured_on(resource_id: str, deployments: Configs) -> Configs:
    """Return the deployments of one account. ARM ids ignore case."""
    key = resource_id.lower()
    return {name: config for name, config in deployments.items() if config.account.lower() == key}
