"""One account at an instant → what is wanted of each of its deployments, and when that changes.

The pass, the reports, previews, holds and the checks of a file all ask a picture, so that they agree.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from shared.model import (
    Configs,
    Demand,
    DeploymentConfig,
    DeploymentRecord,
    Hold,
    Prices,
    RecordState,
)
from shared.planning import estimates, uploads
from shared.planning.desired import UNITS, Outlook, Wanted, billed_from, planned_lead, wanted
from shared.planning.estimates import CreateTime
from shared.schedule.leads import Leads
from shared.schedule.windows import DAY, Interval, intervals

_CHANGES = 20  # of what is wanted, that are looked at in the time ahead
_UP = (RecordState.CREATING, RecordState.OPEN, RecordState.CLOSING)


@dataclass(frozen=True)
class Picture:
    """What is known of one account at `now`. Without records: what the file alone says."""

    account: str  # its resource id
    now: datetime
    configured: Configs  # the account's own
    prices: Prices
    records: Mapping[str, DeploymentRecord] = field(default_factory=dict)
    demand: Mapping[str, Demand] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)  # those in force
    kept: Mapping[str, str] | None = None
    """Why each stays although nothing needs it (keep_if_scarce); None: as the last pass found it."""

    def record(self, name: str) -> DeploymentRecord:
        """A deployment's record, a new one if there is none."""
        return self.records.get(name) or DeploymentRecord(self.account, name)

    def wanted(self, name: str) -> Wanted:
        """What is wanted of a deployment now, and when the schedule next changes that."""
        config, demand = self.configured.get(name), self.demand.get(name, Demand())
        return wanted(config, demand, self.now, self.holds.get(name), self.outlooks.get(name))

    def wanted_from(self, name: str) -> datetime | None:
        """From when on it is wanted up, as things stand now; None: nothing that is known says so."""
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
        """What the past, the account's plans and the prices say of the time ahead, by deployment."""
        prices, times, leads = self.prices, self._create_times, self._next_leads
        found = {}
        for name, config in self.configured.items():
            record, lead = self.record(name), leads.get(name)
            is_up = name in self._up
            found[name] = Outlook(
                lead=planned_lead(config, times[name]) if lead is None else lead,
                create=times[name],
                batches=uploads.from_text(record.gathered),
                up=is_up,
                unit=UNITS[prices.billing_unit],
                billed_from=billed_from(record, prices) if is_up else None,
                free=prices.hosting_per_hour.get(config.spec.sku, 0.0) <= 0,
                kept=self._why_kept(name),
            )
        return found

    def leads(self, since: datetime, until: datetime) -> Mapping[str, Leads]:
        """The leads of every window that passes create for in [since, until), as they will plan them."""
        alone = {name: planned_lead(each, self._create_times[name]) for name, each in self.configured.items()}
        in_turn: dict[str, dict[datetime, timedelta]] = {name: {} for name in alone}
        starts = {
            name: sorted({each.start for each in _opening(config, since, until + 2 * DAY)})
            for name, config in self._learning.items()
        }
        for start in sorted({each for its_own in starts.values() for each in its_own}):
            if start >= until + DAY:
                break
            following = {}
            for name, its_own in starts.items():
                place = bisect_left(its_own, start)
                if place < len(its_own) and its_own[place] < start + DAY:
                    following[name] = its_own[place]
            for name, begin in estimates.begins(following, self._create_times).items():
                if following[name] == start and start - begin > alone[name]:
                    in_turn[name][start] = start - begin
        for name, lead in self._next_leads.items():
            in_turn[name][self._next_starts[name]] = lead
        return {name: Leads(lead, in_turn[name]) for name, lead in alone.items()}

    @cached_property
    def _create_times(self) -> Mapping[str, CreateTime]:
        return estimates.create_times(
            tuple((name, self.record(name).create_seconds) for name in self.configured)
        )

    @cached_property
    def _learning(self) -> Configs:
        """Those whose leads are learned."""
        return {name: each for name, each in self.configured.items() if each.lead is None and each.windows}

    @cached_property
    def _next_starts(self) -> Mapping[str, datetime]:
        """Of each one's next window, if it starts within a day."""
        found = {}
        for name, config in self._learning.items():
            opening = _opening(config, self.now, self.now + DAY)
            start = next((each.start for each in opening if each.start > self.now), None)
            if start is not None:
                found[name] = start
        return found

    @cached_property
    def _next_leads(self) -> Mapping[str, timedelta]:
        """Before these."""
        starts, times = self._next_starts, self._create_times
        all_begin = estimates.begins(starts, times)
        # Created for its window, one has left the queue. What is up for something else may have to be created
        # again before it.
        left = {name for name in starts if name in self._up and all_begin[name] <= self.now}
        queue = {name: start for name, start in starts.items() if name not in left}
        # One that is up keeps the lead that it was created by: others that come up must not shorten it.
        begin = all_begin | {
            name: at for name, at in estimates.begins(queue, times).items() if name not in self._up
        }
        return {name: start - begin[name] for name, start in starts.items()}

    @cached_property
    def _up(self) -> frozenset[str]:
        return frozenset(name for name, record in self.records.items() if record.state in _UP)

    def _why_kept(self, name: str) -> str:
        if self.kept is not None:
            return self.kept.get(name, "")
        return self.record(name).kept if self.configured[name].keep_if_scarce else ""


def configured_on(resource_id: str, deployments: Configs) -> Configs:
    """The deployments of one account: ARM ids ignore case."""
    return {name: each for name, each in deployments.items() if each.account.lower() == resource_id.lower()}


def _opening(config: DeploymentConfig, since: datetime, until: datetime) -> Iterator[Interval]:
    """The windows that start in [since, until)."""
    found = intervals(config.windows, since, until, config.closures)
    return (each for each in found if each.start >= since)
